"""The one error that is the user's to mend."""


class UserError(Exception):
    """A mistake in the user's input, files or options.

    Its text is one line that names the file, row, column or option, what was found and what is
    expected. The command line prints it as ``error: ...`` and exits with status 2.
    """
