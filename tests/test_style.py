"""How the package is written, where that can be counted: lengths of files, and of lists of parameters."""

import ast
from pathlib import Path

import pytest

import cnnfilter

PACKAGE = Path(cnnfilter.__file__).parent
FILES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
MOST_LINES, MOST_PARAMETERS = 400, 8

LOOPS = ("core/loops/", "nn/functional/loops/")
"""Compiled loops take pointers and sizes one by one, by a signature that is written beside the call."""

HANDED_ON = {
    "core/correlate.py": ("explain", "filtered"),
    "core/linear.py": ("filter_image",),
    "core/normalised.py": ("completed",),
    "core/plan.py": ("make_plan",),
    "core/pool.py": ("pool",),
    "filters/plan.py": ("plan_chain",),
    "lazy/running.py": ("run",),
    "pixels/filtering.py": ("apply",),
}
"""Functions that are handed the keywords of the public face, each by its name."""


def functions(name):
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_in_one_sitting(name):
    assert len(FILES[name].read_text().splitlines()) <= MOST_LINES


def is_public(name, function):
    """Whether those outside use it, by keywords: functions in `__all__`, layers, commands."""
    if name.startswith("cli/"):
        return True
    faces = (cnnfilter, cnnfilter.nn, cnnfilter.learning)
    if function.name == "__init__":
        return name.startswith("nn/layers")
    return any(function.name in face.__all__ for face in faces) or function.name == "learn_kernel"


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(LOOPS)])
def test_a_function_takes_few_things(name):
    for function in functions(name):
        arguments = function.args
        placed = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        placed = placed[placed[:1] in (["self"], ["cls"]) :]
        assert len(placed) <= MOST_PARAMETERS, f"{function.name} takes {len(placed)} by their places"
        count = len(placed) + len(arguments.kwonlyargs)
        if not (is_public(name, function) or function.name in HANDED_ON.get(name, ())):
            assert count <= MOST_PARAMETERS, f"{function.name} takes {count}"
