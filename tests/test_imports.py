"""Imports: their one direction, and what is not imported before it is needed."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cnnfilter

ROOT = Path(cnnfilter.__file__).parent

FLOORS = (
    {"ground": {"_version", "_lazy", "_moved", "errors", "masked", "npyfile", "wholefile"}},
    {"kernels": {"kernels"}},
    {"core": {"core"}},
    {"pixels": {"pixels"}, "cluster": {"cluster"}},
    {"filters": {"filters"}, "files": {"files"}},
    {"nn": {"nn"}},
    {"learning": {"learning"}},
    {
        "registry": {"registry"},
        "batch": {"batch"},
        "lazy": {"lazy"},
        "drawing": {"drawing"},
        "seeing": {"seeing"},
    },
    {"cli": {"cli"}},
    {"face": {"", "__main__", "_batches", "imagefile"}},
)
"""From the ground up: the rooms of each floor, and the names that begin their modules.

A module imports from its own room and from the floors below, so that no circle joins two rooms.
"""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ROOM = {name: room for rooms in FLOORS for room, names in rooms.items() for name in names}

FORBIDDEN = {
    "ground": {"click", "PIL"},
    "kernels": {"PIL", "click", "tqdm", "safetensors", "scipy", "numba", "llvmlite"},
    "core": {"PIL", "click", "tqdm", "safetensors", "scipy"},
    "pixels": {"PIL", "click", "numba", "llvmlite"},
    "cluster": {"PIL", "click", "numba", "llvmlite", "zarr"},
    "filters": {"PIL", "click", "tqdm", "numba", "llvmlite"},
    "nn": {"PIL", "click", "torch"},
    "learning": {"PIL", "click", "tqdm"},
    "lazy": {"PIL", "click", "tqdm", "numba", "llvmlite", "scipy"},
    "seeing": {"click", "tqdm", "numba", "llvmlite"},
}
"""Others' packages that have no place in a room; matplotlib has one in `drawing` alone."""

NAMED = re.compile(r"(cnnfilter(?:\.\w+)+)\.?(?::\w+)?|([a-z]+(?:\.\w+)+):\w+")
"""A string that names a module to be imported: of this package, perhaps up to what a format puts in."""


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def room_of(name):
    """Return the room of a module, whose name is given without the package's."""
    return ROOM[name.split(".")[0]]


def imported(source):
    """Yield every module that a text imports, wherever the statement stands, or names in a string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            if node.module == "cnnfilter":
                yield from (f"cnnfilter.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if found := NAMED.fullmatch(node.value):
                yield found[1] or f"cnnfilter.{found[2]}"


def wrong(name, source):
    """Yield what a module must not import."""
    room = room_of(name)
    for target in imported(source):
        package, _, inner = target.partition(".")
        if package != "cnnfilter":
            if package in FORBIDDEN.get(room, ()) or (package == "matplotlib" and room != "drawing"):
                yield target
        elif inner.split(".")[0] not in ROOM:  # a name of the face
            if room != "face":
                yield target
        elif room_of(inner) != room and FLOOR[room_of(inner)] >= FLOOR[room]:
            if inner or room != "face":
                yield target


def test_every_module_has_its_room():
    assert {name.split(".")[0] for name in MODULES} == set(ROOM)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name):
    assert not [*wrong(name, MODULES[name].read_text())]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core.plan", "from cnnfilter.pixels import apply"),
        ("core.plan", "def f():\n    import cnnfilter.cli.main"),
        ("filters.chain", "from cnnfilter import files"),
        ("batch.jobs", "from cnnfilter.drawing.sheet import draw_sheet"),
        ("errors", "from cnnfilter.kernels.kernel import Kernel"),
        ("kernels.kernel", "if TYPE_CHECKING:\n    from cnnfilter.core.plan import Plan"),
        ("filters.learned", "home = 'cnnfilter.learning.application:apply'"),
        ("files.reading", "import_module(f'cnnfilter.nn.{name}')"),
        ("cli.doctor", "from cnnfilter import Kernel"),
        ("nn.fit", "import matplotlib.figure"),
        ("pixels.light", "from PIL import Image"),
    ],
)
def test_the_check_sees_what_goes_up(name, source):
    assert [*wrong(name, source)]


def test_only_one_module_translates_errors_for_the_shell():
    """Click is known to the command line alone."""
    for name, path in MODULES.items():
        if name.split(".")[0] not in ("cli", "__main__"):
            assert "click" not in {target.split(".")[0] for target in imported(path.read_text())}, name


@pytest.mark.parametrize(
    "statement", ["import cnnfilter", "import cnnfilter; cnnfilter.__version__; dir(cnnfilter)"]
)
def test_the_package_imports_nothing_heavy(statement):
    script = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "numba", "llvmlite", "PIL", "click", "scipy", "tqdm", "matplotlib"} & {
        *loaded.split()
    }


def test_planning_needs_no_compiler():
    script = (
        "import sys, cnnfilter as cf; cf.explain((100, 100), 'uint8', cf.templates.gaussian(sigma=2));"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"numba", "llvmlite", "PIL", "click", "scipy"} & {*loaded.split()}


def test_every_public_name_is_there():
    for name in cnnfilter.__all__:
        assert getattr(cnnfilter, name) is not None
    assert set(cnnfilter.__all__) <= {*dir(cnnfilter)}
    with pytest.raises(AttributeError, match="nothing_like_it"):
        cnnfilter.nothing_like_it  # noqa: B018


@pytest.mark.parametrize(
    ("old", "name", "new"),
    [
        ("core.kernel", "Kernel", "kernels.kernel"),
        ("core.templates", "gaussian", "kernels.templates"),
        ("imagefile", "read", "files"),
    ],
)
def test_documented_old_names_work_and_warn(old, name, new):
    module = importlib.import_module(f"cnnfilter.{old}")
    with pytest.warns(DeprecationWarning, match=rf"cnnfilter\.{old} is now cnnfilter\.{new}") as caught:
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(f"cnnfilter.{new}"), name)
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError):
        module.nothing_like_it  # noqa: B018
