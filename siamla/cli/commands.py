"""Commands on argparse: `commands.add("data show", run, help)` gives the parser for options."""

import argparse
from collections.abc import Callable


class Commands:
    """Registers commands by their words; groups are made as they are met."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._groups = {"": parser.add_subparsers(metavar="COMMAND", required=True)}

    def add(
        self, words: str, run: Callable[[argparse.Namespace], None], help: str
    ) -> argparse.ArgumentParser:
        """Add the command `words` ("train" or "data show"), to be carried out by `run(args)`."""
        group, _, name = words.rpartition(" ")
        if group not in self._groups:
            parent = self._groups[""].add_parser(group, help=f"{group} commands")
            self._groups[group] = parent.add_subparsers(metavar="COMMAND", required=True)
        parser = self._groups[group].add_parser(name, help=help, description=help)
        parser.set_defaults(run=run)
        return parser
