"""One image filtered in blocks: where its result goes, how far it is, and what is told of it."""

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any

from cnnfilter.batch.jobs import STREAM, Job
from cnnfilter.batch.process import Outcome, Process, tell_other_names, writing
from cnnfilter.cli.blocks import Damaged
from cnnfilter.cli.main import note
from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.filters.parts import ends_of
from cnnfilter.lazy.engine import (
    UNDER_WAY,
    Counts,
    Watch,
    extremes_in_blocks,
    filter_blocks,
    from_row,
    require_local,
)
from cnnfilter.lazy.memory import TooLittle, block_of
from cnnfilter.lazy.stores import Laid, blank, created, laid_out
from cnnfilter.wholefile import whole_file

if TYPE_CHECKING:
    from tqdm import tqdm

    from cnnfilter.cli.blocks import Blocks, Large
    from cnnfilter.filters.plan import ChainPlan
    from cnnfilter.lazy.foreseeing import Foreseen
    from cnnfilter.lazy.resuming import Unfinished


def run_in_blocks(process: Process, job: Job, large: "Large", blocks: "Blocks", started: float) -> Outcome:
    """Filter an image in blocks, and say what was done.

    Raises
    ------
    NeedsWhole, NotInParts, TooLittle
        Before anything is done.
    """
    plan = large.plan
    require_local(plan)
    picture = blank(plan.shapes[-1], plan.target, large.image.picture)
    if large.missing:
        large.missing.tell(picture, 0, others=large.others)
    before = len(picture.losses)
    piped = job.target == STREAM or (os.path.exists(job.target) and not os.path.isfile(job.target))
    if not piped:
        tell_other_names(picture, job.target)
    laid = laid_out(picture, large.form, threads=process.threads, **process.packing)
    if large.flowing:
        counts = _flow(job, large, laid, blocks, piped=piped)
    elif piped:
        counts = _into_pipe(job.target, large, laid, blocks)
    else:
        from cnnfilter.lazy.resuming import Unfinished, marks_of

        marks = marks_of(plan, large.form, tuple(process.packing.values()), large.image.file)
        counts = _into_file(job, large, laid, Unfinished(job.target, marks), blocks)
    # What is told of the result comes before what its file does not hold, as for an image held whole.
    picture.losses, of_file = picture.losses[:before], picture.losses[before:]
    if large.missing and counts.mistaken:
        picture.lose(large.missing.mistaken)
    process.note_clipped(picture, counts.clipped)
    process.note_inexact(picture, large.form)
    picture.losses += of_file
    return Outcome(
        form=large.form,
        input_shape=plan.shape,
        shape=plan.shapes[-1],
        depth=str(plan.target),
        frames=1,
        clipped=counts.clipped,
        seconds=time.perf_counter() - started,
        notes=tuple(dict.fromkeys((*picture.notes, *picture.losses))),
        losses=tuple(picture.losses),
    )


def _flow(job: Job, large: "Large", laid: Laid, blocks: "Blocks", *, piped: bool) -> Counts:
    """Write what memory would hold, too: nothing of it stays if the run does not end well."""
    held = io.BytesIO()

    @contextmanager
    def opening(path: str) -> Iterator[IO[bytes]]:
        with writing(path), whole_file(path, replace=job.existing != "refuse") as file:
            yield file

    with created(job.target, laid, (lambda path: nullcontext(held)) if piped else opening) as sink:
        try:
            counts = _filtered(large, sink, blocks, _Bar(large.plan, shown=False))
        except ImageFileError as error:
            raise Damaged from error
    if piped:
        with _through(job.target) as through:
            through.write(held.getbuffer())
    return counts


@contextmanager
def _through(target: str) -> Iterator[IO[bytes]]:
    """Open what cannot seek."""
    with nullcontext(sys.stdout.buffer) if target == STREAM else open(target, "wb") as through:
        yield through
        through.flush()


def _into_pipe(target: str, large: "Large", laid: Laid, blocks: "Blocks") -> Counts:
    """Write what cannot seek: through a temporary file, so that it gets all of the image or none."""
    import shutil
    import tempfile

    folder = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        name = os.path.join(folder, "result")
        with created(name, laid, lambda path: nullcontext(file)) as sink:
            counts = _filtered(large, sink, blocks, _Bar(large.plan, blocks.bar))
        file.seek(0)
        with _through(target) as through:
            shutil.copyfileobj(file, through, 1 << 20)
    return counts


