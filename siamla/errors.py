"""The one exception that a user sees as a single line."""


class UserError(Exception):
    """Bad input in one line: file, field, found, expected. The command line exits with status 2."""
