"""The errors that are the user's to mend."""

import errno


class UserError(Exception):
    """A mistake in the user's input, files or options.

    Its text is one line that names the file, row, column or option, what was found and what is
    expected. The command line prints it as ``error: ...`` and exits with status 2.
    """


_OF_MEMORY = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")
"""What torch says where there is too little of it, or more is asked for than can be counted."""


def out_of_memory(error: BaseException) -> str | None:
    """The line for the user where ``error``, of Python, NumPy, torch or the system, is a want of memory; else None.

    >>> out_of_memory(MemoryError("Unable to allocate 7.11 PiB"))
    'memory: Unable to allocate 7.11 PiB; expected more that is free, or a smaller log, model or batch'
    """
    text = str(error)
    # torch has no type of its own for memory of the CPU.
    of_torch = isinstance(error, RuntimeError) and any(words in text for words in _OF_MEMORY)
    of_system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if not (isinstance(error, MemoryError) or of_torch or of_system):
        return None
    said = text.strip().splitlines()[0] if text.strip() else "there is not enough"
    return f"memory: {said}; expected more that is free, or a smaller log, model or batch"
