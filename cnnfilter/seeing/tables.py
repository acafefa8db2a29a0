"""Tables of numbers on a terminal: aligned, side by side where they fit, shortened where too large."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

Cells = Sequence[Sequence[str]]

WIDTH = 80
HEIGHT = 24
"""Rows of a table; of a larger one the ends are left out."""

_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Block(NamedTuple):
    """Lines of equal visible width, with a title above them."""

    title: str
    lines: tuple[str, ...]
    width: int


def block(
    title: str,
    cells: Cells,
    dim: Callable[[int, int], bool] | None = None,
    color: bool = False,
    whole: bool = False,
) -> Block:
    r"""Align the cells of a table to the right.

    Parameters
    ----------
    title : str
    cells : rows of str
        At least one, all of one length.
    dim : function of (row, column), optional
        Cells that do not belong to the image: in brackets, and faint where there is colour.
    color : bool, default False
        Use the escape sequences of terminals.
    whole : bool, default False
        Leave nothing out, however large.

    Examples
    --------
    >>> print(*block("window", [["1", "20"], ["3", "4"]], lambda row, column: row == 1).lines, sep="\n")
     1   20
    [3]  [4]
    """
    width = max(len(cell) for row in cells for cell in row)
    margin, gap = (1, " ") if dim else (0, "  ")
    across = (WIDTH + len(gap)) // (width + 2 * margin + len(gap))
    height, across = (len(cells), len(cells[0])) if whole else (HEIGHT, max(3, across))
    rows, columns = _kept(len(cells), height), _kept(len(cells[0]), across)

    def written(u: int | None, v: int | None) -> str:
        if u is None or v is None:
            return "…".rjust(width + margin) + " " * margin
        cell = cells[u][v]
        if dim is None:
            return cell.rjust(width)
        if not dim(u, v):
            return cell.rjust(width + margin) + " "
        bracketed = f"[{cell}]".rjust(width + 2)
        return f"{_DIM}{bracketed}{_PLAIN}" if color else bracketed

    lines = tuple(gap.join(written(u, v) for v in columns) for u in rows)
    total = len(columns) * (width + 2 * margin) + (len(columns) - 1) * len(gap)
    return Block(title, tuple(line.rstrip() if not color else line for line in lines), total)


def beside(parts: Sequence[Block | str], color: bool = False, width: int = WIDTH) -> str:
    """Lay tables side by side, with signs between them; one above the other where they are too wide.

    Examples
    --------
    >>> print(beside([block("a", [["1", "2"], ["3", "4"]]), "+", block("b", [["5"], ["6"]])]))
    a        b
    1  2     5
    3  4  +  6
    """
    widths = [len(part) if isinstance(part, str) else max(part.width, len(part.title)) for part in parts]
    if sum(widths) + 2 * (len(parts) - 1) > width:
        return "\n".join(_above(part, color) for part in parts)
    height = max(len(part.lines) for part in parts if not isinstance(part, str))
    heads = [part.title if isinstance(part, Block) else "" for part in parts]
    lines = [_joined(heads, widths, [_styled(head, color) for head in heads])]
    for row in range(height):
        cells, visible = [], []
        for part in parts:
            if isinstance(part, str):
                cells.append(part if row == height // 2 else "")
                visible.append(cells[-1])
            else:
                cells.append(part.lines[row] if row < len(part.lines) else "")
                visible.append(_visible(cells[-1]))
        lines.append(_joined(visible, widths, cells))
    return "\n".join(lines)


def _above(part: Block | str, color: bool) -> str:
    if isinstance(part, str):
        return part
    return "\n".join([_styled(part.title, color), *part.lines])


def _styled(title: str, color: bool) -> str:
    return f"{_BOLD}{title}{_PLAIN}" if color and title else title


def _visible(text: str) -> str:
    return text.replace(_DIM, "").replace(_PLAIN, "")


def _joined(visible: Sequence[str], widths: Sequence[int], cells: Sequence[str]) -> str:
    places = zip(visible, widths, cells, strict=True)
    return "  ".join(cell + " " * (size - len(seen)) for seen, size, cell in places).rstrip()


def _kept(length: int, most: int) -> list[int | None]:
    """Return the places that are written, those around the middle; None stands for those left out."""
    if length <= most:
        return list(range(length))
    first = (length - most) // 2 + 1
    return [None, *range(first, first + most - 2), None]
