"""Private parts of other packages: used in one place each, within the versions that pyproject.toml allows.

A test here fails when such a part is gone or means something else; the bound in pyproject.toml then tells
which versions still have it.
"""

import io
import re
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from sampleloops import elementwise

import cnnfilter
from cnnfilter.cli.doctor import NEEDED
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.core.jit import compiling, machinecode
from cnnfilter.files import pillow

PACKAGE = Path(cnnfilter.__file__).parent
PROJECT = Path(__file__).parents[1] / "pyproject.toml"

PLACES = {
    r"from numba\.core\b(?!.*cgutils)": "compiling.py",
    r"from numba\.core import cgutils": "vectors.py",
    r"\bimage\.(_mode|_im|im)\b": "pillow.py",
}
"""What is private, and the one module that may name it."""


@pytest.mark.parametrize("part", PLACES)
def test_each_is_used_in_one_place(part):
    users = {path.name for path in PACKAGE.rglob("*.py") if re.search(part, path.read_text())}
    assert users == {PLACES[part]}


@pytest.mark.parametrize("package", ["numba", "llvmlite", "pillow"])
def test_their_versions_have_an_upper_bound(package):
    (need,) = [
        need
        for need in tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
        if need.startswith(package)
    ]
    assert re.search(r"<\d", need), need


def test_the_doctor_knows_every_dependency():
    needs = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    assert {re.match(r"[a-z]+", need)[0] for need in needs} == {*NEEDED}


def test_click_types_are_generic_for_the_type_checker_alone():
    """Click 8.2 and 8.3, which are allowed, take no `[Any]`; newer ones, which are installed mostly, do."""
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert sources.count("click.ParamType[") == 1  # in cli/types.py, under TYPE_CHECKING


def test_what_is_required_has_no_default_that_click_8_3_takes_for_a_value():
    """It asks whether a default was written, not whether there is one; `None` written is one."""
    command = root.get_command(click.Context(root), "convolve")
    (kernel,) = (param for param in command.get_params(click.Context(command)) if param.name == "kernel")
    assert kernel.required and kernel.default is click.Option(["--other"]).default


def test_numba_gives_the_code_of_a_loop():
    """Not through the fallback, which would hide that an inner part is gone."""
    code = compiling.object_code(elementwise.affine, (2.0, 1.0), ["f32*", "i64", "f64*"])
    assert machinecode.ENTRY.encode() in code
    assert machinecode.load(code).address


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return io.BytesIO(file.getvalue())


def test_pillow_decodes_into_memory_that_is_given():
    """`pixels` shares the array's memory: had Pillow made its own, the pixels would be copied."""
    file = png(np.arange(48, dtype=np.uint8).reshape(6, 8))
    array = pillow.pixels(PngImagePlugin.PngImageFile(file))
    assert array.base is None and array.flags.writeable
    assert (array == np.arange(48).reshape(6, 8)).all()
