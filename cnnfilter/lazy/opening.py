"""What a run reads and writes, opened: files and stores by their paths, arrays of Zarr, other objects."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from cnnfilter.errors import CnnFilterError, DtypeError, ImageFileError, shown
from cnnfilter.files.forms import form_of
from cnnfilter.files.picture import Picture
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.engine import Sink, Source
from cnnfilter.lazy.places import is_url, reaching
from cnnfilter.lazy.planes import Axes, is_zarr
from cnnfilter.lazy.stores import created, laid_out, opened

Path: TypeAlias = str | os.PathLike[str]


@contextmanager
def readable(source: Path | Source, axes: Axes | None = None) -> Iterator[Source]:
    """Open what is filtered: a file or store by its path, an array of Zarr, or an object with `read`."""
    if is_zarr(source):
        from cnnfilter.lazy.zarrstores import opened_zarr  # with zarr, 0.2 s that others need not pay

        with ExitStack() as stack:
            with _named(source), reaching(source, "read"):
                stored = stack.enter_context(opened_zarr(source, axes))
            yield stored
        return
    if not isinstance(source, str | os.PathLike):
        yield _having(source, "shape", "dtype", "read")
        return
    if is_url(source):
        raise ImageFileError(f"{source}: only Zarr stores are read from there; name one that ends in .zarr")
    with ExitStack() as stack:
        with _named(source):
            image = stack.enter_context(opened(os.fspath(source)))
        yield image


@contextmanager
def writable(
    target: Path | Sink,
    picture: Picture,
    plan: ChainPlan,
    source: Source,
    overwrite: bool,
    unfinished: Any,
    fill: Any = None,
) -> Iterator[Sink]:
    """Make where the result goes; see `readable`, and `created_zarr` for the rest."""
    if is_zarr(target):
        from cnnfilter.lazy.zarrstores import created_zarr

        with reaching(target, "written"), ExitStack() as stack:
            how = {"overwrite": overwrite, "unfinished": unfinished, "fill": fill}
            with _named(target):
                stored = stack.enter_context(created_zarr(target, plan, source, picture, **how))
            yield stored
        return
    if getattr(source, "attributes", None):
        picture.lose("attributes of the Zarr store are left out; write .zarr")
    if not isinstance(target, str | os.PathLike):
        yield _having(target, "chunks", "write")
        return
    if is_url(target):
        raise ImageFileError(f"{target}: only Zarr stores are written there; name one that ends in .zarr")
    with ExitStack() as stack:
        with _named(target):
            laid = laid_out(picture, form_of(os.fspath(target)), threads=plan.threads)
            sink = stack.enter_context(created(os.fspath(target), laid))
        yield sink


def _having(store: Any, *names: str) -> Any:
    missing = [name for name in names if not hasattr(store, name)]
    if missing:
        raise DtypeError(
            f"{shown(store)} is no path and has no {missing[0]}; see cnnfilter.lazy.Source and Sink"
        )
    return store


@contextmanager
def _named(path: object) -> Iterator[None]:
    """Say of which file an error speaks."""
    try:
        yield
    except CnnFilterError as error:
        if not isinstance(path, str | os.PathLike):
            raise
        name = os.fspath(path)
        raise ImageFileError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error
