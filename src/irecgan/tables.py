"""Tables for a terminal."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, left: bool = False) -> str:
    """Rows of cells in columns: the first flush left, the others flush right unless ``left``.

    >>> print(aligned([["part", "steps"], ["train", "12"]]))
    part   steps
    train     12
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        others = zip(rest, widths[1:], strict=True)
        cells = [first.ljust(widths[0]), *(cell.ljust(width) if left else cell.rjust(width) for cell, width in others)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
