"""How a number is shown: with the digits that can be trusted, the same in a terminal and in the page."""

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal

ROUNDING = 1e-12
"""What a sum of floats may be off by, relative to the sum of its terms' magnitudes."""

_TRUSTED = Context(prec=12, rounding=ROUND_HALF_UP)


def shown(value: float, scale: float = 0.0, digits: int | None = None) -> str:
    """Write a number for people: whole ones in full, others with 6 digits, or 10 from 100000 on.

    Digits that are only the rounding of a sum are not shown. `page/correlation.js` has the same function, and
    a test holds the two together; ties of the last digit go away from zero, as `toPrecision` has them.

    Parameters
    ----------
    value : float
    scale : float, default 0
        Sum of the magnitudes that were added up to `value`.
    digits : int, optional
        Another number of digits, for where room is scarce.

    Examples
    --------
    >>> shown(1 / 3), shown(-1234567.0), shown(248.0625), shown(0.1 + 0.2 - 0.3, scale=0.6)
    ('0.333333', '-1234567', '248.063', '0')
    >>> shown(0.00001), shown(float("-inf"))
    ('1e-5', '-∞')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    size = abs(value)
    if size <= ROUNDING * scale:
        return "0"
    if size < 1e15 and abs(value - round(value)) <= ROUNDING * max(scale, size):
        return str(round(value))
    digits = digits or (6 if size < 1e5 else 10)
    # Twice: what lies within the rounding of a tie is a tie first.
    trusted = Decimal(float(_TRUSTED.create_decimal(Decimal(value))))
    rounded = Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal(trusted)
    return re.sub(r"e([+-])0*", r"e\1", f"{float(rounded):.{digits}g}").replace("e+", "e")
