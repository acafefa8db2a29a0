"""A folder of image files through the identity filter, and through what else reads images.

``python -m benchmarks.corpus FOLDER...`` prints, for each form, how many files there are, how many are opened
by us and by Pillow, OpenCV, libvips and ImageMagick, and what is wrong: pixels that two others agree on and
we do not, descriptions that exiftool finds before and not after although nothing was said, exceptions that
are not our own, files that two others open and we do not. A second table counts what exiftool finds described
in these files (profiles, EXIF, captions and so on), and how much of it is left in the copy of each one.
``--mutate N`` changes bytes in N copies and asks only that they are read or refused, in `SECONDS` and
`MEBIBYTES`. ``--list FILE`` has a line for every file. Needs the ``bench`` extra, pyvips, ImageMagick and
exiftool; what is missing is left out.
"""

import argparse
import contextlib
import faulthandler
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpuspeers import APART, COPIERS, LOSSY, PEERS, Array, close, in_colours, kept, versions
from benchmarks.mutations import MEBIBYTES, SECONDS, mutated
from cnnfilter import filter_files, read
from cnnfilter.errors import CnnFilterError
from cnnfilter.files.forms import FORMS, form_named, form_of_bytes

_CHUNK = 100  # files a process, so that one that dies costs little
_FILE_SECONDS = 60
_MOST_MEMORY = 8 << 30  # of a process: others follow whatever a header claims
_UNWRITTEN = ("ICO", "PSD", "DDS")
# Groups of exiftool, and the words by which a loss of them is told.
_GROUPS = {
    "ICC_Profile": "profile|iCCP", "ExifIFD": "EXIF", "GPS": "EXIF", "IPTC": "Photoshop|IPTC", "XMP": "XMP",
    "Photoshop": "Photoshop|PSD|layers", "GeoTiff": "georeference",
}  # fmt: skip
_HEADER_OF_PSD = {
    f"Photoshop:{name}"
    for name in (
        "NumChannels",
        "ImageHeight",
        "ImageWidth",
        "BitDepth",
        "ColorMode",
        "Compression",
        "LayerCount",
    )
}
_COLUMNS = ("opened", "wrong", "changed", "silent", "own", "two others")


