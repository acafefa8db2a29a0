"""``cnnfilter doctor``: what is installed, and whether it computes what it should."""

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import click

from cnnfilter._version import __version__
from cnnfilter.batch.workers import processors
from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import DONE, NOTHING_DONE, reason

NEEDED = ("numpy", "numba", "llvmlite", "pillow", "click", "safetensors", "tqdm")
WANTED = ("matplotlib",)


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter doctor", "cnnfilter doctor --json"],
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(as_json: bool) -> int:
    """Check this installation: versions, image forms, and a few sums whose results are known.

    The exit status is 1 if something is wrong.
    """
    facts = {
        "cnnfilter": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}, {processors()} processors",
        **{name: _version(name) for name in NEEDED + WANTED},
    }
    results = {name: _result(check) for name, check in CHECKS.items()}
    wrong = [name for name, result in results.items() if not result.startswith("ok")]
    if as_json:
        click.echo(json.dumps({**facts, "checks": results, "ok": not wrong}))
    else:
        width = max(map(len, [*facts, *results]))
        for name, words in [*facts.items(), *results.items()]:
            click.echo(f"{name:<{width}}  {words}")
    return NOTHING_DONE if wrong else DONE


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is missing; install it" if name in NEEDED else "is not installed; kernel show --plot needs it"


def _result(check: Callable[[], str]) -> str:
    started = time.perf_counter()
    try:
        words = check()
    except Exception as error:  # whatever is wrong is what this command is to tell
        return f"WRONG: {reason(error)}"
    return f"ok{words and ': '}{words} ({time.perf_counter() - started:.3f} s)"


def _arrays() -> str:
    """Filter a constant, which must stay, and an impulse, which must give the kernel back."""
    import numpy as np

    from cnnfilter import Kernel, convolve, gaussian, mean

    white = np.full((33, 47, 3), 255, np.uint8)
    for smooth in (mean(white, 5), gaussian(white, 2)):
        _expect((smooth == 255).all(), "a white image does not stay white")
    impulse = np.zeros((7, 8), np.float32)
    impulse[3, 4] = 1
    kernel = np.arange(1.0, 10.0).reshape(3, 3)
    _expect((convolve(impulse, Kernel(kernel))[2:5, 3:6] == kernel).all(), "convolution goes wrong")
    return ""


def _images() -> str:
    """Write an image and read it again."""
    import io

    import numpy as np

    from cnnfilter.imagefile import FORMS, Picture, read, write

    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    for form in ("PNG", "TIFF", "PPM"):
        file = io.BytesIO()
        write(Picture([pixels], model="rgb"), file, form=form)
        _expect(np.array_equal(read(file.getvalue()).frames[0], pixels), f"{form} changes the pixels")
    return " ".join(FORMS)


def _cache() -> str:
    """Tell where compiled loops are kept."""
    from cnnfilter.core import objectcache

    return ", ".join(f"{name} {value}" for name, value in objectcache.info().items())


def _expect(fact: object, otherwise: str) -> None:
    if not fact:
        raise click.ClickException(otherwise)


CHECKS: dict[str, Callable[[], str]] = {"filters": _arrays, "images": _images, "cache": _cache}
