"""Matrices in pipes and in the forms that are asked for, what is exact of them, and what is told in JSON."""

import json
import os
import pty
import re
import shlex
import subprocess
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, complaint, picture

import cnnfilter as cf
from cnnfilter.seeing.matrix import read_matrix

NINE = "1 2 3; 4 5 6; 7 8 9"


def said(*arguments, **more):
    return cnnfilter(*arguments, **more).stdout.decode()


def on_a_terminal(*arguments, **env):
    """Return what a command says on standard output where that is a terminal of colours."""
    master, slave = pty.openpty()
    around = {**os.environ, "TERM": "xterm", **env}
    words = [*COMMAND, *map(str, arguments)]
    with subprocess.Popen(words, stdout=slave, stdin=subprocess.DEVNULL, env=around) as process:
        os.close(slave)
        said = b""
        with suppress(OSError):  # the other side is closed
            while chunk := os.read(master, 1000):
                said += chunk
    os.close(master)
    assert process.returncode == 0
    return said.decode().replace("\r\n", "\n")


def rows(text):
    return [[float(word) for word in line.split()] for line in text.splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        b"1 2 3\n4 5 6\n",
        b"# a table\n1,2,3\n4,5,6",
        "\ufeff１，２，３；４、５　６".encode(),
        "1 2 3;4 5 6".encode("utf-16"),
        b"[[1, 2, 3], [4, 5, 6]]",
    ],
)
@pytest.mark.parametrize("words", [[], ["-"]])
def test_a_matrix_is_read_from_a_pipe(tmp_path, text, words):
    shown = said("correlate", "--kernel", "1", *words, input=text)
    assert rows(shown) == [[1, 2, 3], [4, 5, 6]]
    (tmp_path / "file").write_bytes(text)
    with open(tmp_path / "file", "rb") as file:  # which can be read again, as a pipe cannot
        assert said("correlate", "--kernel", "1", *words, stdin=file) == shown
    assert said("mean", "--at", "1,1", *words, input=text).endswith("stored as        3 (float64)\n")
    if words:
        assert said("mean", "--explain", *words, input=text).startswith("-: 2x3 float64\n")


