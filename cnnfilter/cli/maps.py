"""``cnnfilter learned --maps``: the maps that a bank of kernels makes, on one sheet or in a file each."""

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
import numpy as np

from cnnfilter.batch.jobs import STREAM, is_folder
from cnnfilter.batch.missing import find_missing
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, complain, say
from cnnfilter.cli.options import Settings
from cnnfilter.drawing.figure import SUFFIXES
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import FORMS, Picture, form_named, read, write
from cnnfilter.filters.filter import Filter
from cnnfilter.pixels import Applied, Array, apply, depth_dtype, quantise
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.wholefile import whole_file

_BYTES = 256 << 20  # of maps that are held at a time


def run_maps(filter: Filter, settings: Settings, target: str) -> int:
    """Make the maps of every input and return the exit status."""
    _refuse_contradictions(settings, target)
    inputs, failed = settings.inputs or (STREAM,), 0
    for path in inputs:
        name = "standard input" if path == STREAM else path
        try:
            source: Any = sys.stdin.buffer if path == STREAM else path
            picture = read(source, max_pixels=settings.max_pixels, name=name, axes=settings.axes)
            missing = find_missing(picture, 0, settings.missing)
            if missing and missing.found:
                raise ParameterError(
                    f"maps know no missing pixels, and there are {missing}; --missing none takes them as "
                    "numbers"
                )
            write_maps = _write_each if is_folder(target) else _write_sheet
            written = write_maps(filter, settings, picture, target, path)
        except (OSError, ValueError, TypeError) as error:
            complain(error, about=name)
            failed += 1
            continue
        if settings.json:
            click.echo(json.dumps({"input": path, "output": target, "maps": written, "status": "done"}))
        elif settings.verbose:
            say(f"{name} -> {target}: {written} maps")
    return DONE if not failed else SOME_FAILED if failed < len(inputs) else NOTHING_DONE


def _refuse_contradictions(settings: Settings, target: str) -> None:
    given = [name for name in ("output", "name", "in_place", "files_from", "recursive", "explain", "fill",
                               "scheduler") if getattr(settings, name)]  # fmt: skip
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise click.UsageError(f"--maps says itself what is written; it does not go with {option}")
    if any(os.path.realpath(path) == os.path.realpath(target) for path in settings.inputs):
        raise click.UsageError(f"--maps {target} is the input itself; give another name")
    if not settings.inputs and sys.stdin.isatty():
        raise click.UsageError("no input; name image files, or pipe an image in")
    if len(settings.inputs) > 1 and not is_folder(target):
        raise click.UsageError("several images need a folder for their maps: --maps DIR/")
    if not is_folder(target) and os.path.splitext(target)[1].lower() not in SUFFIXES:
        raise click.UsageError(f"--maps {target}: a sheet is .png, .pdf or .svg; a folder ends in /")


def _write_sheet(filter: Filter, settings: Settings, picture: Picture, target: str, path: str) -> int:
    from cnnfilter.drawing.sheet import draw_sheet, require_room, scaled, side_of_tiles

    count = _count(filter, picture)
    require_room(count)  # before the work
    side, white = side_of_tiles(count), full_scale(picture.dtype)
    tiles, ranges = [], []
    for plane in _maps(filter, settings, picture):
        ranges.append((float(plane.min()) / white, float(plane.max()) / white))
        tiles.append(scaled(plane / plane.dtype.type(white), side))
    window = "x".join(map(str, filter.window()))
    size = "x".join(map(str, picture.frames[0].shape[:2]))
    name = "standard input" if path == STREAM else os.path.basename(path)
    title = f"{name}, {size}: {count} maps, window {window}; 1 is white"
    draw_sheet(tiles, ranges, title, target)
    return count


def _write_each(filter: Filter, settings: Settings, picture: Picture, folder: str, path: str) -> int:
    form = form_named(settings.format) if settings.format else "PNG"
    depth = depth_dtype(settings.depth) if settings.depth else picture.dtype
    value_range = settings.range or (None if depth.kind == "f" else filter.range)
    count = _count(filter, picture)
    digits = len(str(count - 1))
    stem = "stdin" if path == STREAM else os.path.splitext(os.path.basename(path))[0]
    os.makedirs(folder, exist_ok=True)
    for k, plane in enumerate(_maps(filter, settings, picture)):
        target = os.path.join(folder, f"{stem}-{k:0{digits}}{FORMS[form][0]}")
        if settings.skip_existing and os.path.exists(target):
            continue
        if os.path.lexists(target) and not settings.overwrite:
            raise ImageFileError(
                f"{target} exists already; --overwrite replaces it, --skip-existing leaves it"
            )
        white = full_scale(picture.dtype)
        done: Applied = quantise(plane, depth, value_range, white=white, threads=settings.threads)
        with whole_file(target, replace=settings.overwrite) as file:
            write(
                Picture([done.array]), file, form=form, name=target, quality=settings.quality,
                compression=settings.compression,
            )  # fmt: skip
    return count


def _count(filter: Filter, picture: Picture) -> int:
    learned, shape = filter.arguments["filter"], picture.frames[0].shape
    channels = (shape[2] if len(shape) == 3 else 1) - picture.alpha
    return int(channels if learned.each_channel else learned.outputs)


def _maps(filter: Filter, settings: Settings, picture: Picture) -> Iterator[Array]:
    """Yield the maps of the first frame one by one, computing a few at a time; in pixel values."""
    frame, learned = picture.frames[0], filter.arguments["filter"]
    most = max(1, _BYTES // (4 * frame.shape[0] * frame.shape[1]))
    parts = [learned]
    if learned.outputs > most:
        parts = [learned.only(k, min(k + most, learned.outputs)) for k in range(0, learned.outputs, most)]
    for part in parts:
        one = filter.changed(filter=part)
        values = apply(
            frame,
            partial(one.run, threads=settings.threads),
            alpha=picture.alpha,
            gain=one.gain,
            bias=one.bias,
            colours_only=one.colours_only,
            constant=one.constant,
            linear=settings.linear,
            depth=np.float64 if frame.dtype == np.float64 else np.float32,
            threads=settings.threads,
        ).array
        planes = values.reshape(*values.shape[:2], -1)
        for k in range(planes.shape[2] - picture.alpha):
            yield planes[..., k]
