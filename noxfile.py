"""What there is to run on the project, each in an environment of its own: nox --list names it.

``nox`` alone checks the style and runs the tests on this Python; ``nox -s NAME`` runs one session.
"""

import re
import runpy
import tarfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "quick"]
nox.options.error_on_missing_interpreters = False

PYPROJECT = nox.project.load_toml("pyproject.toml")
PROJECT = PYPROJECT["project"]
VERSION = runpy.run_path("cnnfilter/_version.py")["__version__"]
TOUCHED_BY_VERSIONS = (
    "tests/test_private_parts.py",
    "tests/test_version_0_1_0.py",
    "tests/files/test_imagefile_png.py",
    "tests/files/test_imagefile_tiff.py",
    "tests/cli/test_cli_kernel.py",
    "tests/cli/test_cli_help.py",
    "tests/cli/test_cli_main.py",
    "tests/kernels/test_kernelfile.py",
    "tests/core/test_chunked.py",
    "tests/core/test_machinecode.py",
    "tests/files/test_weightsfile.py",
    "tests/lazy/test_lazy_zarr.py",
)
"""Tests that other versions of the dependencies break first."""

OUT_OF_THE_SDIST = (
    "tests/kernels/test_kernel.py",
    "tests/kernels/test_templates.py",
    "tests/cli/test_cli_kernel.py",
    "tests/core/test_geometry.py",
    "tests/core/test_plan.py",
    "tests/files/test_imagefile_png.py",
    "tests/test_version_0_1_0.py",
)
"""Quick tests of several rooms, for which modules and data of the tests have to be there."""

WITHOUT_EXTRAS = (
    "doctor",
    "gaussian --sigma 1 rocket.jpg -o ../soft.jpg",
    "pipe astronaut.png -o ../edges.tif -- gaussian --sigma 1 then second-derivative",
    "learn rocket.jpg ../soft.jpg --size 3 -o ../soft.json",
    "kernel show log:9:1.4",
    "net describe lenet5",
)
"""Commands that an installation without any extra has to run."""


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types."""
    session.install("-e", ".[test]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session(python=nox.project.python_versions(PYPROJECT))
def tests(session: nox.Session) -> None:
    """Run the whole suite, on every Python that the project promises and that is there."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def quick(session: nox.Session) -> None:
    """Run the quick part of the suite."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", "not slow", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run tests with the lowest versions that pyproject.toml allows; nox -s lowest -- tests runs all."""
    needs = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    session.install(*(re.sub(r">=([^,]+).*", r"==\1", need) for need in needs))
    session.install("--no-deps", "-e", ".")
    session.run("cnnfilter", "doctor")
    # They were released before their own dependencies deprecated what they use.
    chosen = session.posargs or ["-m", "not slow", *TOUCHED_BY_VERSIONS]
    session.run("python", "-m", "pytest", "-W", "ignore::DeprecationWarning", *chosen)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into site/; a warning is an error."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def package(session: nox.Session) -> None:
    """Build sdist and wheel, run tests out of the one and commands of the other.

    ``nox -s package -- tests`` runs all quick tests out of the sdist.
    """
    session.install("build", "twine")
    folder = Path(session.create_tmp())
    session.run("python", "-m", "build", "--outdir", str(folder))
    sdist, wheel = (next(folder.glob(f"cnnfilter-{VERSION}*.{end}")) for end in ("tar.gz", "whl"))
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    # The wheel alone first, where nothing of the tests' packages could serve in place of what it lacks.
    session.install(str(wheel))
    with session.chdir(unpacked / "sample_images"):
        for command in WITHOUT_EXTRAS:
            session.run("cnnfilter", *command.split())
    session.install(f"cnnfilter[test] @ {wheel.resolve().as_uri()}")
    with session.chdir(unpacked):
        chosen = session.posargs or OUT_OF_THE_SDIST
        session.run("python", "-m", "pytest", "-m", "not slow", *chosen)
