"""Numbers at the shell: ``--matrix`` and matrices in text files, tables as results, and ``--at``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from cnnfilter.batch.jobs import STREAM, is_folder
from cnnfilter.cli.inputs import is_matrix, usage
from cnnfilter.cli.main import DONE, note
from cnnfilter.cli.options import Settings
from cnnfilter.cli.outputs import prepare
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import Picture, write
from cnnfilter.filters.chain import run_apart
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.seeing.arithmetic import checked_place
from cnnfilter.seeing.matrix import read_matrix, table, write_matrix
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.reckoning import Value, reckoning
from cnnfilter.wholefile import whole_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.batch.jobs import Source
    from cnnfilter.batch.missing import MissingPixels
    from cnnfilter.batch.process import Process

MOST_TEXT = 32 * 2**20
"""Bytes of a text file that is read as a matrix."""


class Numbers(NamedTuple):
    """An input: its name, its values, whether the last channel is transparency, and what is missing."""

    name: str
    values: NDArray[Any]
    alpha: bool = False
    missing: MissingPixels | None = None


def read_text(path: str) -> NDArray[Any]:
    """Read a matrix from a .csv or .txt file."""
    with open(path, "rb") as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ImageFileError(f"{path}: more than {MOST_TEXT} bytes of text; use .npy")
    try:
        text = content.decode("utf-8-sig")
        return read_matrix(_with_commas(text) if path.lower().endswith(".csv") else text)
    except UnicodeDecodeError as error:
        raise ImageFileError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except ValueError as error:
        raise ImageFileError(f"{path}: {error}") from error


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
    values = _typed(settings, process)
    missing = process.missing_in(Picture([values]))
    if settings.explain:
        from cnnfilter.cli.explain import print_plan

        shape = values.shape if values.ndim > 1 else (1, values.size)
        plan = process.plan(shape, values.dtype, alpha=False, missing=missing)
        print_plan("matrix", plan, settings.json, missing)
        return DONE
    if settings.skip_existing and settings.output and os.path.lexists(settings.output):
        return DONE
    done = process.filter_frame(values, alpha=False, missing=missing)
    if not settings.quiet:
        told = Picture([done.array])
        process.note_clipped(told, done.clipped)
        for loss in told.losses:
            note(loss)
    _put(done.array, settings)
    return DONE


def run_at(process: Process, settings: Settings, sources: Sequence[Source]) -> int:
    """Print the arithmetic of one value for each input; return the exit status."""
    if settings.linear:
        raise usage("--at shows the values as they are stored; leave --linear out")
    assert settings.at is not None, "asked for"
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
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
        yield _typed_numbers(process, "matrix", _typed(settings, process))
        return
    for source in sources:
        if is_matrix(source.path):
            yield _typed_numbers(process, source.path, read_text(source.path))
            continue
        picture = process.read_picture(source.path)
        if picture.alpha and not settings.quiet:
            note(
                f"{source.path}: the sums leave transparency out; for what is stored hidden pixels count for "
                "nothing, and so does a border of zeros"
            )
        yield Numbers(source.path, picture.frames[0], picture.alpha, process.missing_in(picture))


def _typed_numbers(process: Process, name: str, values: NDArray[Any]) -> Numbers:
    return Numbers(name, values, missing=process.missing_in(Picture([values])))


def _typed(settings: Settings, process: Process) -> NDArray[Any]:
    if settings.matrix is not None:
        if settings.inputs or settings.files_from:
            raise usage("--matrix is the input; name no file beside it")
        return read_matrix(settings.matrix)
    (path,) = settings.inputs
    if is_matrix(path):
        return read_text(path)
    picture = process.read_picture(path)
    frame = picture.frames[0]
    if len(picture.frames) > 1 or frame.ndim > 2:
        raise ImageFileError(
            f"{path}: a table holds one grey picture, not {len(picture.frames)} of {frame.shape}"
        )
    return frame[0] if picture.encoding.get("axes") == "W" else frame


def _stored(value: np.generic, value_range: str | None = None) -> str:
    """Say what is written.

    Examples
    --------
    >>> _stored(np.uint8(7), "clip"), _stored(np.float32(0.1))
    ('7 (uint8, range clip)', '0.1 (float32)')
    """
    how = f", range {value_range}" if value_range else ""
    return f"{shown(float(value))} ({value.dtype}{how})"


def _put(result: NDArray[Any], settings: Settings) -> None:
    """Print a table, or write a file."""
    if settings.output in (None, STREAM):
        click.echo(table(result))
        return
    target = str(settings.output)
    if is_folder(target):
        raise usage("a matrix goes into a file or to standard output, not into a folder")
    prepare(target, settings.inputs, quiet=settings.quiet)
    if is_matrix(target):
        with whole_file(target) as file:
            file.write(write_matrix(result, os.path.splitext(target)[1].lower()).encode())
        return
    frame = result if result.ndim > 1 else result[None]
    with whole_file(target) as file:
        picture = Picture([frame], "grey" if frame.ndim == 2 else "channels")
        picture.encoding["axes"] = "W" if result.ndim == 1 else ""  # what a form of arrays is to keep
        write(picture, file, form=settings.format or _form(target), name=target)


def _form(target: str) -> str:
    from cnnfilter.files import form_of

    return form_of(target)
