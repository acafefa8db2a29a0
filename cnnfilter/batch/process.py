"""One file's way through the filters: read, filter, write."""

import io
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from cnnfilter.batch.jobs import STREAM, Job
from cnnfilter.batch.missing import MissingPixels, find_missing, has_pixels_of, is_overruled
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import MAX_PIXELS, Metadata, Picture, form_named, form_of, read, write
from cnnfilter.files.limit import BeyondLimit
from cnnfilter.files.writing import Target
from cnnfilter.filters.chain import Result, run_chain
from cnnfilter.filters.filter import Filter, Range
from cnnfilter.filters.plan import ChainPlan, plan_chain
from cnnfilter.pixels import Array

_INEXACT = ("AVIF", "GIF", "HEIC", "JPEG")
"""Forms that change pixels a little, those too whose value means that they are missing."""

_INEXACT_AT_A_QUALITY = ("JP2", "JXL", "WEBP")
"""Forms that do where a quality is asked for."""

_SHARES = (1, 5, 20, 40)
"""Percents of clipped values that are told apart."""


class OutputExists(ImageFileError):
    """An output that is there already, and may neither be replaced nor left alone."""

    WAYS = "--overwrite replaces them, --skip-existing leaves them"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} exists already; --overwrite replaces it, --skip-existing leaves it")
        self.path = path


class Outcome(NamedTuple):
    """What became of one file: of its first frame, where frames differ.

    Attributes
    ----------
    form : str
        What was written: ``PNG`` and so on.
    input_shape, shape : tuple of int
        Rows, columns and perhaps channels, before and after.
    depth : str
        The dtype of the result.
    frames : int
        How many frames there are.
    clipped : int
        How many values of all frames were limited to the range of the pixels.
    seconds : float
        How long it took.
    notes : tuple of str
        What was done to the pixels beside filtering, and what of the input was lost.
    losses : tuple of str
        Those of the notes that the user is told without asking.
    """

    form: str
    input_shape: tuple[int, ...]
    shape: tuple[int, ...]
    depth: str
    frames: int
    clipped: int
    seconds: float
    notes: tuple[str, ...]
    losses: tuple[str, ...] = ()


