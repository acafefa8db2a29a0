"""What a command imports: a person waits for it at every start, before a pixel is read."""

import os
import subprocess
import sys

import pytest
from commandline import cnnfilter, picture

REPORT = """
import sys
from cnnfilter.cli.main import run
status = run(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""

HEAVY = {
    "asyncio", "concurrent", "dask", "email", "hashlib", "html", "http", "json", "llvmlite", "matplotlib",
    "multiprocessing", "numba", "pathlib", "safetensors", "scipy", "tempfile", "tifffile", "tqdm", "unittest",
    "xml", "zarr",
}  # fmt: skip
"""What takes more than a millisecond to import, and no filter of an everyday file needs."""

ELSEWHERE = {f"cnnfilter.{room}" for room in ("drawing", "lazy", "learning", "nn", "seeing")}
METHODS = {
    f"cnnfilter.core.methods.{name}"
    for name in (
        "direct", "fft", "lowrank", "pooling", "quotient", "recursive", "renormalized", "running", "separable"
    )
}  # fmt: skip
NAMED = {f"cnnfilter.kernels.{name}" for name in ("formulas", "kernelfile", "named", "templates")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("startup")
    for name in ("a.png", "a.jpg", "a.ppm"):
        picture(folder / name)
    return folder


def imported(folder, *words):
    """Run a command as an installed program, once its loops have been compiled; name what it imported."""
    cnnfilter(*words, cwd=folder)
    # Not by the files of an installation for work on the code, which import modules of their own.
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-S", "-c", REPORT, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr.decode()
    return set(done.stderr.decode().split())


def forms_of(names):
    return {name.split(".")[0] for name in names} & {"PIL", "imagecodecs"}


@pytest.mark.parametrize(
    ("words", "needed", "most"),
    [
        ("gaussian --sigma 2 a.png -o o.png", {"separable"}, 80),
        ("gaussian --sigma 2 a.jpg -o o.jpg", {"separable"}, 80),
        ("gaussian --sigma 2 a.ppm -o o.ppm", {"separable"}, 78),
        ("mean a.ppm -o o.ppm", {"running"}, 78),
        ("convolve --kernel 1,2,1;2,5,2;1,2,1 a.ppm -o o.ppm", {"direct"}, 82),
        ("pool max a.ppm -o o.ppm", {"pooling"}, 74),
        ("pipe a.ppm -o o.ppm -- gaussian --sigma 2 then pool max", {"separable", "pooling"}, 80),
    ],
)
def test_a_filter_imports_what_its_plan_needs(folder, words, needed, most):
    names = imported(folder, *words.split())
    assert {name.split(".")[0] for name in names} & HEAVY == set()
    assert names & (ELSEWHERE | {"numpy.ma"}) == set()
    assert names & METHODS == {f"cnnfilter.core.methods.{name}" for name in needed}
    if "--kernel" not in words and "mean" not in words:
        assert not names & NAMED
    assert sum(name.startswith("cnnfilter") for name in names) <= most


@pytest.mark.parametrize(("form", "libraries"), [("png", {"imagecodecs"}), ("jpg", {"PIL"}), ("ppm", set())])
def test_a_file_imports_the_library_of_its_form(folder, form, libraries):
    names = imported(folder, "pool", "max", f"a.{form}", "-o", f"o.{form}")
    assert forms_of(names) == libraries
    codecs = {name for name in names if name.startswith("imagecodecs._")}
    assert codecs <= {"imagecodecs._png", "imagecodecs._shared", "imagecodecs._shared_cython"}


@pytest.mark.parametrize(
    ("words", "most"), [("--version", 12), ("--help", 12), ("gaussian --help", 20), ("help pipe", 24)]
)
def test_help_does_not_wait_for_numpy(folder, words, most):
    names = imported(folder, *words.split())
    assert {name.split(".")[0] for name in names} & (HEAVY | {"numpy", "PIL", "imagecodecs"}) == set()
    assert sum(name.startswith("cnnfilter") for name in names) <= most


def test_filters_leave_blas_one_thread(folder):
    """Its threads would spin beside the decoder; whoever sets their number himself is left alone."""
    script = REPORT.replace("print(", "import os; print('blas', os.environ['OPENBLAS_NUM_THREADS']); print(")
    for asked, found in ((None, "1"), ("2", "2")):
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        environment |= {"OPENBLAS_NUM_THREADS": asked} if asked else {}
        done = subprocess.run(
            [sys.executable, "-c", script, "mean", "a.ppm", "-o", "b.ppm"],
            cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=400,
        )  # fmt: skip
        assert done.stdout.split() == [b"blas", found.encode()]
