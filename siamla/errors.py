"""The one exception that a user sees as a single line, and how to get what an extra brings."""


class UserError(Exception):
    """Bad input in one line: file, field, found, expected. The command line exits with status 2."""


def install(extra: str) -> str:
    """How to install an extra: of an installed siamla, and in a clone, where no index has one."""
    return f"pip install 'siamla[{extra}]' (in a clone '.[{extra}]')"
