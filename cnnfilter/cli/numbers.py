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
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture, read, write
from cnnfilter.filters.filter import Filter
from cnnfilter.pixels import depth_dtype, quantise
from cnnfilter.seeing.matrix import read_matrix, table, write_matrix
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.reckoning import reckoning
from cnnfilter.wholefile import whole_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.batch.jobs import Source
    from cnnfilter.batch.process import Process

MOST_TEXT = 32 * 2**20
"""Bytes of a text file that is read as a matrix."""


class Numbers(NamedTuple):
    """An input: its name, and its values."""

    name: str
    values: NDArray[Any]


def read_text(path: str) -> NDArray[Any]:
    """Read a matrix from a .csv or .txt file."""
    with open(path, "rb") as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ImageFileError(f"{path}: more than {MOST_TEXT} bytes of text; use .npy")
    try:
        return read_matrix(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ImageFileError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except ValueError as error:
        raise ImageFileError(f"{path}: {error}") from error


def run_matrices(process: Process, settings: Settings) -> int:
    """Filter a typed matrix or a text file, and print or write the result; return the exit status."""
    values = _typed(settings)
    if settings.explain:
        from cnnfilter.cli.explain import print_plan

        shape = values.shape if values.ndim > 1 else (1, values.size)
        print_plan("matrix", process.plan(shape, values.dtype, alpha=False), settings.json)
        return DONE
    result = _filtered(process.steps, values)
    if settings.range or settings.depth:
        dtype = depth_dtype(settings.depth) if settings.depth else result.dtype
        result = quantise(result, dtype, settings.range).array
    _put(result, settings)
    return DONE


def run_at(process: Process, settings: Settings, sources: Sequence[Source]) -> int:
    """Print the arithmetic of one value for each input; return the exit status."""
    if settings.linear:
        raise usage("--at shows the values as they are stored; leave --linear out")
    assert settings.at is not None, "asked for"
    for number, one in enumerate(_inputs(process, settings, sources)):
        *before, last = process.steps
        values = _filtered(before, one.values)
        at = (0, settings.at[0]) if len(settings.at) == 1 else (settings.at[0], settings.at[1])

        def stored(results: NDArray[np.float64], dtype: Any = one.values.dtype) -> list[str]:
            return _stored(results, dtype, settings, process.steps[-1])

        if len(sources) > 1:
            click.echo(f"{chr(10) if number else ''}{one.name}")
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        click.echo(reckoning(last, values, at, stored, color))
    return DONE


def _inputs(process: Process, settings: Settings, sources: Sequence[Source]) -> Iterator[Numbers]:
    if settings.matrix is not None:
        yield Numbers("matrix", _typed(settings))
        return
    for source in sources:
        if is_matrix(source.path):
            yield Numbers(source.path, read_text(source.path))
            continue
        stream: Any = sys.stdin.buffer if source.path == STREAM else source.path
        picture = read(stream, max_pixels=settings.max_pixels)
        frame = picture.frames[0]
        if picture.alpha:
            note(f"{source.path}: transparency is left out; an image command weighs colours by it")
            frame = frame[..., :-1]
        yield Numbers(source.path, frame)


def _typed(settings: Settings) -> NDArray[Any]:
    if settings.matrix is not None:
        if settings.inputs or settings.files_from:
            raise usage("--matrix is the input; name no file beside it")
        return read_matrix(settings.matrix)
    (path,) = settings.inputs
    return read_text(path)


def _filtered(steps: Sequence[Filter], values: NDArray[Any]) -> NDArray[Any]:
    """Run filters one after another; values stay floats between them."""
    for step in steps:
        values = np.asarray(step.run(values, np.float64))
    return values


def _stored(
    results: NDArray[np.float64], dtype: np.dtype[Any], settings: Settings, last: Filter
) -> list[str]:
    """Say what an image command writes for results, by --depth and --range."""
    target = depth_dtype(settings.depth) if settings.depth else dtype
    if target.kind == "f":
        return [f"{shown(float(value))} ({target})" for value in results]
    how = settings.range or last.range
    values = quantise(results.astype(np.float64)[None], target, how).array[0]
    return [f"{value} ({target}, range {how})" for value in values.tolist()]


def _put(result: NDArray[Any], settings: Settings) -> None:
    """Print a table, or write a file."""
    if settings.output in (None, STREAM):
        click.echo(table(result))
        return
    target = str(settings.output)
    if is_folder(target):
        raise usage("a matrix goes into a file or to standard output, not into a folder")
    if is_matrix(target):
        with whole_file(target) as file:
            file.write(write_matrix(result, os.path.splitext(target)[1].lower()).encode())
        return
    frame = result if result.ndim > 1 else result[None]
    with whole_file(target) as file:
        picture = Picture([frame], "grey" if frame.ndim == 2 else "channels")
        write(picture, file, form=settings.format or _form(target), name=target)


def _form(target: str) -> str:
    from cnnfilter.files import form_of

    return form_of(target)
