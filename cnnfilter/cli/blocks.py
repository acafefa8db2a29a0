"""Which images are filtered in blocks: those that memory does not hold, of forms that are read in parts."""

import math
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cnnfilter.batch.jobs import STREAM, Job
from cnnfilter.batch.missing import MissingPixels, named_missing, overruled
from cnnfilter.batch.process import Outcome, Process, is_left_alone, needed_whole, size_of
from cnnfilter.core.geometry import Pair
from cnnfilter.errors import CnnFilterError, ImageFileError
from cnnfilter.files import MAX_PIXELS
from cnnfilter.files.limit import BeyondLimit, Limit

if TYPE_CHECKING:
    from cnnfilter.filters.plan import ChainPlan
    from cnnfilter.lazy.resuming import Unfinished

Result = TypeVar("Result")

LEAST_FILE = 1 << 20
"""Bytes of the smallest file that is looked at, unless a bound of memory is given: it takes 13 ms."""

PLAUSIBLE = 1100
"""Times its bytes that a file may claim to hold in pixels: deflate packs 1032 bytes into one."""


class Large(NamedTuple):
    """An image that is to be filtered in blocks.

    Attributes
    ----------
    image : Source
        With a `picture` and a `file`.
    plan : ChainPlan
    form : str
        Of the result.
    missing : MissingPixels or None
    others : bool
        Whether pixels have another value that the file declares missing.
    flowing : pair of int or None
        Rows and columns at a time of an image that memory would hold whole, too.
    """

    image: Any
    plan: "ChainPlan"
    form: str
    missing: MissingPixels | None = None
    others: bool = False
    flowing: Pair | None = None


class Damaged(Exception):
    """An image that cannot be read to its end, of which nothing is written."""


