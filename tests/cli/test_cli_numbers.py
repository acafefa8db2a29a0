"""Numbers at the shell: typed matrices, matrices in text files, and the arithmetic of one value."""

import json

import numpy as np
import pytest
from commandline import cnnfilter, complaint, picture
from PIL import Image

import cnnfilter as cf
from cnnfilter.errors import ParameterError
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.seeing.matrix import read_matrix, table, write_matrix

NINE = "1 2 3; 4 5 6; 7 8 9"


def said(*arguments, **more):
    return cnnfilter(*arguments, **more).stdout.decode()


def rows(text):
    return [[float(word) for word in line.split()] for line in text.splitlines()]


def test_a_typed_matrix_becomes_a_table():
    matrix = np.arange(1.0, 10).reshape(3, 3)
    assert said("mean", "--matrix", NINE, "--boundary", "zero", "--padding", "narrow") == "5\n"
    wide = rows(
        said("convolve", "--kernel", "1 0; 0 -1", "--matrix", NINE, "--padding", "wide", "--boundary", "zero")
    )
    assert np.allclose(wide, cf.convolve(matrix, [[1, 0], [0, -1]], padding="wide"))
    chain = rows(said("pipe", "--matrix", NINE, "--", "gaussian", "--sigma", "1", "then", "pool", "max"))
    assert np.allclose(chain, cf.max_pool(cf.gaussian(matrix, 1)), atol=1e-4)


def test_one_row_is_a_signal():
    """The notes' own: weights 1, 1/2, 1/4 with narrow, wide and same padding, and 1 -2 1."""
    for padding in ("narrow", "wide", "same"):
        text = said("convolve", "--kernel", "1 1/2 1/4", "--matrix", "1 1 -1 1 1 1 -1 1 1",
                    "--padding", padding, "--boundary", "zero")  # fmt: skip
        expected = cf.convolve(np.array([1, 1, -1, 1, 1, 1, -1, 1, 1.0]), [1, 0.5, 0.25], padding=padding)
        assert np.allclose(rows(text), expected)
    assert (
        said("correlate", "--kernel", "1 -2 1", "--matrix", "1 4 9 16 25", "--padding", "narrow")
        == "2  2  2\n"
    )


def test_ranges_and_depths_of_a_matrix():
    assert rows(said("correlate", "--kernel", "1", "--matrix", "-3 300.5 2.5", "--depth", "8")) == [
        [0, 255, 2]
    ]
    assert (
        said("correlate", "--kernel", "1", "--matrix", "-3 4", "--range", "abs", "--depth", "16") == "3  4\n"
    )


@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_text_files_in_and_out(tmp_path, suffix):
    values = np.random.default_rng(0).standard_normal((4, 3))
    (tmp_path / f"in.{suffix}").write_text(write_matrix(values, f".{suffix}"))
    cnnfilter("mean", f"in.{suffix}", "-o", f"out.{suffix}", cwd=tmp_path)
    assert np.array_equal(read_matrix((tmp_path / f"out.{suffix}").read_text()), cf.mean(values))
    cnnfilter("mean", f"in.{suffix}", "-o", "out.npy", cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "out.npy"), cf.mean(values))


def test_a_folder_walk_takes_no_text(tmp_path):
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "notes.txt").write_text("not a matrix")
    cnnfilter("mean", "--recursive", "in", "-o", "out/", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_explain_takes_a_matrix():
    record = json.loads(said("mean", "--matrix", NINE, "--explain", "--json"))
    assert record["input"] == "matrix" and record["shape"] == [3, 3] and record["dtype"] == "float64"


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ("1 2; 3", "row 2 has 1 values, and row 1 has 2"),
        ("1 2; 3 x", "at row 2, column 2: 'x' is not a number"),
        ("", "there are no numbers"),
        (";;", "there are no numbers"),
        ("1 2 / 0", "the divisor 0 cannot be used"),
    ],
)
def test_matrices_that_are_none(matrix, words):
    assert words in complaint(cnnfilter("mean", "--matrix", matrix, status=2))


def test_too_many_values():
    with pytest.raises(ParameterError, match="1,001,000 values are too many"):
        read_matrix(";".join([" ".join("1" * 1001)] * 1000))
    with pytest.raises(ParameterError, match="too many"):
        read_matrix("1 " * 5_000_000)


