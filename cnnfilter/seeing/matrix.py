"""Matrices as text: typed in, read from .txt and .csv, and printed as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kernelfile import read_rows
from cnnfilter.kernels.kerneltext import number_text
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.tables import block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FORMS = (".csv", ".txt")

MOST_VALUES = 1_000_000


def read_matrix(text: str) -> Floats:
    """Read rows of numbers: ``1 2 3; 4 5 6``, or a line for each row; one row is a signal.

    Values are parted by blanks or commas; fractions such as ``1/3`` and a divisor at the end (``/ 16``) are
    read as in a kernel.

    Returns
    -------
    float64 array of shape (H, W), or (N,) for one row

    Raises
    ------
    ParameterError
        For what is no number, with its row and column; rows that differ in length; nothing; more than
        1,000,000 values.

    Examples
    --------
    >>> read_matrix("1 2 3; 4 5 6").shape, read_matrix("1, 1/2, 1/4, 1/4").shape
    ((2, 3), (4,))
    """
    # Before each is looked at: there cannot be more values than commas, blanks and row ends.
    if sum(map(text.count, ", ;\t\n")) > 4 * MOST_VALUES:
        raise ParameterError(_too_large("many"))
    rows, divisor = read_rows(text, MOST_VALUES)
    if not rows:
        raise ParameterError("there are no numbers; write rows such as '1 2 3; 4 5 6'")
    if divisor == 0:
        raise ParameterError("the divisor 0 cannot be used; give another number")
    count = len(rows) * len(rows[0])
    if count > MOST_VALUES:
        raise ParameterError(_too_large(f"{count:,}"))
    values = np.array(rows) if divisor is None else np.array(rows) / divisor
    return values[0] if len(rows) == 1 else values


def read_matrices(texts: Sequence[str], name: str = "matrix") -> list[Floats]:
    """Read several matrices; what is wrong with one is told with its `name`, and its number if it has one.

    Examples
    --------
    >>> read_matrices(["1 2", "1 x"])
    Traceback (most recent call last):
        ...
    cnnfilter.errors.ParameterError: matrix 2: at row 1, column 2: 'x' is not a number
    """
    found = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(read_matrix(text))
        except ParameterError as error:
            which = f"{name} {number}" if len(texts) > 1 else name
            raise ParameterError(f"{which}: {error}") from error
    return found


def write_matrix(values: NDArray[Any], form: str) -> str:
    r"""Write a signal or matrix as the text of a ``.csv`` or ``.txt`` file, to be read back exactly.

    Examples
    --------
    >>> write_matrix(np.array([[1.0, 0.1], [2.0, 3.0]]), ".csv")
    '1,0.1\n2,3\n'
    """
    if form not in FORMS:
        raise ParameterError(f"form {form!r} is not known; choose {' or '.join(FORMS)}")
    if values.ndim == 3 and values.shape[2] > 1:
        raise ParameterError(
            f"a {form} file holds one channel, not {values.shape[2]}; write .npy, or a form for images"
        )
    separator = "," if form == ".csv" else " "
    rows = np.atleast_2d(values if values.ndim < 3 else values[:, :, 0]).tolist()
    return "".join(separator.join(number_text(float(value)) for value in row) + "\n" for row in rows)


def table(values: NDArray[Any]) -> str:
    """Return numbers as aligned rows; several channels one after the other.

    Examples
    --------
    >>> print(table(np.array([[1.5, 20.0], [-3.0, 0.0]])))
    1.5  20
     -3   0
    """
    if values.ndim == 3:
        channels = [f"channel {c}\n{table(values[:, :, c])}" for c in range(values.shape[2])]
        return "\n\n".join(channels) if len(channels) > 1 else table(values[:, :, 0])
    scale = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    cells = [[shown(float(value), scale) for value in row] for row in np.atleast_2d(values)]
    return "\n".join(block("", cells, whole=True).lines)


def _too_large(count: str) -> str:
    return f"{count} values are too many; a matrix in text has at most {MOST_VALUES:,}: use .npy"
