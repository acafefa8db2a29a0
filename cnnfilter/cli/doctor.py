"""``cnnfilter doctor``: what is installed, and whether it computes what it should."""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import click

from cnnfilter._version import __version__
from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import DONE, NOTHING_DONE, reason
from cnnfilter.core.threads import processors

ENVIRONMENT = {
    "CNNFILTER_CACHE_DIR": "Folder of the compiled loops. [~/.cache/cnnfilter]",
    "CNNFILTER_THREADS": "Threads that filter, shared by --jobs. [all processors]",
    "CNNFILTER_JIT": "plain: every run compiles its loops, and keeps none.",
    "CNNFILTER_DEBUG": "1: errors show where they arose.",
    "NO_COLOR": "1: heat maps of kernels have no colour.",
}
"""The variables that are heeded, and what they do."""

NEEDED = ("numpy", "numba", "llvmlite", "pillow", "click", "safetensors", "tqdm", "imagecodecs")
WANTED = ("matplotlib",)


class DoctorCommand(Examples):
    """A command whose help names the variables of the environment."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, then the variables."""
        super().format_options(ctx, formatter)
        with formatter.section("Environment"):
            formatter.write_dl(list(ENVIRONMENT.items()))


@click.command(
    cls=DoctorCommand,
    context_settings=CONTEXT,
    examples=["cnnfilter doctor", "cnnfilter doctor --json"],
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(as_json: bool) -> int:
    """Check this installation: versions, settings, image forms, sums whose results are known.

    What costs time but harms no result is a note. The exit status is 1 if something is WRONG.
    """
    facts = {
        "cnnfilter": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}, {processors()} processors",
        **{name: _version(name) for name in NEEDED + WANTED},
        **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }
    results = {name: _result(check) for name, check in CHECKS.items()}
    wrong = [name for name, result in results.items() if result.startswith("WRONG")]
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
        if name in NEEDED:
            return "is missing; install it"
        return "is not installed; drawings need it: pip install 'cnnfilter[plot]'"


def _result(check: Callable[[], str]) -> str:
    started = time.perf_counter()
    try:
        words = check()
    except Exception as error:  # whatever is wrong is what this command is to tell
        return f"WRONG: {reason(error)}"
    return f"{words} ({time.perf_counter() - started:.3f} s)"


def _commands() -> str:
    """Import every command: what one needs and does not find would else be told only when it is called."""
    from cnnfilter.cli.group import cnnfilter

    return f"ok: {_imported(cnnfilter, 'cnnfilter')} can be called"


def _imported(group: click.Group, path: str) -> int:
    """Import the commands of a group and return how many there are."""
    count = 0
    context = click.Context(group)
    for name in group.list_commands(context):
        try:
            command = group.get_command(context, name)
        except Exception as error:
            raise click.ClickException(f"{path} {name} cannot be called: {reason(error)}") from error
        count += _imported(command, f"{path} {name}") if isinstance(command, click.Group) else 1
    return count


def _arrays() -> str:
    """Filter a constant, which must stay, and an impulse, which must give the kernel back."""
    import numpy as np

    from cnnfilter.core.linear import convolve
    from cnnfilter.filters.gaussian import gaussian
    from cnnfilter.filters.mean import mean
    from cnnfilter.kernels.kernel import Kernel

    white = np.full((33, 47, 3), 255, np.uint8)
    for smooth in (mean(white, 5), gaussian(white, 2)):
        _expect((smooth == 255).all(), "a white image does not stay white")
    impulse = np.zeros((7, 8), np.float32)
    impulse[3, 4] = 1
    kernel = np.arange(1.0, 10.0).reshape(3, 3)
    _expect((convolve(impulse, Kernel(kernel))[2:5, 3:6] == kernel).all(), "convolution goes wrong")
    return "ok: constants stay, an impulse gives the kernel"


def _images() -> str:
    """Write an image and read it again."""
    import io

    import numpy as np

    from cnnfilter.files import FORMS, Picture, read, write
    from cnnfilter.files.extra import is_installed

    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    for form in ("PNG", "TIFF", "PPM"):
        file = io.BytesIO()
        write(Picture([pixels], model="rgb"), file, form=form)
        _expect(np.array_equal(read(file.getvalue()).frames[0], pixels), f"{form} changes the pixels")
    return f"ok: {' '.join(form for form in FORMS if is_installed(form))}"


def _cache() -> str:
    """Tell where compiled loops are kept, and whether those that the filters above used were."""
    from cnnfilter.core.jit import compiled, objectcache

    facts = ", ".join(f"{name} {value}" for name, value in objectcache.info().items())
    if why := compiled.note():
        return f"note: loops were not taken from there, or not kept ({why}), so that runs start late: {facts}"
    return f"ok: {facts}"


def _expect(fact: object, otherwise: str) -> None:
    if not fact:
        raise click.ClickException(otherwise)


CHECKS: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "filters": _arrays,
    "images": _images,
    "cache": _cache,
}
