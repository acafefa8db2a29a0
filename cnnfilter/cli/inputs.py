"""The inputs of a command: files and folders that are named, lists of names, or a pipe."""

import codecs
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from cnnfilter.batch.jobs import STREAM, Source, find_images
from cnnfilter.cli.main import complain, note
from cnnfilter.cli.types import TEXT_FORMS
from cnnfilter.errors import ParameterError
from cnnfilter.files.forms import form_of_bytes
from cnnfilter.files.source import HEAD


def is_matrix(path: str) -> bool:
    """Tell whether a path names a matrix in text. Such are read where named, not searched for."""
    return os.path.splitext(path)[1].lower()[1:] in TEXT_FORMS


def text_form(name: str | None) -> str | None:
    """Return the form of matrices in text that has a name or suffix, None if it is none."""
    form = (name or "").lower().lstrip(".")
    return form if form in TEXT_FORMS else None


def is_numbers(path: str) -> bool:
    """Tell whether a path names a matrix in text, or a pipe on standard input brings one."""
    if path != STREAM:
        return is_matrix(path)
    return sys.stdin is not None and not sys.stdin.isatty() and begins_as_numbers(_head_of_stdin())


def begins_as_numbers(head: bytes) -> bool:
    r"""Tell whether bytes are the beginning of a matrix in text: of no known image, and a number comes first.

    Examples
    --------
    >>> begins_as_numbers(b"# of row 3\n1 2 x"), begins_as_numbers(b"P2 1 1 9 5"), begins_as_numbers(b"")
    (True, False, False)
    """
    if form_of_bytes(head, ".tga"):
        return False
    from cnnfilter.kernels.othersyntax import ascii_twins

    codec = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = ascii_twins(head.decode(codec, errors="ignore"))
    return re.fullmatch(r"(?:\s*#[^\n]*\n)*[\s\[(]*[-+]?\.?\d[^\0-\x08\x0e-\x1f]*", text) is not None


def _head_of_stdin() -> bytes:
    """Return the first bytes on standard input, which are still to be read after that."""
    stdin: Any = sys.stdin.buffer
    try:
        if not stdin.seekable():
            return bytes(stdin.peek(HEAD))
        file = getattr(stdin, "raw", stdin)  # whose place others rely on
        here = file.tell()
        head = bytes(file.read(HEAD))
        file.seek(here)
    except OSError:  # a folder, or what cannot be read: those who read it will say so
        return b""
    return head


def usage(message: str) -> click.UsageError:
    """Make the complaint about options that the command line shows with the command's name."""
    return click.UsageError(message, click.get_current_context(silent=True))


def sources(
    inputs: Sequence[str],
    files_from: str | None,
    *,
    null: bool,
    recursive: bool,
    quiet: bool,
    stdin: bool = True,
    output: str | None = None,
) -> tuple[list[Source], int]:
    """Name the images: those given, those in the list `files_from`, or a pipe on standard input.

    Folders that cannot be searched are complained of, and their number is returned beside the images.

    Parameters
    ----------
    inputs : sequence of str
        Files and folders; ``-`` is standard input.
    files_from : str, optional
        A file of names, one a line, or ended by NUL with `null`.
    recursive : bool
        Whether folders are searched with all that is in them.
    quiet : bool
        Whether to keep quiet of files that are no images.
    stdin : bool, default True
        Whether no name at all means standard input.
    output : str, optional
        Where the results go: a folder within the inputs is not searched.
    """
    if "" in inputs:
        raise usage("an input has no name: ''")
    if null and not files_from:
        raise usage("-0 needs --files-from")
    named = list(inputs)
    if files_from:
        named += _names_in(files_from, null)
    elif not named and stdin:
        if sys.stdin is None or sys.stdin.isatty():
            raise usage("no input; name image files, or pipe an image in")
        named = [STREAM]
    if named.count(STREAM) > 1 or (files_from == STREAM and STREAM in named):
        raise usage("standard input (-) can be read once only")
    found = find_images(named, recursive=recursive, output=output)
    for error in found.unreadable:
        complain(error)
    if found.others and not quiet:
        files = "a file" if found.others == 1 else f"{found.others} files"
        note(
            f"{files} in the folders left out: no suffix of an image (a file that is named itself needs none)"
        )
    return found.sources, len(found.unreadable)


def is_given(name: str) -> bool:
    """Whether the command line gives an option, and it is not its default."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def spool_standard_input() -> None:
    """Put a pipe on standard input into a temporary file, which can be read in parts."""
    if sys.stdin.buffer.seekable():
        return
    import io
    import shutil
    import tempfile

    file = tempfile.TemporaryFile()  # it takes the place of standard input until the end
    head = sys.stdin.buffer.read(HEAD)
    file.write(head)
    if form_of_bytes(head, ".tga"):  # a stream that is no image may never end
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    file.seek(0)
    sys.stdin = io.TextIOWrapper(file)


def _names_in(path: str, null: bool) -> list[str]:
    if path == STREAM:
        content = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            content = file.read()
    content = _without_mark(content, path)
    if not null and b"\0" in content:
        raise ParameterError(
            f"{path}: holds NUL bytes, so it is no list of names by line; -0 if NUL ends them"
        )
    names = content.split(b"\0") if null else content.splitlines()
    return [os.fsdecode(name) for name in names if name]


def _without_mark(content: bytes, path: str) -> bytes:
    """Return a list in the bytes of this system's names, whichever editor or shell of Windows wrote it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return os.fsencode(content.decode("utf-16"))
        except UnicodeError as error:
            raise ParameterError(f"{path}: begins as UTF-16 and is none: {error}") from error
    return content.removeprefix(codecs.BOM_UTF8)