def _into_file(job: Job, large: "Large", laid: Laid, unfinished: "Unfinished", blocks: "Blocks") -> Counts:
    """Write a file of which every finished row stays if the run does not end well."""
    if blocks.resume:
        note(f"{job.target}: {unfinished.take_up()}")
    blocks.unfinished.append(unfinished)

    @contextmanager
    def opening(path: str) -> Iterator[IO[bytes]]:
        with writing(path), unfinished.opened(replace=job.existing != "refuse") as file:
            yield file

    try:
        with created(job.target, laid, opening, unfinished.there) as sink:
            unfinished.settle = sink.settle
            watch = _Bar(large.plan, blocks.bar, unfinished)
            return _filtered(large, sink, blocks, watch)
    except ImageFileError as error:
        if not unfinished.marks.rows:
            raise
        raise ImageFileError(f"{error}; --resume goes on from row {unfinished.marks.rows}") from error


def _filtered(large: "Large", sink: Any, blocks: "Blocks", watch: "_Bar") -> Counts:
    """Filter what is not yet filtered; return what was counted, in all."""
    image, plan = large.image, large.plan
    block = _block(large, sink, blocks)
    with watch:
        ends = watch.ends
        if plan.value_range == "stretch" and ends is None:
            ends = ends_of(plan, extremes_in_blocks(plan, image, block, watch=watch))
            if watch.unfinished:
                watch.unfinished.found(ends)
        value = large.missing.value if large.missing else None
        # Those that flow are filtered side by side: fewer threads for each wait less for each other.
        threads = max(1, plan.threads // UNDER_WAY) if large.flowing else plan.threads
        part = from_row(plan, watch.rows)._replace(threads=threads)
        filter_blocks(plan, image, sink, block, part=part, ends=ends, missing=value, watch=watch)
    return watch.counts


def _held(large: "Large", written: Any, blocks: "Blocks") -> int:
    """Return the bytes that the process holds beside the blocks."""
    return blocks.held + sum(getattr(store, "held", 0) for store in (large.image, written))


def _block(large: "Large", written: Any, blocks: "Blocks") -> Pair:
    """Choose rows and columns of the blocks."""
    if large.flowing:
        return large.flowing
    held, bands = _held(large, written, blocks), hasattr(large.image, "expect")
    try:
        return block_of(large.plan, written.chunks, blocks.held + blocks.share, held, bands=bands)
    except TooLittle as error:
        if blocks.workers == 1:
            raise
        raise TooLittle(f"{error}; fewer --jobs leave more for each file") from error


def foresee(process: Process, large: "Large", blocks: "Blocks") -> "Foreseen":
    """Say how an image would be filtered.

    Raises
    ------
    NeedsWhole, NotInParts, TooLittle
    """
    from cnnfilter.lazy.foreseeing import foreseen

    image, plan = large.image, large.plan
    require_local(plan)
    picture = blank(plan.shapes[-1], plan.target, image.picture)
    laid = laid_out(picture, large.form, **process.packing)
    block = _block(large, laid, blocks)
    return foreseen(plan, image, block, _held(large, laid, blocks))


class _Bar(Watch):
    """Show on a terminal how far a run is, and put down the rows that are finished."""

    def __init__(self, plan: "ChainPlan", shown: bool, unfinished: "Unfinished | None" = None) -> None:
        self.unfinished, self.shown = unfinished, shown
        marks = unfinished.marks if unfinished else None
        self.rows = marks.rows if marks else 0
        self.before = self.counts = Counts(marks.clipped, marks.mistaken) if marks else Counts()
        self.ends = marks.ends if marks else None
        height, *line = plan.shapes[-1]
        self.each = plan.target.itemsize * (line[1] if len(line) > 1 else 1)
        passes = 2 if plan.value_range == "stretch" and self.ends is None else 1
        self.total = (passes * height - self.rows) * line[0] * self.each
        self.bar: tqdm[None] | None = None

    def __enter__(self) -> "_Bar":
        if self.shown:
            from tqdm import tqdm

            self.bar = tqdm(
                total=self.total, unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr, leave=False,
                dynamic_ncols=True,
            )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def computed(self, rows: Pair, columns: Pair) -> None:
        """Move on."""
        if self.bar is not None:
            self.bar.update((rows[1] - rows[0]) * (columns[1] - columns[0]) * self.each)

    def written(self, rows: int, counts: Counts) -> None:
        """Put down how far the result is."""
        self.counts = Counts(*map(sum, zip(self.before, counts, strict=True)))
        if self.unfinished is not None:
            self.unfinished.mark(rows, self.counts)
