"""Where a single result goes that is no image of a batch: a table, an animation, a page."""

import os
from collections.abc import Iterable
from contextlib import suppress

from cnnfilter.batch.jobs import STREAM, Job, make_folders
from cnnfilter.cli.inputs import text_form, usage
from cnnfilter.cli.main import note
from cnnfilter.errors import ImageFileError
from cnnfilter.files import form_named, form_of


def prepare(output: str, inputs: Iterable[str | None] = (), *, quiet: bool = False) -> None:
    """Refuse an output that is an input, and make its folder, which is told.

    Raises
    ------
    click.UsageError
        The output is one of the inputs.
    """
    if output == STREAM:
        return
    for path in inputs:
        if path and path != STREAM and os.path.exists(path) and os.path.exists(output):
            if os.path.samefile(path, output):
                raise usage(f"{output}: the output is the input {path}; choose another")
    folder = os.path.dirname(output)
    if folder and not os.path.exists(folder):
        make_folders([Job("", output)])
        if not quiet:
            note(f"{folder}: this folder was made")


def note_target(target: str, form: str | None) -> None:
    """Tell of a name that promises another form than the one that was asked for."""
    if target == STREAM or not form:
        return
    named = text_form(os.path.splitext(target)[1])
    written = text_form(form) or form_named(form)
    with suppress(ImageFileError):
        if (named or form_of(target)) != written:
            note(f"{target}: is written as {written}, as --format says, and named otherwise")
