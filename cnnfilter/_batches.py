"""Batches of files from Python, as the command line runs them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal, get_args

from cnnfilter.batch.files import FileResult, Path, filter_images
from cnnfilter.batch.process import Process
from cnnfilter.core.geometry import whole_number
from cnnfilter.core.threads import LARGEST
from cnnfilter.errors import DtypeError, ParameterError, real_number, shown
from cnnfilter.files import MAX_PIXELS, form_named
from cnnfilter.filters.filter import Filter, Range
from cnnfilter.pixels.kinds import DEPTHS


def filter_files(
    inputs: Path | Iterable[Path],
    output: Path,
    steps: str | Filter | Iterable[Filter],
    *,
    value_range: Range | None = None,
    linear: bool = False,
    depth: str | None = None,
    form: str | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    jobs: int | None = None,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    missing: float | Literal["none", "nan"] | None = None,
    fill: bool = False,
) -> list[FileResult]:
    """Run image files through filters: floats between them, rounded once, at the end.

    The files that are written are those of the command line, to the byte. One that fails does not stop the
    others, and nothing is printed.

    Parameters
    ----------
    inputs : path or iterable of paths
        Of image files, and of folders for all the images in and below them.
    output : path
        A folder, made if missing; names and places below a folder of the inputs are kept. For one image it
        may be a file, if it has the suffix of an image.
    steps : str, Filter or iterable of Filter
        As after ``cnnfilter pipe --``: ``"gaussian --sigma 2 then pool max"``; or filters, such as
        ``cnnfilter.registry.filter_named("mean")(size=5)``.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        What becomes of values outside the pixels' range; default the last filter's own choice.
    linear : bool, default False
        Filter in linear light (sRGB curve).
    depth : {"8", "16", "f32"}, optional
        Bits of a value; f32 keeps signs. Default: those of the input.
    form : str, optional
        Of the outputs, such as "png", which changes their suffixes; default as they are named.
    overwrite, skip_existing : bool, default False
        Replace what is there already, or leave it; otherwise it fails.
    jobs : int, optional
        Files at a time. Default: the processors.
    threads : int, optional
        For each file. Default: the processors, shared among the jobs.
    max_pixels : int, default 500 million
        Larger images fail, unread.
    missing : "none", "nan" or number, optional
        The value of pixels that are missing; default what each file declares (GDAL's nodata).
    fill : bool, default False
        Give missing pixels a value where one can be.

    Returns
    -------
    list of FileResult
        One for each image, in the order of the inputs: ``.input``, ``.output``, ``.status`` ("done",
        "skipped" or "failed"), ``.outcome`` (what was done) and ``.error``.

    Raises
    ------
    ParameterError, DtypeError
        Before anything is done: for an argument that cannot be used, two results for one file, or a result
        that would replace an input.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnfilter as cf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.png")
    ...     cf.write(cf.Picture([np.eye(8, dtype=np.uint8)]), path)
    ...     (result,) = cf.filter_files(path, os.path.join(folder, "small"), "mean --size 5 then pool max")
    >>> result.status, result.outcome.shape
    ('done', (4, 4))
    """
    if overwrite and skip_existing:
        raise ParameterError("overwrite and skip_existing contradict each other; give one of them")
    _refuse_unknown("value_range", value_range, get_args(Range))
    _refuse_unknown("depth", depth, tuple(DEPTHS))
    process = Process(
        _filters(steps),
        value_range=value_range,
        linear=linear,
        depth=depth,
        form=form_named(form) if form else None,
        max_pixels=_whole("max_pixels", max_pixels, 2**63 - 1),
        threads=None if threads is None else _whole("threads", threads, LARGEST),
        missing=_missing(missing),
        fill=fill,
    )
    return filter_images(
        [inputs] if isinstance(inputs, str | os.PathLike) else inputs,
        output,
        process,
        existing="skip" if skip_existing else "replace" if overwrite else "refuse",
        workers=None if jobs is None else _whole("jobs", jobs, LARGEST),
    )


def _filters(steps: str | Filter | Iterable[Filter]) -> tuple[Filter, ...]:
    if isinstance(steps, str):
        from cnnfilter.cli.pipe import steps_in  # the words of filters are the command line's

        return steps_in(steps)
    filters = (steps,) if isinstance(steps, Filter) else tuple(steps)
    for filter in filters:
        if not isinstance(filter, Filter):
            raise DtypeError(f"a step is {shown(filter)}; give filters, or all steps in one text")
    if not filters:
        raise ParameterError("there are no steps; give one filter or more")
    return filters


def _refuse_unknown(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise ParameterError(f"{name} {shown(value)} is unknown; use {', '.join(known)}")


def _missing(missing: Any) -> float | str | None:
    if missing is None or (isinstance(missing, str) and missing in ("none", "nan")):
        return missing
    if isinstance(missing, str):
        raise ParameterError(f'missing {shown(missing)} is unknown; use "none", "nan" or a number')
    return real_number("missing", missing)


def _whole(name: str, value: int, most: int) -> int:
    number = whole_number(value)
    if number is None or not 1 <= number <= most:
        raise ParameterError(f"{name} {shown(value)} is out of range; use a whole number from 1 to {most}")
    return number
