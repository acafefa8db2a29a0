"""Runs that were ended before their result was whole: what is left of them, and how they go on.

Beside a result NAME lies, until it is whole, ``NAME.part`` with the rows that are written, and
``NAME.part.json``, which says how many these are, and of which input and command.
"""

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from dataclasses import replace as changed
from time import monotonic
from typing import IO

import numpy as np

from cnnfilter._version import __version__
from cnnfilter.errors import ImageFileError
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.engine import Counts
from cnnfilter.lazy.stores import There
from cnnfilter.wholefile import whole_file

EVERY = 1.0
"""Seconds from one mark to the next: each waits until the disk has the rows that it tells of."""


@dataclass(frozen=True)
class Marks:
    """How far a result is.

    Attributes
    ----------
    command : str
        A hash of the filters and of all that decides what they give.
    input : list of int
        Bytes of the input, and when it was last written.
    rows : int
        How many rows of the result are on the disk.
    clipped, mistaken : int
        How many of their values were limited, and how many came out as the one that means missing.
    ends : pair of float or None
        The extremes that a stretch needs, once they are found.
    state : str
        What else whoever goes on must know of the file.
    """

    command: str
    input: list[int]
    rows: int = 0
    clipped: int = 0
    mistaken: int = 0
    ends: tuple[float, float] | None = None
    state: str = ""


def marks_of(plan: ChainPlan, form: str, packing: tuple[int | None, ...], file: IO[bytes]) -> Marks:
    """Return the marks of a run of which nothing is written yet."""
    found = os.fstat(file.fileno())
    return Marks(command_of(plan, form, packing), [found.st_size, found.st_mtime_ns])


def command_of(plan: ChainPlan, form: str, packing: tuple[int | None, ...] = ()) -> str:
    """Return a hash of the filters and of all that decides what they give, such as how a file is packed."""
    filters = [(type(filter).__name__, filter.value_range, dict(filter.arguments)) for filter in plan.filters]
    types = (plan.dtype.str, plan.target.str, form, packing)
    how = (plan.shape, plan.linear, plan.value_range, plan.missing, plan.fill)
    told = pickle.dumps((__version__, np.__version__, filters, types, how), protocol=5)
    return hashlib.sha256(told).hexdigest()


class Unfinished:
    """A result on its way, row after row.

    Parameters
    ----------
    target : str
        Where it will be.
    marks : Marks
        Of a run that begins.

    Attributes
    ----------
    settle : callable
        Brings to the file what another run needs to go on, or returns it.
    """

    def __init__(self, target: str, marks: Marks) -> None:
        self.target = os.path.realpath(target)
        self.part = f"{self.target}.part"
        self.record = f"{self.part}.json"
        self.marks = marks
        self.file: IO[bytes] | None = None
        self.marked = monotonic()
        self.settle: Callable[[], str] = lambda: ""
        self.whole = False

    def take_up(self) -> str:
        """Go on with what an earlier run left, if input and command are the same; say what is done."""
        try:
            with open(self.record, encoding="ascii") as file:
                found = Marks(**json.load(file))
            there = os.path.getsize(self.part)
        except (OSError, ValueError, TypeError):
            return f"there is no {self.part} to go on with: begins anew"
        if found.command != self.marks.command:
            return f"{self.part} is of another command: begins anew"
        if found.input != self.marks.input:
            return f"the input has changed since {self.part} was begun: begins anew"
        if not found.rows or not there:
            return f"no row of {self.part} is whole: begins anew"
        self.marks = changed(found, ends=found.ends and (found.ends[0], found.ends[1]))
        return f"goes on with {self.part} from row {found.rows}"

    @property
    def there(self) -> There:
        """What is on the disk already and will be gone on with."""
        if not self.marks.rows:
            return There()
        return There(self.marks.rows, os.path.getsize(self.part), self.marks.state)

    @contextmanager
    def opened(self, *, replace: bool) -> Iterator[IO[bytes]]:
        """Open the unfinished file, and put it in its place when the block ends well.

        Otherwise it stays if rows of it are finished.
        """
        if not os.path.exists(self.record):
            if os.path.exists(self.part):
                raise ImageFileError(f"{self.part} is there, and is no unfinished result; move it away")
            self._keep(self.marks)
        with whole_file(self.target, replace=replace, part=self.part) as self.file:
            _lock(self.file)
            try:
                if not self.marks.rows:
                    self.file.truncate(0)
                self._keep(self.marks)
                yield self.file
            except Exception:
                if not self.marks.rows:
                    self.remove()
                raise
        self.whole = True
        _unlink(self.record)

    def mark(self, rows: int, counts: Counts) -> None:
        """Put down how many rows are written, if it is time to: once they are on the disk."""
        assert self.file is not None, "it has been opened"
        if monotonic() - self.marked < EVERY:
            return
        state = self.settle()
        self.file.flush()
        os.fsync(self.file.fileno())
        self._keep(changed(self.marks, rows=rows, state=state, **counts._asdict()))
        self.marked = monotonic()

    def found(self, ends: tuple[float, float]) -> None:
        """Put down the extremes, so that they need not be looked for again."""
        self._keep(changed(self.marks, ends=ends))

    def _keep(self, marks: Marks) -> None:
        new = f"{self.record}.new"
        with open(new, "w", encoding="ascii") as file:
            json.dump(asdict(marks), file)
        os.replace(new, self.record)
        self.marks = marks

    def remove(self) -> None:
        """Remove what there is."""
        _unlink(self.part)
        _unlink(self.record)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _lock(file: IO[bytes]) -> None:
    """Refuse a file that another run writes, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ImageFileError(f"{file.name} is being written by another run") from error
