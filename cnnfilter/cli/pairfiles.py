"""The files of before/after pairs: which belong together, and what their pictures teach."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from cnnfilter.cli.main import note

if TYPE_CHECKING:
    from cnnfilter.pixels import Array

Files = list[tuple[Path, Path]]


class Pictures(NamedTuple):
    """Pictures before and after, and what messages call each pair."""

    befores: "list[Array]"
    afters: "list[Array]"
    names: list[str]


def pair_files(before: str | None, after: str | None, pairs: tuple[str, str] | None) -> Files:
    """Name the two files of every pair."""
    if pairs and before:
        raise click.UsageError("name two pictures, or two folders with --pairs, not both")
    if before and after:
        return [(Path(before), Path(after))]
    if not pairs:
        raise click.UsageError("name two pictures, BEFORE and AFTER, or two folders with --pairs")
    first, second = map(Path, pairs)
    there, wanted = pictures_in(first), pictures_in(second)
    found = _partners(there, wanted)
    if not found:
        raise click.ClickException(
            f"{first} and {second} share no file name; pairs have equal names, but for the suffix"
        )
    alone = sorted({path.name for path in there + wanted} - {path.name for pair in found for path in pair})
    if alone:
        note(f"{len(alone)} of the files have no partner, {alone[0]} for one, and are left out")
    return found


def pictures_in(folder: Path) -> list[Path]:
    """Return the files of a folder whose names are those of pictures, sorted."""
    from cnnfilter.files import FORMS

    suffixes = {suffix for suffixes in FORMS.values() for suffix in suffixes}
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())


def _partners(first: list[Path], second: list[Path]) -> Files:
    """Pair files of equal names, and of those that are left the ones that differ in the suffix alone."""
    by_name = {path.name: path for path in second}
    found = [(path, by_name[path.name]) for path in first if path.name in by_name]
    taken = {path.name for path, _ in found}
    rest = [[path for path in side if path.name not in taken] for side in (first, second)]
    stems = [[path.stem for path in side] for side in rest]
    for path in rest[0]:
        others = [other for other in rest[1] if other.stem == path.stem]
        if len(others) == 1 == stems[0].count(path.stem):
            found.append((path, others[0]))
    return sorted(found)


def read_pairs(files: Files) -> Pictures:
    """Read the pairs, each frame one."""
    befores: list[Array] = []
    afters: list[Array] = []
    names: list[str] = []
    for pair in files:
        with ThreadPoolExecutor(2) as pool:
            (first, hidden), (second, hidden_after) = pool.map(_frames, pair)
        name = f"{pair[0]} and {pair[1]}"
        if len(first) != len(second):
            raise click.ClickException(f"{name}: {len(first)} and {len(second)} frames: give equally many")
        if hidden and not hidden_after:
            raise click.ClickException(
                f"{name}: before is transparent in {hidden} pixels, after is opaque: flatten before on the "
                "background that after was given"
            )
        befores += first
        afters += second
        names += [name] if len(first) == 1 else [f"{name}, frame {k + 1}" for k in range(len(first))]
    return Pictures(befores, afters, names)


def _frames(path: Path) -> "tuple[list[Array], int]":
    """Return the colours of the frames of a file, and how many pixels are not opaque."""
    from cnnfilter.batch.missing import refuse_missing
    from cnnfilter.files import read

    picture = read(path)
    refuse_missing(picture, str(path))
    colours, hidden = zip(*(_colours(frame, picture.alpha) for frame in picture.frames), strict=True)
    return list(colours), sum(hidden)


def _colours(frame: "Array", alpha: bool) -> "tuple[Array, int]":
    """Return the colours of a frame, multiplied by its alpha: so the image commands filter them."""
    import numpy as np

    from cnnfilter.pixels.kinds import full_scale
    from cnnfilter.pixels.memory import packed

    hidden = 0
    if alpha:
        frame, seen = frame[..., :-1], frame[..., -1:] / full_scale(frame.dtype)
        hidden = int(np.count_nonzero(seen < 1))
        if hidden:
            product = frame * seen
            frame = (np.rint(product) if frame.dtype.kind in "iu" else product).astype(frame.dtype)
    return packed(frame[..., 0] if frame.ndim == 3 and frame.shape[2] == 1 else frame), hidden