def test_images_of_a_pipe_stay_images_and_what_is_neither_is_said(tmp_path):
    picture(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert cnnfilter("correlate", "--kernel", "1", "--format", "png", input=content).stdout[:4] == b"\x89PNG"
    plain = b"P2 2 1 9 4 5"
    assert cnnfilter("correlate", "--kernel", "1", input=plain).stdout.startswith(b"P5")
    assert "standard input: at row 1, column 2: 'x'" in complaint(cnnfilter("mean", input=b"1 x", status=1))
    assert "is not an image of a known form" in complaint(cnnfilter("mean", input=b"words", status=1))


def test_forms_of_text_are_written_where_they_are_asked_for(tmp_path):
    assert (
        said("mean", "--matrix", "1 2 4", "--format", "csv")
        == "1.6666666666666667,2.3333333333333335,2.6666666666666665\n"
    )
    assert said("mean", "--matrix", NINE, "--format", "TXT", "-o", "-").splitlines()[1].split()[1] == "5"
    picture(tmp_path / "a.pgm", (2, 3))
    shown = said("correlate", "--kernel", "1", "a.pgm", "--format", "csv", cwd=tmp_path)
    assert [len(line.split(",")) for line in shown.splitlines()] == [3, 3]
    done = cnnfilter("mean", "--matrix", "1 2", "--format", "csv", "-o", "x.png", cwd=tmp_path)
    assert b"x.png: is written as csv, as --format says" in done.stderr
    cnnfilter("mean", "--matrix", "1 2", "--format", "npy", "-o", "x.csv", "-q", cwd=tmp_path)
    assert np.load(tmp_path / "x.csv").tolist() == [5 / 3, 4 / 3]
    grey = cnnfilter(
        "correlate", "--kernel", "1", "--matrix", "1 2", "--depth", "8", "--format", "pgm"
    ).stdout
    assert grey.startswith(b"P5") and grey.endswith(b"\1\2")
    for words in (["a.pgm", "a.pgm"], ["."], ["--files-from", "x"]):
        assert "is for one matrix" in complaint(
            cnnfilter("mean", *words, "--format", "csv", cwd=tmp_path, status=2)
        )


@pytest.mark.parametrize(
    "words",
    [
        "mean",
        "mean --boundary renormalize",
        "mean --size 2x5 --padding wide",
        "correlate --kernel '1 -2 5; 0 3 1 / 7' --stride 2 --boundary constant:3",
        "gaussian --template integer --sigma 0.8 --size 3",
        "mean then mean --boundary constant:5",
    ],
)
@pytest.mark.parametrize("shape", [(6,), (5, 6)])
def test_sums_of_whole_numbers_are_divided_once(words, shape, tmp_path):
    """As fractions are, rounded at the end; beside that they are what images of such values become."""
    if len(shape) == 1 and ("constant" in words or "2x5" in words):
        pytest.skip("a file of one row is filtered as an image")
    values = np.random.default_rng(3).integers(-9, 10, shape)
    np.save(tmp_path / "in.npy", values.astype(float))
    text = ";".join(" ".join(map(str, row)) for row in np.atleast_2d(values).tolist())
    steps = ["--", *shlex.split(words)]
    found = read_matrix(said("pipe", "--matrix", text, "--format", "csv", *steps))
    cnnfilter("pipe", "in.npy", "-o", "out.npy", *steps, cwd=tmp_path)
    assert np.allclose(found, np.load(tmp_path / "out.npy"), rtol=1e-12)
    for one in found.ravel().tolist():
        nearest = Fraction(one).limit_denominator(10**5)
        assert float(nearest) == one, (one, nearest)


def test_numbers_that_are_not_exact_stay_as_the_core_has_them():
    values = np.array([0.1, 0.7, 0.3, 1e300])
    text = " ".join(map(repr, values.tolist()))
    assert np.array_equal(read_matrix(said("mean", "--matrix", text, "--format", "csv")), cf.mean(values))


def test_json_tells_of_a_matrix_as_of_a_file(tmp_path):
    done = cnnfilter("mean", "--matrix", NINE, "--json", cwd=tmp_path)
    assert rows(done.stdout.decode())[1][1] == 5
    record = json.loads(done.stderr)
    assert record["status"] == "done" and record["filters"] == [
        {"filter": "mean", "size": 3, "boundary": "reflect"}
    ]
    assert record["input"] == "matrix" and record["output"] == "-" and record["shape"] == [3, 3]
    words = ["correlate", "--kernel", "1 0 -1", "--matrix", NINE, "--depth", "8", "-o", "a.csv"]
    record = json.loads(said(*words, "--json", cwd=tmp_path))
    assert record["form"] == "CSV" and record["clipped"] == 3 and "were clipped" in record["notes"][0]
    assert json.loads(said(*words, "--json", "--skip-existing", cwd=tmp_path))["status"] == "skipped"
    assert (
        b"matrix -> a.csv: 3x3 to 3x3, uint8 CSV, 3 values clipped"
        in cnnfilter(*words, "-v", cwd=tmp_path).stderr
    )


@pytest.mark.parametrize(
    "words",
    [
        ("mean", "--matrix", NINE, "--at", "0,0"),
        ("net", "trace", "--matrix", NINE, "--kernel", "1 -1", "--pool", "max"),
    ],
)
def test_tables_are_in_colour_where_a_terminal_is(words):
    """Their titles are bold, and what lies beside the image is faint; NO_COLOR leaves that out."""
    plain, coloured = said(*words), on_a_terminal(*words)
    assert "\x1b[1m" in coloured and "\x1b" not in plain
    assert re.sub(r"\x1b\[\d+m| +$", "", coloured, flags=re.M) == re.sub(" +$", "", plain, flags=re.M)
    assert on_a_terminal(*words, NO_COLOR="1") == on_a_terminal(*words, TERM="dumb") == plain
