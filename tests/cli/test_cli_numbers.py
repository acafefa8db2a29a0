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
    (tmp_path / "bad.csv").write_bytes(b"\xff\xff")
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


@pytest.mark.parametrize(
    ("words", "kernel"),
    [
        (["mean"], "1x3"),
        (["convolve", "--kernel", "1;2;1"], "1x3"),
        (["pool", "max"], "1x2"),
        (["gradient"], "1x3"),
        (["unsharp"], "1x9"),
        (["gaussian"], "1x9"),
        (["second-derivative"], "1x3"),
    ],
)
def test_the_plan_of_a_signal_is_that_of_its_run(words, kernel):
    text = said(*words, "--matrix", "1 2 3 9 8", "--explain")
    assert (
        text.startswith("matrix: 5 float64\n") and kernel in text and "9x" not in text and "3x1" not in text
    )
    count = len(said(*words, "--matrix", "1 2 3 9 8").split())
    assert f"written: {count} float64" in text
    record = json.loads(said(*words, "--matrix", "1 2 3 9 8", "--explain", "--json"))
    assert record["shape"] == [5] and record["output"]["shape"] == [count]


def test_numbers_without_quotes_are_told_to_take_them():
    hint = "numbers that belong together are put in quotes: --matrix '1 2 3'"
    for more in ([], ["--at", "0"], ["--explain"]):
        assert hint in complaint(cnnfilter("mean", "--matrix", "1", "2", "3", *more, status=2))


def test_what_a_chinese_keyboard_writes_is_read(tmp_path):
    plain = ["--kernel", "1 -2; 0 1 / 4", "--matrix", NINE, "--boundary", "constant:1", "--at", "1,1"]
    full = [
        "--kernel",
        "１　－２；０，１　／　４",
        "--matrix",
        "１，２，３；4 5 6；７、８、９",
        "--boundary",
        "constant：１",
        "--at",
        "１，１",
    ]
    assert said("correlate", *full) == said("correlate", *plain)
    assert said("mean", "--size", "３x１", "--matrix", NINE) == said(
        "mean", "--size", "3x1", "--matrix", NINE
    )
    assert said("kernel", "show", "gaussian：３：１。5") == said("kernel", "show", "gaussian:3:1.5")


def test_other_ways_to_write_a_matrix(tmp_path):
    assert said("correlate", "--kernel", "1", "--matrix", r"1 2\n3 4") == "1  2\n3  4\n"
    for text in ("1 2 | 3 4", "1 2|3 4", "1 2 / 3 4"):
        assert "rows are parted by ';'" in complaint(cnnfilter("mean", "--matrix", text, status=2))
    (tmp_path / "m.csv").write_text("1,2")
    for words in (["mean"], ["animate", "mean", "-o", "a.gif"]):
        told = complaint(cnnfilter(*words, "--matrix", "m.csv", cwd=tmp_path, status=2))
        assert "m.csv is a file, which is named without --matrix" in told


def test_windows_of_a_pooling_are_called_so():
    for words in (["pool", "max"], ["animate", "pool", "max", "-o", "a.gif"]):
        told = complaint(cnnfilter(*words, "--size", 5, "--matrix", "1 2; 3 4", status=2))
        assert "5 window rows" in told and "use a smaller window" in told
    told = complaint(cnnfilter("pool", "max", "--size", 5, "--matrix", "1 2 3", status=2))
    assert "5 window columns" in told


def test_a_colour_is_reckoned_from_its_slopes(tmp_path):
    text = said("gradient", "--show", "colour", "--matrix", ".1 .2 .3; .4 .5 .6; .7 .8 .9", "--at", "1,1")
    for line in (
        "over 8           0.1",
        "over 8           0.3",
        "magnitude = sqrt((0.1)^2 + (0.3)^2) = 0.316228",
        "direction = arctan2(0.3, 0.1) = 1.24905",
        "hue h = direction x 3 / pi = 1.19275 sixths of a turn",
        "1 x 0.316228 x 0.807249 = 0.255275\nstored as  0.255275 (float64)",
    ):
        assert line in text
    pixels = np.zeros((5, 5, 3), np.uint8)
    pixels[:, 3:, 1], pixels[3:, :, 2] = 80, 60
    Image.fromarray(pixels).save(tmp_path / "a.png")
    text = said("gradient", "--show", "colour", "a.png", "--at", "1,2", cwd=tmp_path)
    assert "steepest   channel 1\n" in text and "value = 40 / 255 (white) = 0.156863" in text
    assert "red: |h mod 6 - 3| - 1, from 0 to 1, is 1\n255 x 0.156863 x 1 = 40\nstored as  40 (uint8" in text


@pytest.mark.parametrize(
    ("threshold", "lines"),
    [
        ("0", "5 + 1 x (5 - 5.66786) = 4.33214"),
        ("2", "|5 - 5.66786| = 0.66786, not more than the threshold 2: nothing is added\n5 + 0 = 5"),
        ("0.5", "more than the threshold 0.5: it is added\n5 + 1 x (5 - 5.66786) = 4.33214"),
    ],
)
def test_a_threshold_is_seen_to_decide(threshold, lines):
    text = said("unsharp", "--threshold", threshold, "--matrix", "1 2 3; 4 5 6; 7 8 20", "--at", "1,1")
    assert f"{lines}\nstored as" in text


def test_colours_with_transparency_need_the_size_of_the_picture(tmp_path):
    Image.fromarray(np.full((6, 6, 4), 90, np.uint8)).save(tmp_path / "a.png")
    words = ["gradient", "--show", "colour", "a.png", "-o", "b.png"]
    told = complaint(cnnfilter(*words, "--stride", 2, cwd=tmp_path, status=1))
    assert "transparency stays as it is here, 6x6, and the result would be 3x3" in told
    cnnfilter(*words, cwd=tmp_path)
