"""Which files are read, and where the result of each goes. Nothing is opened here."""

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from cnnfilter.errors import ParameterError
from cnnfilter.files import FORMS, form_named

STREAM = "-"

# What Windows takes for a device in every folder, whatever the suffix: what is written there is gone.
_DEVICE = r"(?i)(con|prn|aux|nul|(com|lpt)[0-9\xb9\xb2\xb3])\s*(\..*)?"

Existing = Literal["replace", "refuse", "skip"]


class Source(NamedTuple):
    """An input: its path, or ``-``; and its place below the folder that was named, if one was."""

    path: str
    relative: str


class Found(NamedTuple):
    """What the inputs stand for.

    Attributes
    ----------
    sources : list of Source
        The images.
    unreadable : list of OSError
        Folders that could not be searched.
    others : int
        How many files of the folders are no images, going by their names.
    """

    sources: list[Source]
    unreadable: list[OSError]
    others: int


class Job(NamedTuple):
    """One file's way: from `source` to `target`, either of them ``-`` for the standard streams."""

    source: str
    target: str
    existing: Existing = "replace"


def find_sources(
    inputs: Iterable[str], *, recursive: bool, suffixes: frozenset[str], output: str | None = None
) -> Found:
    """List the files that `inputs` name; a folder stands for the images in it.

    Parameters
    ----------
    inputs : iterable of str
        Paths of files and folders, or ``-``.
    recursive : bool
        Whether a folder's folders count too. Hidden files and folders never do.
    suffixes : frozenset of str
        What makes a file in a folder an image: ``.png`` and so on, in lower case. A file that is
        named itself needs none of them.
    output : str, optional
        A folder that is left out where it lies within an input folder: what an earlier run wrote there
        is no input of this one.

    Raises
    ------
    ParameterError
        When a folder is named without `recursive`.
    """
    sources: list[Source] = []
    unreadable: list[OSError] = []
    others = 0
    for path in inputs:
        if path == STREAM or not os.path.isdir(path):
            sources.append(Source(path, os.path.basename(path)))
            continue
        if not recursive:
            raise ParameterError(f"{path}: is a folder; --recursive takes the images in it")
        for found in _walk(path, output, unreadable):
            if os.path.splitext(found)[1].lower() in suffixes:
                sources.append(Source(found, os.path.relpath(found, path)))
            else:
                others += 1
    return Found(sources, unreadable, others)


def find_images(inputs: Iterable[str], *, recursive: bool, output: str | None = None) -> Found:
    """List the images that `inputs` name, known in folders by their suffixes; see `find_sources`."""
    suffixes = frozenset(suffix for suffixes in FORMS.values() for suffix in suffixes)
    return find_sources(inputs, recursive=recursive, suffixes=suffixes, output=output)


def _walk(folder: str, output: str | None, unreadable: list[OSError]) -> Iterator[str]:
    """Yield every file in and below a folder, but hidden ones and those of the output folder."""
    left_out = _identity(output) if output and os.path.isdir(output) else None
    for parent, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and not (left_out and _identity(os.path.join(parent, name)) == left_out)
        )
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))


def is_folder(output: str) -> bool:
    """Whether an output path stands for a folder: it is one, or it ends in a slash."""
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def into_folder(
    sources: Iterable[Source],
    folder: str,
    *,
    name: str,
    fields: Mapping[str, str],
    suffix: str | None,
    existing: Existing,
) -> list[Job]:
    """Give each source its path in `folder`.

    Parameters
    ----------
    sources : iterable of Source
        Files only: the standard input has no name to derive one from.
    folder : str
        The output folder. Places below an input folder are kept.
    name : str
        The pattern of the file name: ``{stem}``, ``{ext}`` (with its dot) and the keys of `fields`.
    fields : mapping of str to str
        More to put into `name`, such as the command.
    suffix : str or None
        The suffix of the outputs; None keeps each source's.
    existing : {"replace", "refuse", "skip"}
        What to do about an output that is there already.

    Examples
    --------
    >>> into_folder([Source("a/b.png", "b.png")], "out", name="{stem}-{command}{ext}",
    ...             fields={"command": "mean"}, suffix=".tif", existing="refuse")
    [Job(source='a/b.png', target='out/b-mean.tif', existing='refuse')]
    """
    known = [f"{{{field}}}" for field in ("stem", "ext", *fields)]
    if not re.fullmatch(rf"(?:[^{{}}]|{'|'.join(map(re.escape, known))})*", name):
        raise ParameterError(f"--name {name!r}: only {', '.join(known)} can be filled in")
    jobs = []
    for source in sources:
        if source.path == STREAM:
            raise ParameterError("standard input has no name to keep in a folder; give -o FILE or -o -")
        parent, own_name = os.path.split(source.relative)
        stem, ext = os.path.splitext(own_name)
        new_name = name.format(stem=stem, ext=suffix or ext, **fields)
        if not new_name or new_name in (".", "..") or "/" in new_name or os.sep in new_name:
            raise ParameterError(f"--name {name!r}: gives {new_name!r}, which is no file name")
        jobs.append(Job(source.path, os.path.join(folder, parent, new_name), existing))
    return jobs