def test_what_contradicts_is_said(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe")
    assert "--matrix is the input" in complaint(
        cnnfilter("mean", "a.csv", "--matrix", "1", cwd=tmp_path, status=2)
    )
    assert "one at a time" in complaint(cnnfilter("mean", "a.csv", "a.csv", cwd=tmp_path, status=2))
    assert "not UTF-8" in complaint(cnnfilter("mean", "bad.csv", cwd=tmp_path, status=1))
    assert "not into a folder" in complaint(cnnfilter("mean", "a.csv", "-o", "x/", cwd=tmp_path, status=2))


def test_tables_of_channels():
    assert table(np.arange(4.0).reshape(1, 2, 2)) == "channel 0\n0  2\n\nchannel 1\n1  3"
    with pytest.raises(ParameterError, match="holds one channel, not 2"):
        write_matrix(np.zeros((1, 2, 2)), ".csv")


def test_at_of_a_pipe_is_that_of_its_last_filter():
    text = said("pipe", "--matrix", NINE, "--at", "0,0", "--", "mean", "then", "pool", "max")
    assert "3.66667        4" in text and text.endswith("stored as  5 (float64)\n")


def test_places_that_cannot_be(tmp_path):
    picture(tmp_path / "a.png", (20, 24))
    assert "outside the output of 20x24" in complaint(
        cnnfilter("mean", "a.png", "--at", "20,0", cwd=tmp_path, status=2)
    )
    for text in ("1;2", "a", "-1,0", "1,2,3"):
        assert "is no place" in complaint(cnnfilter("mean", "a.png", f"--at={text}", cwd=tmp_path, status=2))
    assert "leave --linear out" in complaint(
        cnnfilter("mean", "a.png", "--at", "0,0", "--linear", cwd=tmp_path, status=2)
    )


def test_at_shows_the_bias_and_the_transparency(tmp_path):
    layer = ConvolutionLayer(np.full((1, 1, 1, 1), 0.5), np.array([0.2]))
    LearnedFilter((layer,), each_channel=True).save(tmp_path / "f.safetensors")
    pixels = np.full((4, 4, 4), 100, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    run = cnnfilter("learned", "--filter", "f.safetensors", "a.png", "--at", "1,1", cwd=tmp_path)
    text, note = run.stdout.decode(), run.stderr.decode()
    assert "channel 2: 50 + 51 = 101\nstored as  101 (uint8, range clip)\n" in text
    assert text.endswith("transparency\nstored as  100 (uint8)\n")
    assert note.startswith("cnnfilter: note: a.png: the sums leave transparency out")
    assert cnnfilter("mean", "-q", "a.png", "--at", "1,1", cwd=tmp_path).stderr == b""


def test_at_of_a_signal_takes_one_number():
    assert "over 3           2" in said("mean", "--matrix", "1 2 3", "--at", "1")
    assert "of 3 values; the last place is 2" in complaint(
        cnnfilter("mean", "--matrix", "1 2 3", "--at", "3", status=2)
    )


def test_a_table_is_no_place_for_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.csv").write_text("1,2\n3,4\n")
    for refused in (["-o", "w.csv"], ["-o", "./w.csv"], ["--in-place"]):
        complaint(cnnfilter("mean", "w.csv", *refused, status=2))
    assert cnnfilter("mean", "--matrix", "7 8", "-o", "w.csv", "--skip-existing").stderr == b""
    assert (tmp_path / "w.csv").read_text() == "1,2\n3,4\n"


def test_tables_from_images_and_folders_that_are_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.arange(6, dtype=np.uint8).reshape(2, 3))
    done = cnnfilter("convolve", "--kernel", "identity", "a.npy", "-o", "new/a.csv")
    assert (tmp_path / "new" / "a.csv").read_text() == "0,1,2\n3,4,5\n"
    assert b"this folder was made" in done.stderr
    cnnfilter("correlate", "--kernel", "1 2", "--matrix", "1 2 3 4", "-o", "signal.npy")
    assert np.load("signal.npy").shape == (4,)
    picture(tmp_path / "b.png")
    assert "one grey picture" in complaint(cnnfilter("mean", "b.png", "-o", "b.csv", status=1))


def test_limited_values_of_a_matrix_are_told():
    done = cnnfilter("correlate", "--kernel", "1 0 -1", "--matrix", "1 2 3; 4 5 6", "--depth", 8)
    assert b"below 0, mostly" in done.stderr and b"--range abs or offset" in done.stderr


@pytest.mark.parametrize("name", ["--kernel", "--matrix"])
def test_what_is_given_twice_is_not_dropped(name):
    words = ["correlate", "--kernel", "1 1", "--matrix", "1 2; 3 4", name, "1 2"]
    assert f"{name} is given twice" in complaint(cnnfilter(*words, status=2))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1;2\n3;4\n", [[1, 2], [3, 4]]),
        ("1,5;2\r\n3;4,25\r\n", [[1.5, 2], [3, 4.25]]),
        ("1,2;3,4\n", [[1, 2], [3, 4]]),
    ],
)
def test_tables_of_countries_whose_decimal_sign_is_a_comma(tmp_path, text, values):
    (tmp_path / "w.csv").write_text(text, newline="")
    shown = said("correlate", "--kernel", "1", tmp_path / "w.csv")
    assert rows(shown) == values