class Process(NamedTuple):
    """What is done to each file of a batch; many threads may run one.

    Attributes
    ----------
    steps : tuple of Filter
        In order. Values stay floats between them and are rounded once.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        What becomes of the last filter's values outside the pixels' range; default the filter's own
        choice, and nothing for floats.
    linear : bool
        Whether to filter in linear light.
    depth : {"8", "16", "f32"}, optional
        Of the result; default that of the input.
    form : str, optional
        Of the output; default as its suffix says, or else as the input was.
    quality, compression : int, optional
        See `cnnfilter.files.write`.
    max_pixels, axes
        See `cnnfilter.files.read`.
    threads : int, optional
        How many threads filter one file.
    missing : "none", "nan" or number, optional
        The value of pixels that are missing; default what a file declares of its own.
    fill : bool
        Whether a pixel that was missing may get a value.
    room : int, optional
        Most bytes that the pixels of one file may take in memory, on their way from input to output.
    """

    steps: tuple[Filter, ...]
    value_range: Range | None = None
    linear: bool = False
    depth: str | None = None
    form: str | None = None
    quality: int | None = None
    compression: int | None = None
    max_pixels: int = MAX_PIXELS
    axes: str | None = None
    threads: int | None = None
    missing: float | str | None = None
    fill: bool = False
    room: int | None = None

    @property
    def packing(self) -> dict[str, Any]:
        """How a result is packed, as writing is told."""
        return {"quality": self.quality, "compression": self.compression}

    def run(self, job: Job) -> Outcome | None:
        """Read, filter and write one file; return None for one that is left alone."""
        started = time.perf_counter()
        if is_left_alone(job):
            return None
        picture = self.read_picture(job.source)
        input_shape = picture.frames[0].shape
        clipped = self._filter(picture)
        self.note_clipped(picture, clipped)
        form = self.form_of(picture, job)
        self.note_inexact(picture, form)
        self._write(picture, job, form)
        return Outcome(
            form=form,
            input_shape=input_shape,
            shape=picture.frames[0].shape,
            depth=str(picture.dtype),
            frames=len(picture.frames),
            clipped=clipped,
            seconds=time.perf_counter() - started,
            notes=tuple(dict.fromkeys((*picture.notes, *picture.losses))),
            losses=tuple(picture.losses),
        )

    def read_picture(self, source: str) -> Picture:
        """Read a file, or standard input."""
        how: dict[str, Any] = {"max_pixels": self.max_pixels, "axes": self.axes}
        if self.room is not None:
            if self.room < 0:
                raise BeyondLimit("its bytes alone take more memory than there is; raise it with --memory")
            how["max_bytes"] = self.room // 2  # decoders hold rows before they become pixels
        if source == STREAM:
            picture = read(sys.stdin.buffer, name="standard input", **how)
        else:
            picture = read(source, **how)
        if picture.encoding.get("axes") == "W":
            self._refuse_darkening()
        return picture

    def _refuse_darkening(self) -> None:
        """Refuse to filter a signal as the one row of an image whose neighbours are not as it is."""
        for step in self.steps:
            boundary = step.boundaries[0]
            if boundary in ("zero", "constant") and step.window()[0] > 1:
                raise ParameterError(
                    f"a signal has no rows above it to be {boundary}; choose another --boundary, or give "
                    "an array of shape (1, N)"
                )

    def _filter(self, picture: Picture) -> int:
        """Replace the frames one by one, so that only one of them is ever there twice."""
        clipped, colours = 0, picture.colours
        if self.missing is not None:  # what a file does not say of its pages is said of each
            picture.pages += [Metadata() for _ in picture.frames[len(picture.pages) + 1 :]]
        for index in range(len(picture.frames)):
            try:
                clipped += self._filter_page(picture, index)
            except ValueError as error:
                if len(picture.frames) > 1:
                    error.add_note(f"in frame {index + 1}")
                raise
        if picture.colours != colours:
            picture.rename_colours()
        return clipped

    def note_clipped(self, picture: Picture, clipped: int) -> None:
        """Say that values were limited which nobody asked to limit, in words that files can share."""
        if self.value_range or any(step.value_range for step in self.steps):
            return
        # Directions fill their range, and half a level is no loss.
        if self.steps[-1].span or self.steps[-1].is_limited:
            return
        share = clipped / sum(frame.size for frame in picture.frames)
        if passed := [percent for percent in _SHARES if share > percent / 100]:
            # Of a kernel whose sum is 0 half of the results are negative.
            is_signed = any(abs(step.gain) < 1e-6 for step in self.steps)
            below, ways = (" (below 0, mostly)", "abs or offset") if is_signed else ("", "stretch")
            where = " after the filter that makes them" if len(self.steps) > 1 else ""
            picture.lose(
                f"more than {passed[-1]} % of the values lay outside the range of the pixels{below} and were "
                f"clipped; --range {ways}{where} keeps them"
            )

    def note_inexact(self, picture: Picture, form: str) -> None:
        """Say that missing pixels are lost in a form that changes pixels a little."""
        marked = any(picture.kept(index).marked for index in range(len(picture.frames)))
        if marked and self._is_inexact(picture, form):
            picture.lose(f"{form} keeps no value exactly: missing pixels cannot be told from others")

    def _filter_page(self, picture: Picture, index: int) -> int:
        """Replace a frame by its result; return how many values were limited."""
        missing = self.missing_in(picture, index)
        others = missing is not None and is_overruled(picture, index, missing.value)
        done = self.filter_frame(picture.frames[index], picture.alpha, missing)
        picture.frames[index] = done.array
        if missing is None:
            return done.clipped
        missing.tell(picture, index, others=others)
        if done.mistaken or (not missing.found and has_pixels_of(missing.value, done.array, picture.alpha)):
            picture.lose(missing.mistaken)
        return done.clipped

    def missing_in(self, picture: Picture, index: int = 0) -> MissingPixels | None:
        """Find out what stands for missing pixels in a frame: what was asked for, else what it declares."""
        return find_missing(picture, index, self.missing)

    def filter_frame(
        self, frame: Array, alpha: bool, missing: MissingPixels | None = None, *, overwrite: bool = True
    ) -> Result:
        """Run one frame through the filters.

        Parameters
        ----------
        frame : array of shape (N,), (H, W) or (H, W, C)
        alpha : bool
            Whether its last channel is transparency.
        missing : MissingPixels, optional
            What stands for missing pixels in it.
        overwrite : bool, default True
            Whether the frame may be used up.
        """
        plan = self.plan(frame.shape, frame.dtype, alpha, missing)
        self.refuse_large(plan)
        return run_chain(plan, frame, overwrite=overwrite)

    def plan(
        self, shape: tuple[int, ...], dtype: Any, alpha: bool, missing: MissingPixels | None = None
    ) -> ChainPlan:
        """Plan what becomes of frames of a shape and type; those without missing pixels know of none."""
        return plan_chain(
            self.steps,
            shape,
            dtype,
            alpha=alpha,
            linear=self.linear,
            value_range=self.value_range,
            depth=self.depth,
            threads=self.threads,
            missing=missing.value if missing and missing.found else None,
            fill=self.fill,
        )

    def refuse_large(self, plan: ChainPlan) -> None:
        """Refuse padding and results beyond `max_pixels`, or `room`, before memory is asked for."""
        for filter, geometry in zip(plan.filters, plan.geometries, strict=True):
            padded, shape = (geometry.rows.padded, geometry.columns.padded), geometry.output_shape
            if max(*padded, shape[0] * shape[1]) > self.max_pixels:
                raise ParameterError(
                    f"{filter.title} would pad to {padded[0]}x{padded[1]} and give {shape[0]}x{shape[1]} "
                    f"pixels, more than the limit of {self.max_pixels}; raise it with --max-pixels"
                )
        if self.room is not None and (needed := needed_whole(plan)) > self.room:
            raise BeyondLimit(
                f"an image of {plan.shape} {plan.dtype} takes about {needed} bytes of memory while it is "
                f"filtered, and {self.room} are left for it; raise it with --memory"
            )

    def _is_inexact(self, picture: Picture, form: str) -> bool:
        """Whether pixels change a little when they are written."""
        lossy_as_before = form == picture.form == "WEBP" and not picture.encoding.get("lossless")
        asked = self.quality is not None and form in _INEXACT_AT_A_QUALITY
        return form in _INEXACT or asked or lossy_as_before

    def form_of(self, picture: Picture, job: Job) -> str:
        """Return the form in which a result is written."""
        if self.form:
            return form_named(self.form)
        if job.target in (job.source, STREAM):
            return picture.form
        try:
            return form_of(job.target)
        except ImageFileError:
            return picture.form

    def _write(self, picture: Picture, job: Job, form: str) -> None:
        def save(target: Target, **how: Any) -> None:
            write(picture, target, form=form, threads=self.threads, **self.packing, **how)

        if job.target == STREAM:
            encoded = io.BytesIO()  # a failure must not leave half an image in the pipe
            save(encoded, name="standard output")
            sys.stdout.buffer.write(encoded.getbuffer())
            sys.stdout.buffer.flush()
            return
        tell_other_names(picture, job.target)
        with writing(job.target):
            save(job.target, overwrite=job.existing != "refuse")


