"""Imports: their one direction, and what is not imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cnnfilter

ROOT = Path(cnnfilter.__file__).parent

LAYERS = (
    {"errors"},
    {"wholefile"},
    {"core"},
    {"pixels"},
    {"filters", "nn", "learning", "kernelfile", "kernelsyntax", "kernelview", "weightsfile"},
    {"imagefile"},
    {"batch", "seeing"},
    {"cli"},
)
"""From the bottom up: a module imports from its own layer and from those below."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

ALLOWED_UPWARDS = {
    # `Kernel.load`, `.save` and `.parse` are written for convenience; the work is done in kernelfile.
    ("core.kernel", "kernelfile"),
}

FORBIDDEN = {
    "core": {"PIL", "click", "tqdm", "matplotlib", "safetensors", "scipy"},
    "filters": {"PIL", "click", "tqdm", "numba", "llvmlite"},
    "nn": {"PIL", "click", "torch"},
    "learning": {"PIL", "click", "tqdm"},
    "errors": {"click", "numpy", "PIL"},
    "pixels": {"PIL", "click", "numba", "llvmlite"},
    "seeing": {"click", "tqdm", "matplotlib", "numba", "llvmlite"},
}


def level(name):
    """Return the layer of a module, whose name is given without the package's."""
    return LEVEL[name.split(".")[0]]


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, path


def imported(path, package):
    """Yield every module that a file imports, wherever the statement stands, but for type checking only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body.clear()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            if node.module in ("cnnfilter", *(f"cnnfilter.{part}" for part in LEVEL)):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = dict(modules())


def test_every_module_has_its_layer():
    tops = {name.split(".")[0] for name in MODULES} - {"", "__main__", "_version"}
    assert tops == set(LEVEL)


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in LEVEL])
def test_imports_go_one_way(name):
    top = name.split(".")[0]
    for target in imported(MODULES[name], name):
        parts = target.split(".")
        if parts[0] != "cnnfilter":
            assert parts[0] not in FORBIDDEN.get(top, ()), f"{name} imports {target}"
            continue
        if len(parts) == 1 or parts[1] not in LEVEL:
            continue
        upwards = level(".".join(parts[1:])) > level(name)
        assert not upwards or (name, parts[1]) in ALLOWED_UPWARDS, f"{name} imports {target}"


def test_only_one_module_translates_errors_for_the_shell():
    """Click is known to the command line alone."""
    for name, path in MODULES.items():
        if name.split(".")[0] not in ("cli", "__main__"):
            assert "click" not in {target.split(".")[0] for target in imported(path, name)}, name


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