def jobs_to(
    output: str,
    sources: Sequence[Source],
    *,
    form: str | None,
    existing: Existing,
    name: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> list[Job]:
    """Say where each source's result goes: into a folder, or that of the only one to a file or stream.

    Parameters
    ----------
    output : str
        A folder, if it is one or ends in a slash; else a file, or ``-``.
    sources : sequence of Source
    form : str or None
        Of the outputs, whose usual suffix they get in a folder.
    existing : {"replace", "refuse", "skip"}
    name, fields
        The pattern of names in a folder; see `into_folder`.

    Raises
    ------
    ParameterError
        Several sources, or a pattern of names, and no folder.
    """
    if output != STREAM and is_folder(output):
        suffix, pattern = FORMS[form_named(form)][0] if form else None, name or "{stem}{ext}"
        return into_folder(
            sources, output, name=pattern, fields=fields or {}, suffix=suffix, existing=existing
        )
    if name:
        raise ParameterError("--name needs an output folder: -o DIR/")
    if len(sources) > 1:
        raise ParameterError(
            f"{len(sources)} images need a folder, not {output}: -o DIR/ (made if missing), or --in-place"
        )
    return [Job(source.path, output, existing) for source in sources]


def refuse_losses(jobs: Iterable[Job], *, in_place: bool) -> None:
    """Raise ParameterError when two jobs write one file, or a job writes over any input or to a device.

    Files are compared as the file system sees them, through links; so a colliding batch is refused
    before any work, and an input is replaced only when `in_place` says so.
    """
    jobs = [job for job in jobs if job.target != STREAM]
    for job in jobs:
        if sys.platform == "win32" and re.fullmatch(_DEVICE, os.path.basename(job.target)):
            raise ParameterError(f"{job.target}: names a device of Windows, which keeps no file; rename it")
    inputs = {} if in_place else {_identity(job.source): job.source for job in jobs if job.source != STREAM}
    writers: dict[tuple[int, int] | str, Job] = {}
    for job in jobs:
        identity = _identity(job.target)
        if identity in inputs and os.path.isfile(job.target):
            raise ParameterError(
                f"{job.target}: the output is the input {inputs[identity]}; --in-place replaces inputs, "
                "or choose another output"
            )
        other = writers.setdefault(identity, job)
        if other is not job:
            raise ParameterError(
                f"{other.source} and {job.source} would both be written to {job.target}; "
                "nothing was done: put {stem} and {ext} in --name, or run them into two folders"
            )


def _identity(path: str) -> tuple[int, int] | str:
    try:
        found = os.stat(path)
    except OSError:
        real = os.path.realpath(path)
        return unicodedata.normalize("NFC", real).casefold() if _ignores_case(os.path.dirname(real)) else real
    return found.st_dev, found.st_ino


@lru_cache(maxsize=1024)
def _ignores_case(path: str) -> bool:
    """Whether `A` and `a` are one name where a new file is to be: asked of the folders that are there."""
    parent, name = os.path.split(path)
    if not name:
        return False
    try:
        if name != name.swapcase():
            return os.path.samefile(path, os.path.join(parent, name.swapcase()))
    except OSError:
        if os.path.exists(path):
            return False
    return _ignores_case(parent)


def make_folders(jobs: Iterable[Job]) -> None:
    """Make the folders that the jobs' targets need."""
    for folder in {os.path.dirname(job.target) for job in jobs if job.target != STREAM}:
        if folder:
            os.makedirs(folder, exist_ok=True)