def is_left_alone(job: Job) -> bool:
    """Whether an output is there and stays.

    Raises
    ------
    OutputExists
    """
    if job.existing == "skip" and _is_whole(job.target):
        return True
    if job.existing == "refuse" and os.path.lexists(job.target):
        raise OutputExists(job.target)
    return False


def size_of(source: str) -> int:
    """Return the bytes of a file on disk; 0 for what has no size, as a pipe."""
    try:
        found = os.fstat(sys.stdin.fileno()) if source == STREAM else os.stat(source)
    except (OSError, ValueError):  # not there, or no file of the system
        return 0
    return found.st_size


def needed_whole(plan: ChainPlan) -> int:
    """Return the bytes that an image takes, about, if it is filtered whole: it, its result, that packed."""
    frame, result = (
        math.prod(shape) * dtype.itemsize
        for shape, dtype in ((plan.shape, plan.dtype), (plan.shapes[-1], plan.target))
    )
    return frame + max(frame, plan.memory + result)


def tell_other_names(picture: Picture, path: str) -> None:
    """Put down that a file which is replaced has hard links beside it."""
    with suppress(OSError):
        if others := os.stat(path).st_nlink - 1:
            picture.losses.append(f"{others} other names of {path} (hard links) keep the old image")


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Say of an error that it is one of writing there."""
    try:
        yield
    except OSError as error:
        words = error.strerror[:1].lower() + error.strerror[1:] if error.strerror else str(error)
        words = words.removeprefix(f"{path}: ")
        raise ImageFileError(f"cannot write {path}: {words}") from error


def _is_whole(path: str) -> bool:
    """Whether an output is there. An empty file is not: a failing machine may leave one."""
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False
