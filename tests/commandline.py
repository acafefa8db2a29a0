"""Run the command line as a user does: a process of its own."""

import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMAND = [sys.executable, "-m", "cnnfilter"]


def cnnfilter(
    *arguments: object,
    status: int | None = 0,
    input: bytes | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    **more: object,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end and check its exit status; standard input is empty unless given."""
    stdin = {"input": input} if input is not None else {"stdin": more.pop("stdin", subprocess.DEVNULL)}
    process = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=400,
        **stdin,
        **more,
    )
    if status is not None:
        assert process.returncode == status, (arguments, process.returncode, process.stderr.decode())
    return process


def hear_signals() -> None:
    """Before a command starts: hear interruptions, even where these tests run in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def complaint(process: subprocess.CompletedProcess[bytes]) -> str:
    """Return the one line that was said on standard error, without the program's name."""
    (line,) = process.stderr.decode().splitlines()
    assert line.startswith("cnnfilter: ")
    return line.removeprefix("cnnfilter: ")


def picture(path: Path, shape: tuple[int, ...] = (24, 32, 3), seed: int = 0) -> np.ndarray:
    """Write an image of random bytes and return them."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def pixels(source: object) -> np.ndarray:
    """Return the pixels of an image file, by a reader that is not ours."""
    with Image.open(source) as image:
        return np.asarray(image)


def names(folder: Path) -> list[str]:
    """List all that is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


PHOTOS = ["photos/a.png", "photos/b.png", "photos/c.jpg"]
"""What the fixture `folder` has made."""


def lines(process: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [line.removeprefix("cnnfilter: ") for line in process.stderr.decode().splitlines()]


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def through(input: bytes, *arguments: str) -> np.ndarray:
    return pixels(io.BytesIO(cnnfilter(*arguments, input=input).stdout))


def large(path: str, side: int = 1500) -> bytes:
    """Make an image that takes a while."""
    picture(Path(path), (side, side, 3))
    return Path(path).read_bytes()


def unprivileged(*arguments: str, status: int) -> subprocess.CompletedProcess[bytes]:
    """Run a command that heeds the modes of files even if we are root."""
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if shutil.which("setpriv") is None:
            pytest.skip("root may do everything, and setpriv is not installed")
    process = subprocess.run([*prefix, *COMMAND, *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    assert process.returncode == status, process.stderr
    return process


def without_privilege(*arguments: str) -> str:
    """Run a command that fails, without privilege; return its complaint."""
    return complaint(unprivileged(*arguments, status=1))