def forms_of(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yield each file with its form: by its bytes, or by its suffix if they are of none."""
    for path in paths:
        with path.open("rb") as file:
            form = form_of_bytes(file.read(64), path.suffix)
        try:
            yield form or form_named(path.suffix), path
        except CnnFilterError:
            continue


def ours(path: str, form: str, folder: str) -> dict[str, Any]:
    """Run the identity filter; what came of it, and the pixels that were read."""
    suffix = ".png" if form in _UNWRITTEN else FORMS[form][0]
    output = os.path.join(folder, f"{abs(hash(path))}{suffix}")
    (result,) = filter_files(path, output, "convolve --kernel identity:1", overwrite=True, jobs=1, threads=1)
    found: dict[str, Any] = {"state": "opened", "output": output}
    if result.error is not None:
        found |= {"state": "refused", "why": str(result.error)}
        if not isinstance(result.error, CnnFilterError):
            found |= {"state": "own", "why": f"{type(result.error).__name__}: {result.error}"}
    else:
        found["losses"] = list(result.outcome.losses)
    return found


def pixels_of(path: str) -> tuple[Array | None, np.ndarray | None]:
    """Return the colours that we read, and where they are opaque."""
    picture = read(path)
    frame = np.asarray(picture.frames[0])
    opaque = None
    if picture.alpha:
        white = np.iinfo(frame.dtype).max if frame.dtype.kind in "iu" else 1
        frame, opaque = frame[..., :-1], frame[..., -1] == white
    channels = frame.shape[2] if frame.ndim == 3 else 1
    if picture.form == "PNG" and picture.delays:  # others show what need not be a frame
        return None, opaque
    return (in_colours(frame) if channels in (1, 3) and picture.model != "cmyk" else None), opaque


def judged(path: str, form: str, folder: str) -> Iterator[dict[str, Any]]:
    """Yield what came of a file by us, and once more when the others have opened it too."""
    found: dict[str, Any] = {"path": path, "form": form, **ours(path, form, folder), "peers": []}
    colours, opaque = None, None
    try:
        colours, opaque = pixels_of(path)
        found["read"] = True
        if found["state"] == "refused":
            found["state"] = "unwritten"
    except CnnFilterError as error:
        found.setdefault("why", str(error))
    lossy = form in LOSSY or _jpeg_inside(path, form)
    if colours is not None and found["state"] == "opened" and form not in _UNWRITTEN:
        after, _ = pixels_of(found["output"])
        found["changed"] = after is None or not kept(after, colours, lossy or form == "GIF", opaque)
    yield found
    decoded = decoded_by_others(path, found["peers"])
    if colours is not None:
        agree = [close(colours, pixels, lossy, opaque) for pixels in decoded]
        pairs = itertools.combinations([pixels for pixels in decoded if pixels.shape == colours.shape], 2)
        found["wrong"] = not any(agree) and any(close(*pair, lossy, opaque) for pair in pairs)
        found["apart"] = bool(decoded) and not any(agree) and not found["wrong"]
    yield found


def decoded_by_others(path: str, opened: list[str]) -> list[Array]:
    """Return the pixels of those that give some; the names of all that open the file go into `opened`."""
    decoded = []
    for name, decode in PEERS.items():
        with contextlib.suppress(Exception):  # whatever they raise
            pixels = decode(path)
            opened.append(name)
            decoded += [pixels] if pixels is not None else []
    return decoded


def copied_by_others(path: str, form: str, folder: str) -> dict[str, str]:
    """Return the copies that others write of a file, each in its own form."""
    copies = {}
    for name, copy in COPIERS.items():
        output = os.path.join(folder, f"{abs(hash(path))}-{name}{FORMS[form][0]}")
        with contextlib.suppress(Exception):  # whatever they raise
            copy(path, output)
            copies[name] = output
    return copies


def _jpeg_inside(path: str, form: str) -> bool:
    if form != "TIFF":
        return False
    import tifffile

    with contextlib.suppress(Exception), tifffile.TiffFile(path) as file:  # whatever it raises of bad files
        return file.pages[0].compression not in (1, 5, 8, 32773, 32946, 50000)
    return False


def work(folder: str) -> None:
    """Judge the files that standard input names, a line of JSON for each; for processes of `run`."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError))
    for line in sys.stdin:
        faulthandler.dump_traceback_later(2 * _FILE_SECONDS, exit=True)  # in a library no alarm is heard
        form, described, path = line.rstrip("\n").split("\t")
        print(json.dumps({"at": path, "form": form}), flush=True)
        signal.alarm(_FILE_SECONDS)
        try:
            for found in judged(path, form, folder):
                print(json.dumps(found), flush=True)
            if described and found["state"] == "opened" and form not in _UNWRITTEN:
                print(json.dumps(found | {"copies": copied_by_others(path, form, folder)}), flush=True)
        except BaseException as error:
            why = f"{type(error).__name__}: {error}"
            print(
                json.dumps({"path": path, "form": form, "state": "own", "why": why, "peers": []}), flush=True
            )
        signal.alarm(0)


def run(files: list[tuple[str, Path]]) -> Iterator[dict[str, Any]]:
    """Judge files in processes of their own; one that dies costs its file and no other."""
    while files:
        _, group = next(itertools.groupby(files[:_CHUNK], lambda one: one[0] in APART))
        chunk = list(group)[: 1 if files[0][0] in APART else _CHUNK]
        with tempfile.TemporaryDirectory() as folder:
            before = _groups([str(path) for _, path in chunk])
            text = "".join(f"{form}\t{','.join(before.get(str(path), ()))}\t{path}\n" for form, path in chunk)
            code = f"from benchmarks.corpus import work; work({folder!r})"
            done = subprocess.run(
                [sys.executable, "-c", code], input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, check=False, errors="replace",
            )  # fmt: skip
            lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            begun = {line["at"]: line["form"] for line in lines if "at" in line}
            died = {"state": "died", "why": str(done.returncode), "peers": []}
            results = {path: {"path": path, "form": form, **died} for path, form in begun.items()}
            results |= {line["path"]: line for line in lines if "path" in line}
            _tell_losses([*results.values()], before)
            yield from results.values()
        files = files[max(len(begun), 1) :]
        print(f"\r{len(files)} left  ", end="", file=sys.stderr, flush=True)


def _tell_losses(results: list[dict[str, Any]], before: dict[str, set[str]]) -> None:
    """Note which descriptions exiftool finds before and not after, though nothing was said; what all keep."""
    opened = [found for found in results if found["state"] == "opened" and before.get(found["path"])]
    copies = [copy for found in opened for copy in found.get("copies", {}).values()]
    after = _groups([found["output"] for found in opened] + copies)
    for found in opened:
        told, had = " ".join(found["losses"]), before[found["path"]]
        lost = had - after.get(found["output"], set())
        silent = [group for group in lost if not any(word in told for word in _GROUPS[group].split("|"))]
        if silent:
            found["silent"] = silent
        if "copies" in found:
            others = {name: len(had & after.get(copy, set())) for name, copy in found["copies"].items()}
            found["kept"] = {"described": len(had), "cnnfilter": len(had) - len(lost), **others}


def _groups(paths: list[str]) -> dict[str, set[str]]:
    """Return the groups of `_GROUPS` that exiftool finds in each file."""
    if not paths or not shutil.which("exiftool"):
        return {}
    command = ["exiftool", "-j", "-G1", "-q", "-q", "-fast1", *paths]
    told = subprocess.run(command, capture_output=True, check=False).stdout
    groups = {}
    for found in json.loads(told.decode(errors="replace") or "[]"):
        names = {key.split(":")[0].split("-")[0] for key in found if key not in _HEADER_OF_PSD}
        groups[found["SourceFile"]] = names & set(_GROUPS)
    return groups


def table_of_kept(results: list[dict[str, Any]]) -> str:
    """Write how many descriptions there are in the files that we write, and how many each one keeps."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for found in results:
        for row in (rows[found["form"]], rows["all"]):
            row.update(found.get("kept", {}))
    return _table({form: row for form, row in rows.items() if row}, ["described", "cnnfilter", *PEERS])


def table(results: list[dict[str, Any]]) -> str:
    """Write the counts, a row for each form."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for found in results:
        for row in (rows[found["form"]], rows["all"]):
            row["files"] += 1
            row["opened"] += bool(found.get("read"))
            row.update(found["peers"])
            row.update(key for key in ("wrong", "changed", "silent") if found.get(key))
            row["own"] += found["state"] in ("own", "died")
            row["two others"] += not found.get("read") and len(found["peers"]) >= 2
    return _table(rows, ["files", *_COLUMNS[:1], *PEERS, *_COLUMNS[1:]])


def _table(rows: dict[str, Counter[str]], columns: list[str]) -> str:
    head = ["form", *columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    order = [*sorted(name for name in rows if name != "all"), "all"]
    lines += ["| " + " | ".join([name, *(str(rows[name][key]) for key in columns)]) + " |" for name in order]
    return "\n".join(lines)


def mutate(files: list[tuple[str, Path]], count: int) -> int:
    """Read changed copies, a process for a hundred; print what breaks a promise, return how many do."""
    chosen = random.Random(0).choices([path for _, path in files if path.stat().st_size < 2 << 20], k=count)
    broken = 0
    for start in range(0, count, _CHUNK):
        text = "".join(
            f"{start + number}\t{path}\n" for number, path in enumerate(chosen[start : start + _CHUNK])
        )
        code = "from benchmarks.corpus import read_mutated; read_mutated()"
        done = subprocess.run(
            [sys.executable, "-c", code], input=text, stdout=subprocess.PIPE, text=True, check=False
        )
        for line in done.stdout.splitlines():
            broken += line.startswith("broken")
            if line.startswith("broken"):
                print(line)
        if done.returncode:
            broken += 1
            print(f"the process ended with {done.returncode}: {done.stdout.splitlines()[-1:]}")
    return broken


def read_mutated() -> None:
    """Read a changed copy of each file that standard input names, within limits."""
    faulthandler.enable()
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError))
    for line in sys.stdin:
        seed, path = line.rstrip("\n").split("\t")
        data = mutated(Path(path).read_bytes(), np.random.default_rng(int(seed)))
        print("at", seed, path, flush=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(SECONDS)
        try:
            read(data)
        except CnnFilterError:
            pass
        except BaseException as error:
            print("broken", seed, path, type(error).__name__, str(error)[:200].replace("\n", " "), flush=True)
        signal.alarm(0)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if now > max(before, MEBIBYTES << 10):
            print("broken", seed, path, "memory", f"{now >> 10} MiB", flush=True)


def main() -> int:
    """Judge all files below the folders, and print the table and what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--mutate", type=int, default=0, metavar="N")
    parser.add_argument("--list", type=Path, metavar="FILE")
    given = parser.parse_args()
    paths = sorted(path for folder in given.folders for path in folder.rglob("*") if path.is_file())
    files = sorted(forms_of(paths), key=lambda one: one[0] in APART)
    if given.mutate:
        broken = mutate(files, given.mutate)
        print(f"{given.mutate} inputs, {broken} broken")
        return bool(broken)
    results = []
    with given.list.open("w") if given.list else contextlib.nullcontext() as file:
        for found in run(files):
            results.append(found)
            if file:
                print(json.dumps(found), file=file, flush=True)
    for found in results:
        kinds = [key for key in ("wrong", "changed", "silent") if found.get(key)]
        kinds += [found["state"]] if found["state"] in ("own", "died") else []
        kinds += ["two others"] if not found.get("read") and len(found["peers"]) >= 2 else []
        if kinds:
            print(
                ", ".join(kinds),
                found["path"],
                found.get("silent", ""),
                found.get("why", "")[-160:],
                found["peers"],
            )
    print(f"\n{versions()}\n{table(results)}\n\n{table_of_kept(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
