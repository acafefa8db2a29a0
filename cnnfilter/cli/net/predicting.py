"""``cnnfilter net predict``: the classes of images."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click

from cnnfilter.batch.jobs import STREAM
from cnnfilter.cli.group import CONTEXT
from cnnfilter.cli.inputs import sources
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, complain, note, printable, reason
from cnnfilter.cli.net.weights import (
    LABELS,
    MAP,
    NETWORK,
    SET,
    WEIGHTS,
    load_network,
    names_in,
    read_image,
)
from cnnfilter.cli.options import ImageCommand, inputs, shared
from cnnfilter.errors import CnnFilterError, ParameterError

if TYPE_CHECKING:
    from cnnfilter.nn.functional.windows import Array
    from cnnfilter.nn.network import Network

_SHARED = ("recursive", "files_from", "null", "max_pixels", "progress", "quiet", "json")


class Predictor(NamedTuple):
    """A network, the names of its classes, and what it is told of images.

    Attributes
    ----------
    network : Network
    names : sequence of str
    top : int
        How many classes are told.
    max_pixels : int
    invert : bool
        Whether light and dark change places first.
    remark : callable, optional
        Is told what of an image is left out.
    """

    network: "Network"
    names: Sequence[str]
    top: int
    max_pixels: int
    invert: bool = False
    remark: Callable[[str], object] | None = None

    def run(self, paths: Sequence[str]) -> list[list[dict[str, Any]] | Exception]:
        """Tell the most likely classes of each image, or why it cannot be read."""
        import numpy as np

        from cnnfilter.nn.functional import softmax

        read = [self._prepared(path) for path in paths]
        images = [image for image in read if not isinstance(image, Exception)]
        with np.errstate(all="ignore"):  # scores that are no numbers are told by `_best`
            shares = iter(softmax(self.network.forward(np.stack(images)))) if images else iter(())
        return [image if isinstance(image, Exception) else self._best(next(shares)) for image in read]

    def _prepared(self, path: str) -> "Array | Exception":
        from cnnfilter.nn.data import prepare

        try:
            image = read_image(path, self.max_pixels, self.remark)
            if self.invert:
                image = 1 - image
            return prepare(image, self.network.shape, self.network.preprocessing)
        except (CnnFilterError, OSError, MemoryError) as error:
            return error

    def _best(self, shares: "Array") -> list[dict[str, Any]] | Exception:
        if not shares.sum() > 0:
            return ParameterError("the scores are NaN or infinite: the weights are too large")
        best = (-shares).argsort(kind="stable")[: self.top]
        return [
            {"class": int(i), "label": self.names[i], "probability": round(float(shares[i]), 6)} for i in best
        ]


@click.command(
    cls=ImageCommand,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net predict --weights lenet5.safetensors digit.png",
        "cnnfilter net predict --weights resnet18.pth --labels names.txt -r photos/",
    ],
)
@WEIGHTS
@NETWORK
@SET
@MAP
@LABELS
@click.option("--top", type=click.IntRange(1), default=5, metavar="K", help="How many classes to show. [5]")
@click.option("--batch", type=click.IntRange(1, 1024), default=8, metavar="N", help="Images at a time. [8]")
@click.option("--invert", is_flag=True, help="For dark ink, where light ink was learned: 1 - value.")
@click.option("-o", "--output", metavar="FILE", help="Where to write the lines. [standard output]")
def predict(
    inputs: tuple[str, ...], *, weights: str, network: str | None, options: dict[str, Any],
    layers: dict[str, str], labels: str | None, top: int, batch: int, invert: bool, output: str | None,
    max_pixels: int, **told: Any,
) -> int:  # fmt: skip
    """Say what images show."""
    from cnnfilter.nn.network import frozen

    images, unreadable = sources(
        inputs, told["files_from"], null=told["null"], recursive=told["recursive"], quiet=told["quiet"]
    )
    if not images:
        complain(click.ClickException("no image was found in the inputs; nothing was done"))
        return NOTHING_DONE
    loaded, names = load_network(weights, network, options, layers)
    names = names_in(labels, loaded.classes) if labels else names
    remark = None if told["quiet"] else note
    predictor = Predictor(frozen(loaded), names, top, max_pixels, invert, remark)
    with _opened(output) as stream:
        return _report(predictor, [source.path for source in images], batch, stream, told, unreadable)


predict.params = [inputs(), *predict.params, *(option for option in shared() if option.name in _SHARED)]


def _report(
    predictor: Predictor,
    paths: Sequence[str],
    batch: int,
    stream: TextIO,
    told: dict[str, Any],
    unreadable: int,
) -> int:
    """Tell of every image in its order, sum up and return the exit status."""
    started, failed = time.perf_counter(), 0
    bar = _bar(len(paths), told["progress"], told["quiet"])
    for start in range(0, len(paths), batch):
        group = paths[start : start + batch]
        for path, outcome in zip(group, predictor.run(group), strict=True):
            name = "standard input" if path == STREAM else path
            if bar is not None:
                bar.clear()
            if isinstance(outcome, Exception):
                complain(outcome, name)
                failed += 1
            if told["json"]:
                print(json.dumps(_record(path, outcome)), file=stream, flush=True)
            elif not isinstance(outcome, Exception):
                shares = ", ".join(f"{c['label']} {100 * c['probability']:.1f} %" for c in outcome)
                print(printable(f"{name}: {shares}"), file=stream, flush=True)
            if bar is not None:
                bar.update()
    if bar is not None:
        bar.close()
    if len(paths) > 1 and not told["quiet"]:
        words = f"{len(paths) - failed} of {len(paths)} images done" + (
            f", {failed} failed" if failed else ""
        )
        print(f"cnnfilter: {words} in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    if failed == len(paths):
        return NOTHING_DONE
    return SOME_FAILED if failed or unreadable else DONE


def _record(path: str, outcome: list[dict[str, Any]] | Exception) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        return {"input": path, "status": "failed", "error": reason(outcome)}
    return {"input": path, "status": "done", "top": outcome}


@contextmanager
def _opened(output: str | None) -> Iterator[TextIO]:
    """Give standard output, or a file that is there only when all is written."""
    if output is None or output == STREAM:
        yield sys.stdout
        return
    import io

    from cnnfilter.wholefile import whole_file

    with whole_file(output) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", write_through=True)
        yield text
        text.detach()


def _bar(total: int, progress: bool | None, quiet: bool) -> Any:
    """Return a progress bar if one is wanted."""
    if not (progress or (progress is None and total > 1 and not quiet and sys.stderr.isatty())):
        return None
    from tqdm import tqdm

    return tqdm(total=total, unit="image", file=sys.stderr, leave=False)
