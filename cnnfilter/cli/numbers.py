"""Numbers at the shell: ``--matrix`` and matrices in text files, tables as results, and ``--at``."""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from cnnfilter.batch.jobs import STREAM, Job, is_folder
from cnnfilter.batch.process import Outcome
from cnnfilter.cli.inputs import is_numbers, text_form, usage
from cnnfilter.cli.main import DONE, note, shows_colours
from cnnfilter.cli.options import Settings
from cnnfilter.cli.outputs import note_target, prepare
from cnnfilter.cli.report import Report
from cnnfilter.cli.slips import beside_matrix
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import Picture, form_of, write
from cnnfilter.filters.chain import run_apart
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.seeing.arithmetic import checked_place
from cnnfilter.seeing.exactness import exactly
from cnnfilter.seeing.matrix import read_matrices, read_matrix, table, write_matrix
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.reckoning import Value, reckoning
from cnnfilter.wholefile import whole_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.batch.jobs import Source
    from cnnfilter.batch.missing import MissingPixels
    from cnnfilter.batch.process import Process

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

MOST_TEXT = 32 * 2**20
"""Bytes of a text file that is read as a matrix."""


class Numbers(NamedTuple):
    """An input: its name, its values, whether the last channel is transparency, and what is missing."""

    name: str
    values: NDArray[Any]
    alpha: bool = False
    missing: MissingPixels | None = None


