"""The short form of `python -m benchmarks`: two rows of small images, and what the peers compute."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("scipy")

from benchmarks.cases import SETS
from benchmarks.peers import PEERS, pixels
from benchmarks.summary import summary

ROOT = Path(__file__).parents[1]


def test_two_rows_are_measured_and_written(tmp_path):
    file = tmp_path / "rows.json"
    command = [
        sys.executable, "-m", "benchmarks", "--set", "small", "--side", "64", "--only", "gaussian 2,",
        "--peers", "OpenCV", "--threads", "1", "--seconds", "0.001", "--json", str(file),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    assert [row["case"] for row in result["rows"]] == ["gaussian 2, 32x32 u8", "gaussian 2, 32x32 f32"]
    for row in result["rows"]:
        assert row["limit_ms"] > 0
        assert row["of_limit"] == pytest.approx(row["ours_ms"] / row["limit_ms"], rel=0.05)
        assert f"{row['case']} " in done.stdout
    (can,) = result["machine"]["giga_a_second"]
    assert can["f32_multiply_adds"] > 0 and can["copy"] > 0
    assert len(result["overhead_us"]) == 5


def test_a_stack_of_layers_is_measured():
    command = [
        sys.executable, "-m", "benchmarks.stacks", "12-12-3", "--size", "20x30", "--threads", "1",
        "--rounds", "1", "--seconds", "0.001",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    first, head, row = done.stdout.splitlines()
    assert first.startswith("1 thread(s), 20x30 pixels") and head.startswith("maps")
    name, speed, share = row.split()[:3]
    assert name == "12-12-3" and float(speed) > 0 <= float(share)


@pytest.mark.parametrize("peer", ["OpenCV", "SciPy", "NumPy"])
def test_peers_compute_what_we_compute(peer):
    seen = 0
    for case in SETS["odd"](128):
        call = PEERS[peer][1](case, 1)
        if call is not None:
            ours = case.ours(1)()
            assert ours.shape == case.output_shape and ours.dtype == case.dtype, case.name
            difference = np.abs(ours.astype(np.float64) - pixels(call(), case)).max()
            assert difference <= case.tolerance, case.name
            seen += 1
    assert seen >= 10


def row(case, ratio, of_limit):
    kind = case.partition(" ")[0]
    return {
        "set": "odd", "peer": "OpenCV", "threads": 1, "case": case, "filter": kind, "ours_ms": of_limit,
        "ratio": ratio, "of_limit": of_limit,
    }  # fmt: skip


def test_the_summary_names_what_is_slow():
    rows = [
        row("gaussian 2, reflect", 4.0, 2.0),
        row("gaussian 2, renormalize", 1.0, 3.0),
        row("dense 3x3", 0.25, 9.0),
    ]
    assert summary(rows).splitlines() == [
        "",
        "OpenCV, 1 thread, odd: geometric mean 2.00 (Gaussian, 2 rows), 1.00 (all, 3 rows)",
        "  below 1: dense 3x3 (0.25)",
        "Gaussians and means above 2.5 x limit, 1 thread, odd: gaussian 2, renormalize (3.00)",
        "gaussian 2, renormalize, 1 thread: 1.50 times as long as reflect",
    ]


def test_the_corpus_counts_what_is_opened_and_what_is_kept():
    from benchmarks.corpus import table, table_of_kept

    jpeg = {"form": "JPEG", "state": "opened", "read": True, "peers": ["Pillow", "OpenCV"]}
    jpeg["kept"] = {"described": 3, "cnnfilter": 3, "Pillow": 1}
    refused = {"form": "PNG", "state": "refused", "peers": ["Pillow", "libvips"]}
    counts = table([jpeg, refused]).splitlines()
    assert counts[0] == (
        "| form | files | opened | Pillow | OpenCV | libvips | ImageMagick | wrong | changed | silent | own "
        "| two others |"
    )
    assert counts[2:] == [
        "| JPEG | 1 | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |",
        "| PNG | 1 | 0 | 1 | 0 | 1 | 0 | 0 | 0 | 0 | 0 | 1 |",
        "| all | 2 | 1 | 2 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 1 |",
    ]
    kept = table_of_kept([jpeg, refused]).splitlines()
    assert kept[0] == "| form | described | cnnfilter | Pillow | OpenCV | libvips | ImageMagick |"
    assert kept[2:] == ["| JPEG | 3 | 3 | 1 | 0 | 0 | 0 |", "| all | 3 | 3 | 1 | 0 | 0 | 0 |"]
