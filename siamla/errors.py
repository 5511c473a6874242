"""The one exception that a user sees as a single line."""


class UserError(Exception):
    """Bad input, said in one line: the file, the field, what was found and what was expected. The
    command line prints it without a stack trace and exits with status 2.
    """
