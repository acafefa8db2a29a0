"""Write anew what the commands of some pages say: python docs/make_shown.py.

A block of commands (``sh``) is followed by a block of what they print (``text``), if they print anything.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ("notes-at-the-shell", "equations")
PAGES = [ROOT / "docs" / f"{name}{language}.md" for name in NAMES for language in ("", ".zh-CN")]

_SHOWN = re.compile(r"^```sh\n(?P<commands>.*?)^```\n(?:\n```text\n(?P<said>.*?)^```\n)?", re.M | re.S)


def made(page: str) -> str:
    """Return a page with what its commands say, run one block after the other in a folder of their own.

    A command that fails ends it: no page shows one.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "sample_images", Path(folder) / "sample_images")
        program = Path(folder) / "bin" / "cnnfilter"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cnnfilter "$@"\n', encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return _SHOWN.sub(lambda block: _with_what_is_said(block, folder), page)


def _with_what_is_said(block: re.Match[str], folder: str) -> str:
    paths = {
        "PATH": os.pathsep.join([f"{folder}/bin", os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block["commands"]],
        cwd=folder,
        env={**os.environ, **paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise RuntimeError(f"{block['commands']}{done.stdout}")
    text = f"```sh\n{block['commands']}```\n"
    if not done.stdout:
        return text
    said = "\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines())
    return f"{text}\n```text\n{said}\n```\n"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(made(page.read_text(encoding="utf-8")), encoding="utf-8")