class Blocks:
    """Decide of each file whether it is filtered in blocks.

    Parameters
    ----------
    memory : int or None
        Bytes that the process may hold. None takes what is usual, and holds whole what cannot be filtered in
        blocks.
    workers : int
        Files at a time, which share the memory.
    limited : bool
        Whether the user says how many pixels an image may have.
    resume : bool
        Whether to go on with what an earlier run left.
    bar : bool
        Whether to show how far a file is.
    """

    def __init__(
        self,
        memory: int | None,
        *,
        workers: int = 1,
        limited: bool = False,
        resume: bool = False,
        bar: bool = False,
    ) -> None:
        self.memory, self.workers, self.limited = memory, workers, limited
        self.resume, self.bar = resume, bar
        self.unfinished: list[Unfinished] = []
        if memory is not None:
            _ = self.held  # now, when there is nothing else in the process

    @cached_property
    def held(self) -> int:
        """Bytes that the process holds beside images."""
        from cnnfilter.lazy.memory import base

        return base()

    @cached_property
    def share(self) -> int:
        """Bytes that are left for each of the files at a time."""
        from cnnfilter.lazy.memory import usual

        memory = usual() if self.memory is None else self.memory
        return (memory - self.held) // self.workers

    def run(self, process: Process, job: Job) -> Outcome | None:
        """Read, filter and write one file; return None for one that is left alone."""
        started = time.perf_counter()
        if is_left_alone(job):
            return None

        def in_blocks(large: Large) -> Outcome:
            from cnnfilter.cli.blockrun import run_in_blocks

            return run_in_blocks(process, job, large, self, started)

        return self.decided(process, job, in_blocks, lambda process: process.run(job), flowing=True)

    def decided(
        self,
        process: Process,
        job: Job,
        in_blocks: Callable[[Large], Result],
        whole: Callable[[Process], Result],
        *,
        flowing: bool = False,
    ) -> Result:
        """Call one of two functions: with an image to be filtered in blocks, or with what filters it whole.

        What cannot be filtered in blocks is held whole unless the memory is bounded. `flowing`: whether what
        memory holds goes in blocks, too, where that is faster.
        """
        if self.memory is not None:
            # Most readers hold the bytes of the file beside its pixels.
            process = process._replace(room=self.share - size_of(job.source))
        elif size_of(job.source) < LEAST_FILE:
            return whole(process)
        refusal: Exception | None = None
        with ExitStack() as stack:
            large = None
            try:
                large = self._look(process, job, stack, flowing)
            except BeyondLimit:
                raise
            except (CnnFilterError, OSError) as error:
                refusal = error
            if large is not None:
                from cnnfilter.lazy.engine import NeedsWhole
                from cnnfilter.lazy.memory import TooLittle
                from cnnfilter.lazy.stores import NotInParts

                try:
                    return in_blocks(large)
                except Damaged:  # what is wrong is told by whoever reads all of it
                    pass
                except (NeedsWhole, NotInParts, TooLittle) as error:
                    if self.memory is not None:
                        raise
                    refusal = error
        return _reasoned(whole, process, refusal) if refusal else whole(process)

    def leave(self) -> list[str]:
        """Remove what an interruption left of no use; return the names of the rest."""
        for one in self.unfinished:
            if not one.marks.rows:
                one.remove()
        return [one.part for one in self.unfinished if one.marks.rows and not one.whole]

    def _look(self, process: Process, job: Job, stack: ExitStack, flowing: bool) -> Large | None:
        """Open an image and plan what becomes of it, if it is to be filtered in blocks.

        Raises
        ------
        CnnFilterError, OSError
            A file that is not read in parts, or not at all.
        BeyondLimit
            More pixels than the user allows.
        """
        from cnnfilter.lazy.stores import NotInParts, opened

        size = size_of(job.source)
        if not size:  # a pipe is read as it comes
            return None
        source = _unread(stack) if job.source == STREAM else job.source
        image: Any = stack.enter_context(opened(source))
        picture, (height, width, *channels) = image.picture, image.shape
        each = math.prod(channels) * image.dtype.itemsize
        plan = process.plan(image.shape, image.dtype, picture.alpha)
        if needed_whole(plan) <= self.share - size:
            return self._flowing(process, job, image, plan) if flowing else None
        pixels, plausible = height * width, height * width * each <= PLAUSIBLE * size
        if self.limited or not plausible:
            Limit(process.max_pixels).spend(width, height, bytes_a_pixel=each)
        if process.axes is not None:
            raise NotInParts("an array whose axes are named is not read in parts; leave --axes out")
        form = process.form_of(picture, job)
        most = process.max_pixels if self.limited else max(MAX_PIXELS, 2 * pixels)
        process._replace(room=None, max_pixels=most).refuse_large(plan)
        missing, others = _missing(process, image)
        if missing is not None:
            plan = process.plan(image.shape, image.dtype, picture.alpha, missing)
        return Large(image, plan, form, missing, others)

    def _flowing(self, process: Process, job: Job, image: Any, plan: "ChainPlan") -> Large | None:
        """Say in which blocks an image goes that memory would hold whole, if it does."""
        from cnnfilter.lazy.flowing import flowing_block
        from cnnfilter.lazy.stores import blank, laid_out

        picture, form = image.picture, process.form_of(image.picture, job)
        if process.axes is not None or named_missing(picture, 0, process.missing) is not None:
            return None
        if math.prod(plan.shape[:2]) > process.max_pixels or plan.shape[2:] != plan.shapes[-1][2:]:
            return None
        if form == "TIFF" and (picture.encoding.get("big") or picture.encoding.get("planar")):
            return None  # blocks are written in another order, or for larger files
        process.refuse_large(plan)
        result = blank(plan.shapes[-1], plan.target, picture)
        laid = laid_out(result, form, **process.packing)
        block = flowing_block(plan, image, laid.chunks)
        return block and Large(image, plan, form, flowing=block)


def _unread(stack: ExitStack) -> Any:
    """Return standard input as a file without buffer, until the stack is closed."""
    stdin: Any = sys.stdin.buffer
    stack.callback(stdin.raw.seek, stdin.raw.tell())
    stdin.raw.seek(stdin.tell())
    return stdin.raw


def run_on_worker(
    memory: int | None, limited: bool, resume: bool, process: Process, job: Job
) -> Outcome | None:
    """Do what `Blocks.run` does, on a worker that this process has nothing to say to."""
    return _on_worker(memory, limited, resume).run(process, job)


@cache
def _on_worker(memory: int | None, limited: bool, resume: bool) -> Blocks:
    return Blocks(memory, limited=limited, resume=resume)


def _missing(process: Process, image: Any) -> tuple[MissingPixels | None, bool]:
    """Look for missing pixels: what stands for them, and whether others are declared so."""
    from cnnfilter.lazy.engine import count_of

    value = named_missing(image.picture, 0, process.missing)
    if value is None:
        return None, False
    other = overruled(image.picture, 0, value)
    found = MissingPixels(value, process.missing is None, count_of(image, value, alpha=image.picture.alpha))
    return found, other is not None and count_of(image, other, alpha=image.picture.alpha) > 0


def _reasoned(whole: Callable[[Process], Result], process: Process, refusal: Exception) -> Result:
    """Filter an image whole; where it is too large for that, say why it is not filtered in blocks."""
    try:
        return whole(process)
    except BeyondLimit as error:
        raise ImageFileError(f"{error} (in blocks it cannot be filtered: {refusal})") from error
