"""Zarr stores on their way: what an ended run left, and how the next one goes on.

Beside a store NAME lie, until it is whole, the store ``NAME.part`` and ``NAME.part.json``, which says how
many planes and rows of it are written, and of which input and command.
"""

import json
from dataclasses import asdict, dataclass, field
from dataclasses import replace as changed
from time import monotonic
from typing import Any

from cnnfilter.core.geometry import Pair
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.engine import Counts, Watch
from cnnfilter.lazy.places import place_of
from cnnfilter.lazy.resuming import EVERY, command_of


@dataclass(frozen=True)
class StoreMarks:
    """How far a store is.

    Attributes
    ----------
    command : str
    input : list of int
        Bytes of the input, and when some of it was last written.
    plane, rows : int
        How many planes are whole, and how many rows of the next one.
    clipped : int
        How many of their values were limited.
    regions : list of int
        Which are whole, where workers do them in any order.
    ends : pair of float or None
        The extremes that a stretch of regions needs, once they are found.
    """

    command: str
    input: list[int]
    plane: int = 0
    rows: int = 0
    clipped: int = 0
    regions: list[int] = field(default_factory=list)
    ends: tuple[float, float] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with."""
        return bool(self.plane or self.rows or self.regions)


class UnfinishedStore:
    """A store on its way.

    Parameters
    ----------
    target : str
        Where it will be.
    plan : ChainPlan
        Of a plane.
    source : str
        The file or store that is read.
    by_regions : bool
        Whether it is made region by region, and not row by row.
    """

    def __init__(self, target: str, plan: ChainPlan, source: str, *, by_regions: bool = False) -> None:
        self.place = place_of(target)
        self.part = f"{target}.part"
        self.record = f"{self.part}.json"
        self.marks = StoreMarks(
            command_of(plan, "Zarr by regions" if by_regions else "Zarr"), place_of(source).stamp(source)
        )
        self.marked = monotonic()

    def take_up(self) -> str:
        """Go on with what an earlier run left, if input and command are the same; say what is done."""
        try:
            found = StoreMarks(**json.loads(self.place.read(self.record)))
        except (OSError, ValueError, TypeError):
            return f"there is no {self.part} to go on with: begins anew"
        if found.command != self.marks.command:
            return f"{self.part} is of another command: begins anew"
        if found.input != self.marks.input:
            return f"the input has changed since {self.part} was begun: begins anew"
        if not self.place.exists(self.part) or not found.begun:
            return f"no row of {self.part} is whole: begins anew"
        self.marks = found
        if found.regions:
            return f"goes on with {self.part}, of which {len(found.regions)} regions are whole"
        plane = f"plane {found.plane}, " if found.plane else ""
        return f"goes on with {self.part} from {plane}row {found.rows}"

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with."""
        return self.marks.begun

    def keep(self, **marks: Any) -> None:
        """Put down how far the store is."""
        self.marks = changed(self.marks, **marks)
        self.place.write(self.record, json.dumps(asdict(self.marks)))
        self.marked = monotonic()

    def watch(self, plane: int) -> Watch:
        """Return who puts down how far a plane is."""
        return _PlaneWatch(self, plane)

    def end(self, *, whole: bool) -> None:
        """Remove the record of a store that is whole, and what is of no use."""
        if whole or not self.begun:
            self.place.remove(self.part)
            self.place.remove(self.record)


class _PlaneWatch(Watch):
    def __init__(self, unfinished: UnfinishedStore, plane: int) -> None:
        self.unfinished, self.plane, self.before = unfinished, plane, unfinished.marks.clipped

    def computed(self, rows: Pair, columns: Pair) -> None:
        """Wait until it is written."""

    def written(self, rows: int, counts: Counts) -> None:
        """Put it down, if it is time to."""
        if monotonic() - self.unfinished.marked >= EVERY:
            self.unfinished.keep(plane=self.plane, rows=rows, clipped=self.before + counts.clipped)