def read_text(path: str) -> NDArray[Any]:
    """Read a matrix from a .csv or .txt file, or from standard input."""
    if path == STREAM:
        name, content = "standard input", sys.stdin.buffer.read(MOST_TEXT + 1)
    else:
        name = path
        with open(path, "rb") as file:
            content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ImageFileError(f"{name}: more than {MOST_TEXT} bytes of text; use .npy")
    try:
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
        return read_matrix(_with_commas(text) if name.lower().endswith(".csv") else text)
    except UnicodeDecodeError as error:
        raise ImageFileError(f"{name}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except ValueError as error:
        raise ImageFileError(f"{name}: {error}") from error


def _with_commas(text: str) -> str:
    r"""Return a table with commas between values, if all lines have semicolons there, and decimal commas.

    Examples
    --------
    >>> _with_commas("1,5;2\n3;4"), _with_commas("1,2;3,4")
    ('1.5,2\n3,4', '1,2;3,4')
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not all(";" in line.rstrip("; ") for line in lines):
        return text
    return "\n".join(line.replace(",", ".").replace(";", ",") for line in lines)


def run_matrices(process: Process, settings: Settings) -> int:
    """Filter a typed matrix or a text file, and print or write the result; return the exit status."""
    if settings.in_place:
        raise usage("--in-place is for images; give a matrix -o FILE")
    name, values = _typed(settings, process)
    missing = process.missing_in(Picture([values]))
    if settings.explain:
        from cnnfilter.cli.explain import print_plan

        plan = process.plan(values.shape, values.dtype, alpha=False, missing=missing)
        print_plan(name, plan, settings.json, missing)
        return DONE
    with _report(process, settings) as report:
        report.add(Job(name, settings.output or STREAM), _filtered(process, settings, values, missing))
    return report.status


def _report(process: Process, settings: Settings) -> Report:
    """Make ready what tells of a matrix as of a file; JSON leaves standard output to the numbers."""
    from cnnfilter.cli.record import record_of

    return Report(
        1,
        quiet=settings.quiet,
        verbose=settings.verbose,
        as_json=settings.json,
        stream=sys.stderr if settings.output in (None, STREAM) else sys.stdout,
        record=record_of(process) if settings.json else None,
    )


def _filtered(
    process: Process, settings: Settings, values: NDArray[Any], missing: MissingPixels | None
) -> Outcome | None:
    """Filter a matrix and print or write the result, or leave alone one that is there."""
    if settings.skip_existing and settings.output and os.path.lexists(settings.output):
        return None
    started = time.perf_counter()
    done = process.filter_frame(values, alpha=False, missing=missing)
    told = Picture([done.array])
    process.note_clipped(told, done.clipped)
    result = done.array
    if process.value_range is None and process.depth is None and missing is None:
        result = exactly(process.steps, values, result)
    form = _put(result, settings)
    seconds, losses = time.perf_counter() - started, tuple(told.losses)
    depth = str(result.dtype)
    return Outcome(form, values.shape, result.shape, depth, 1, done.clipped, seconds, losses, losses)


def run_at(process: Process, settings: Settings, sources: Sequence[Source]) -> int:
    """Print the arithmetic of one value for each input; return the exit status."""
    if settings.linear:
        raise usage("--at shows the values as they are stored; leave --linear out")
    assert settings.at is not None, "asked for"
    color = shows_colours()
    for number, one in enumerate(_inputs(process, settings, sources)):
        if len(sources) > 1:
            click.echo(f"{chr(10) if number else ''}{one.name}")
        if one.missing and one.missing.found:
            raise ParameterError(
                f"{one.name}: --at lays open no sums over missing pixels, and there are {one.missing}; "
                "--missing none takes them as numbers"
            )
        click.echo(_reckoned(process, one, settings.at, color))
    return DONE


def _reckoned(process: Process, one: Numbers, at: tuple[int, ...], color: bool) -> str:
    """Write the arithmetic of one value; what is stored is taken from the run that an image command makes.

    The whole image is run: a stretch looks for its extremes everywhere, and hidden colours are filled from
    all sides.
    """
    signal = one.values.ndim == 1
    result = _deep(process.filter_frame(one.values, one.alpha, overwrite=False).array, signal)
    place = checked_place((0, at[0]) if len(at) == 1 else at, (result.shape[0], result.shape[1]), signal)
    plan = process.plan(one.values.shape, one.values.dtype, one.alpha)
    given, values = run_apart(plan, one.values)
    pixel, made = result[place], _deep(values, signal)[place]
    if one.alpha:
        given, made = given[..., :-1], made[:-1]
    stored = [_stored(value, plan.value_range) for value in pixel[: len(made)]]
    white = plan.settings[-1]["white"] or full_scale(given.dtype)
    text = reckoning(plan.filters[-1], Value(given, place, made, stored, white), color)
    return f"{text}\n\ntransparency\nstored as  {_stored(pixel[-1])}" if one.alpha else text


def _deep(values: NDArray[Any], signal: bool) -> NDArray[Any]:
    """Return values as rows, columns and channels."""
    return values.reshape(1, -1, 1) if signal else values.reshape(*values.shape[:2], -1)


def _inputs(process: Process, settings: Settings, sources: Sequence[Source]) -> Iterator[Numbers]:
    if settings.matrix is not None:
        yield _typed_numbers(process, *_typed(settings, process))
        return
    for source in sources:
        if is_numbers(source.path):
            yield _typed_numbers(process, source.path, read_text(source.path))
            continue
        picture = process.read_picture(source.path)
        if len(picture.frames) > 1 and not settings.quiet:
            note(first_of(source.path, picture))
        if picture.alpha and not settings.quiet:
            note(
                f"{source.path}: the sums leave transparency out; for what is stored hidden pixels count for "
                "nothing, and so does a border of zeros"
            )
        yield Numbers(source.path, picture.frames[0], picture.alpha, process.missing_in(picture))


def typed_matrices(texts: Sequence[str]) -> list[NDArray[Any]]:
    """Read matrices that are typed; one that is the name of a file is told to be an input."""
    try:
        return list(read_matrices(texts))
    except ParameterError:
        for text in filter(os.path.isfile, texts):
            raise usage(f"{text} is a file, which is named without --matrix") from None
        raise


def first_of(path: str, picture: Picture) -> str:
    """Say which of several frames is looked at."""
    name = "standard input" if path == STREAM else path
    return f"{name}: the first of its {len(picture.frames)} frames is shown"


def _typed_numbers(process: Process, name: str, values: NDArray[Any]) -> Numbers:
    return Numbers(name, values, missing=process.missing_in(Picture([values])))


def _typed(settings: Settings, process: Process) -> tuple[str, NDArray[Any]]:
    """Return a matrix that is typed, or read from a file or a pipe, with its name."""
    if settings.matrix is not None:
        if settings.inputs or settings.files_from:
            raise usage(beside_matrix(settings.matrix, settings.inputs))
        return "matrix", typed_matrices([settings.matrix])[0]
    path = settings.inputs[0] if settings.inputs else STREAM
    if path == STREAM and (sys.stdin is None or sys.stdin.isatty()):
        raise usage("no input; name a file, pipe one in, or give --matrix")
    if is_numbers(path):
        return path, read_text(path)
    picture = process.read_picture(path)
    frame = picture.frames[0]
    if len(picture.frames) > 1 or frame.ndim > 2:
        raise ImageFileError(
            f"{path}: a table holds one grey picture, not {len(picture.frames)} of {frame.shape}"
        )
    return path, frame[0] if picture.encoding.get("axes") == "W" else frame


def _stored(value: np.generic, value_range: str | None = None) -> str:
    """Say what is written.

    Examples
    --------
    >>> _stored(np.uint8(7), "clip"), _stored(np.float32(0.1))
    ('7 (uint8, range clip)', '0.1 (float32)')
    """
    how = f", range {value_range}" if value_range else ""
    return f"{shown(float(value))} ({value.dtype}{how})"


def _put(result: NDArray[Any], settings: Settings) -> str:
    """Print a table, or write a matrix as text or as an image; return what the form is called."""
    target = settings.output or STREAM
    form = text_form(settings.format) or ("" if settings.format else text_form(os.path.splitext(target)[1]))
    if target == STREAM and not settings.format:
        click.echo(table(result))
        return "table"
    if target != STREAM and is_folder(target):
        raise usage("a matrix goes into a file or to standard output, not into a folder")
    prepare(target, settings.inputs, quiet=settings.quiet)
    if not settings.quiet:
        note_target(target, settings.format)
    content = write_matrix(result, f".{form}").encode() if form else _image(result, settings, target)
    if target == STREAM:
        sys.stdout.buffer.write(content)
        return (form or str(settings.format)).upper()
    with whole_file(target) as file:
        file.write(content)
    return (form or settings.format or form_of(target)).upper()


def _image(result: NDArray[Any], settings: Settings, target: str) -> bytes:
    """Encode a matrix as an image."""
    if target == STREAM and sys.stdout.isatty():
        raise usage("an image is not for a terminal; give -o FILE, or redirect standard output")
    frame = result if result.ndim > 1 else result[None]
    picture = Picture([frame], "grey" if frame.ndim == 2 else "channels")
    picture.encoding["axes"] = "W" if result.ndim == 1 else ""  # what a form of arrays is to keep
    name = "standard output" if target == STREAM else target
    encoded = io.BytesIO()
    write(picture, encoded, form=settings.format or form_of(target), name=name)
    return encoded.getvalue()
