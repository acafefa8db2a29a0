"""Plant faults in a copy of the package, one after the other, and see whether the tests notice.

    python tests/plant_faults.py [-v] [WORD]...

Each fault of `faults.py` is a piece of one file and what it is replaced by; the tests named with it are run,
and one of them has to fail. A fault that none notices survives: a test is missing. Words choose the faults
whose names hold one of them. The exit status is 0 when every fault was noticed, and 1 else, also when a
piece of text is no longer there, or is there twice, or when the tests fail without a fault.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("cnnfilter", "tests", "pyproject.toml")
TIMEOUT = 600
"""Seconds for the tests of one fault: one that hangs them is noticed as well."""

NOTICED, SURVIVED = 1, 0
"""What pytest says by its exit status; all else means that it could not run the tests."""


class CannotPlant(Exception):
    """A fault whose text or tests are not where they should be."""


@dataclass(frozen=True)
class Fault:
    """A fault to plant.

    Parameters
    ----------
    name : str
        What goes wrong.
    file : str
        Name of a file of the package. Its folder is not told, so that it may move.
    old, new : str
        The text that is there once, and what it is replaced by.
    tests : str
        Names of test files, or of tests (``test_x.py::test_y``), separated by spaces.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


def place_of(fault: Fault, package: Path) -> Path:
    """Return the one file that holds the text of a fault, once."""
    files = [path for path in package.rglob(fault.file) if fault.old in path.read_text("utf-8")]
    if len(files) != 1:
        raise CannotPlant(f"{len(files)} files named {fault.file} hold {fault.old!r}; it has to be one")
    times = files[0].read_text("utf-8").count(fault.old)
    if times != 1:
        raise CannotPlant(f"{fault.file} holds {fault.old!r} {times} times; it has to be once")
    return files[0]


def named_tests(fault: Fault, tests: Path) -> list[str]:
    """Return what pytest is told to run."""
    found = []
    for name in fault.tests.split():
        file, colons, test = name.partition("::")
        paths = list(tests.rglob(file))
        if len(paths) != 1:
            raise CannotPlant(f"{len(paths)} files of tests are named {file}; it has to be one")
        found.append(f"{paths[0]}{colons}{test}")
    return found


@contextmanager
def planted(fault: Fault, package: Path) -> Iterator[None]:
    """Have the fault in the package while the block runs."""
    path = place_of(fault, package)
    text = path.read_text("utf-8")
    try:
        _rewrite(path, text.replace(fault.old, fault.new))
        yield
    finally:
        _rewrite(path, text)


def _rewrite(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    # Compiled code is told from a new one by size and whole seconds, which is not enough here.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()


def run_tests(names: Iterable[str], folder: Path) -> tuple[int, str]:
    """Run tests until one fails; return pytest's exit status and what it said."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *names]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    try:
        process = subprocess.run(
            command, cwd=folder, env=environment, timeout=TIMEOUT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return NOTICED, f"the tests did not end within {TIMEOUT} s"
    return process.returncode, process.stdout


def plant_all(faults: Sequence[Fault], root: Path = ROOT, verbose: bool = False) -> list[str]:
    """Plant faults in a copy of the package at `root`, tell of each, and return the names of those unnoticed.

    Those that cannot be planted or tested count as unnoticed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (root / name).exists():
                shutil.copy(root / name, folder / name)
        return [fault.name for fault in faults if not _is_noticed(fault, folder, verbose)]


def _is_noticed(fault: Fault, folder: Path, verbose: bool) -> bool:
    try:
        names = named_tests(fault, folder / "tests")
        with planted(fault, folder / "cnnfilter"):
            status, said = run_tests(names, folder)
        words = {NOTICED: "noticed", SURVIVED: "SURVIVED"}.get(status, "TESTS CANNOT RUN")
        if status == NOTICED and not _pass(tuple(names), folder):
            words = "TESTS FAIL ANYWAY"
    except CannotPlant as error:
        words, said = "CANNOT BE PLANTED", str(error)
    noticed = words == "noticed"
    print(f"{words:<18} {fault.name}", flush=True)
    if verbose or not noticed:
        print(*(f"    {line}" for line in said.splitlines()[-12:]), sep="\n", flush=True)
    return noticed


@cache
def _pass(names: tuple[str, ...], folder: Path) -> bool:
    """Tell whether the tests pass without a fault."""
    return run_tests(names, folder)[0] == SURVIVED


def main(arguments: Sequence[str]) -> int:
    """Run the command; see the head of this file."""
    from faults import FAULTS

    words = [word for word in arguments if word != "-v"]
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    if not chosen:
        print(f"no fault is named like {' or '.join(words)}", file=sys.stderr)
        return 1
    unnoticed = plant_all(chosen, verbose="-v" in arguments)
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} faults noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
