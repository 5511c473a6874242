"""The tree of sub-commands, options that several share, and values that argparse checks."""

import argparse
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from siamla.experiment.plan import Plan

MOST = 2**62
GROUPS = {
    "config": "look at settings before anything runs: check a profile, show a variant, list keys",
    "data": "fetch, check, cut, look at and render data sets",
    "train": "train a variant; compute features; see how trainings go",
    "model": "import, calibrate, export, publish and fetch models",
    "benchmark": "track and score benchmarks, of a profile or by hand",
    "results": "take in other trackers' results, score them, pack one's own for a server",
    "report": "make tables, figures and the page from stored results",
    "mlflow": "look at runs in MLflow",
}


class Format(argparse.HelpFormatter):
    """An option that is given several words names them once."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        words = action.metavar
        named = isinstance(words, str) and " " in words
        return str(words) if named else super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest of its choices to a mistyped word."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=Format, **options)

    def error(self, message: str) -> NoReturn:
        """End with status 2 and the message."""
        found = re.search(r"(.*invalid choice: '(.+)') \(choose from (.*)\)", message)
        close = found and get_close_matches(found[2], re.findall(r"[\w-]+", found[3]), 1, 0.5)
        super().error(f"{found[1]}; did you mean {close[0]!r}?" if found and close else message)


class Commands:
    """Registers commands by their words; groups are made as they are met."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._groups = {"": self._group(parser)}

    @staticmethod
    def _group(parser: argparse.ArgumentParser) -> Any:
        """Commands below a parser, which alone prints its help."""
        parser.set_defaults(run=lambda args: parser.print_help())
        return parser.add_subparsers(metavar="COMMAND")

    def add(
        self, words: str, run: Callable[[argparse.Namespace], None], help: str
    ) -> argparse.ArgumentParser:
        """Add the command `words` ("train" or "data show"), to be carried out by `run(args)`."""
        group, _, name = words.rpartition(" ")
        if group not in self._groups:
            text = GROUPS[group]
            self._groups[group] = self._group(
                self._groups[""].add_parser(group, help=text, description=text)
            )
        parser = self._groups[group].add_parser(name, help=help, description=help)
        parser.set_defaults(run=run)
        return parser


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """A check for argparse: a whole number in a range."""

    def checked(text: str) -> int:
        try:
            value = int(text) if text.isascii() and "_" not in text else least - 1
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            bounds = f"from {least} to {most}" if most < MOST else f"of at least {least}"
            raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number {bounds}")
        return value

    return checked


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """A check for argparse: a number of `what` in a range."""

    def checked(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            expected = f"expected {what} from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"{text!r}, {expected}")
        return value

    return checked


positive = whole(1)
seed = whole(0, 2**31 - 1)  # as a profile may give it
threads = whole(1, 1024)  # that a machine can start


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """`--overwrite`, without which a command replaces no file that its user named."""
    parser.add_argument("--overwrite", action="store_true", help="replace what is there already")


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """`--tracker`, of which `changed` reads what is given."""
    example = "such as '{\"window\": 0.3}'; `siamla config keys` lists them, under tracker."
    text = f"settings that replace some of the model's, {example}"
    parser.add_argument("--tracker", default="{}", metavar="JSON", help=text)


def changed(args: argparse.Namespace) -> dict[str, Any]:
    """The tracker settings given by `--tracker`, alone and not yet checked against the model's."""
    from siamla.settings import validate_json
    from siamla.tracker.settings import TrackerSettings

    given = validate_json(TrackerSettings, args.tracker, "--tracker")
    return {name: getattr(given, name) for name in given.model_fields_set}


def add_profile(parser: argparse.ArgumentParser) -> None:
    """`--profile`, of which `load_plan` makes the plan."""
    text = "a file of params/profiles; default: %(default)s"
    parser.add_argument("--profile", default="mini", help=text)


def add_job(parser: argparse.ArgumentParser) -> None:
    """`--profile`, and `--key`, with which the pipeline says for which identity it called."""
    add_profile(parser)
    text = "refuse to work unless this is the job's key now (`siamla plan` prints it)"
    parser.add_argument("--key", help=text)


def load_plan(args: argparse.Namespace) -> "Plan":
    """The plan of the profile that was named."""
    from siamla.experiment.plan import Plan

    return Plan.load(args.profile)
