"""Where a single result goes that is no image of a batch: a table, an animation, a page."""

import os
from collections.abc import Iterable

from cnnfilter.batch.jobs import STREAM, Job, make_folders
from cnnfilter.cli.inputs import usage
from cnnfilter.cli.main import note


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
