"""Streams that are closed, and folders that are searched and made."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from commandline import COMMAND, PHOTOS, cnnfilter, large, lines, names, picture, pixels, unprivileged


class TestClosedPipe:
    def test_ends_quietly(self, folder):
        large("photos/big.png", 600)
        line = f"{' '.join(COMMAND)} mean photos/big.png --format ppm | head -c 10 > head"
        process = subprocess.run(["sh", "-c", line], capture_output=True)
        assert process.stderr == b""
        assert (folder / "head").read_bytes().startswith(b"P6")

    def test_of_reports(self, folder):
        large("photos/0.png", 500)
        for number in range(1, 30):
            os.link("photos/0.png", f"photos/{number}.png")
        line = f"{' '.join(COMMAND)} mean -r photos -o out/ --json -q | head -n 1 > /dev/null"
        assert subprocess.run(["sh", "-c", line], capture_output=True).stderr == b""
        assert not [name for name in names(folder / "out") if name.startswith(".")], "no litter"


class TestClosedStreams:
    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_nothing_else_takes_their_place(self, folder, closed):
        """A message must not end up in an image that was opened in the place of standard error."""
        Path("photos/b.png").write_bytes(b"bad")
        line = f"{' '.join(COMMAND)} mean {' '.join(PHOTOS)} -o out/ -v {closed}"
        assert subprocess.run(["sh", "-c", line], capture_output=True).returncode == 3
        assert names(folder / "out") == ["a.png", "c.jpg"]
        assert pixels("out/a.png").shape == pixels("out/c.jpg").shape

    @pytest.mark.parametrize("options", ["-o out.png --json", "-o -", "", "-o - --json"])
    def test_a_closed_output_that_is_needed_is_an_error(self, folder, options):
        line = f"{' '.join(COMMAND)} mean photos/a.png {options} >&-"
        done = subprocess.run(["sh", "-c", line], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (1, b"cnnfilter: standard output is closed\n")
        assert not Path("out.png").exists()

    def test_a_closed_output_of_words(self, folder):
        done = subprocess.run(
            ["sh", "-c", f"{' '.join(COMMAND)} kernel show sobel-x >&-"], capture_output=True
        )
        assert (done.returncode, done.stderr) == (1, b"cnnfilter: standard output is closed\n")


class TestFolders:
    def test_a_second_run_leaves_out_what_the_first_one_wrote(self, folder):
        for options in ((), ("--skip-existing",), ("--overwrite",)):
            cnnfilter("mean", "-r", ".", "-o", "out", *options) if options else cnnfilter(
                "mean", "-r", ".", "-o", "out/"
            )
            assert names(folder / "out/photos") == ["a.png", "b.png", "c.jpg"]
            assert names(folder / "out") == ["photos"]

    def test_an_output_folder_that_is_named_is_an_input(self, folder):
        cnnfilter("mean", "-r", "photos", "-o", "out/")
        cnnfilter("mean", "-r", "out", "-o", "out/", "--name", "{stem}-again{ext}")
        assert "a-again.png" in names(folder / "out")

    def test_files_that_are_no_images_are_counted(self, folder):
        for name in ("a.txt", "b.txt", ".hidden"):
            Path("photos", name).write_text("words")
        told = lines(cnnfilter("mean", "-r", "photos", "-o", "out/"))
        assert [line for line in told if "left out" in line] == [
            "note: 2 files in the folders left out: no suffix of an image "
            "(a file that is named itself needs none)"
        ]
        assert cnnfilter("mean", "-r", "photos", "-o", "out/", "-q", "--overwrite").stderr == b""

    def test_a_folder_that_cannot_be_read(self, folder):
        Path("photos/secret").mkdir(mode=0)
        told = lines(unprivileged("mean", "-r", "photos", "-o", "out/", status=3))
        assert told[0] == "photos/secret: permission denied"
        assert names(folder / "out") == ["a.png", "b.png", "c.jpg"]

    def test_equal_refusals_are_told_in_one_line(self, folder):
        """Those that the command line brings about; a damaged file is named."""
        for name in ("d.png", "e.png"):
            picture(folder / "photos" / name)
        refused = ["mean", "--depth", "f32", "--format", "png", "-r", "photos", "-o", "out/", "-j", 1]
        told = lines(cnnfilter(*refused, status=1))
        why = "PNG holds uint8 or uint16, not float32; use --depth 16 or 8, or write .tif or .npy"
        assert told[0] == f"photos/a.png: cannot write out/a.png: {why}"
        assert told[1] == f"4 more files (photos/b.png, …): {why}"
        assert len(told) == 3 and "0 of 5 files done, 5 failed" in told[2]
        assert len(lines(cnnfilter(*refused, "-v", status=1))) == 6
        entries = [json.loads(line) for line in cnnfilter(*refused, "--json", status=1).stdout.splitlines()]
        assert all(entry["error"].endswith(why) for entry in entries) and len(entries) == 5
        for name in ("a.png", "b.png"):
            (folder / "photos" / name).write_bytes(b"no image")
        told = lines(cnnfilter("mean", "-r", "photos", "-o", "out/", "-j", 1, status=3))
        assert [line.split(":")[0] for line in told[:2]] == ["photos/a.png", "photos/b.png"]

    def test_a_refusal_that_one_more_file_shares_names_it(self, folder):
        cnnfilter("pool", "max", "--size", 4, "photos/a.png", "photos/b.png", "--in-place")
        told = lines(
            cnnfilter("mean", "--size", 9, "--padding", "narrow", *PHOTOS, "-o", "o/", "-j", 1, status=3)
        )
        assert [line.split(":")[0] for line in told[:2]] == ["photos/a.png", "photos/b.png"]
        assert told[0].split(": ", 1)[1] == told[1].split(": ", 1)[1]

    def test_outputs_that_exist_are_told_in_one_line(self, folder):
        cnnfilter("mean", *PHOTOS, "-o", "out/")
        told = lines(cnnfilter("mean", *PHOTOS, "-o", "out/", "-j", 1, status=1))
        assert told[0] == (
            "out/a.png and 2 more outputs exist already; "
            "--overwrite replaces them, --skip-existing leaves them"
        )
        assert len(told) == 2

    def test_a_list_may_begin_with_a_byte_order_mark(self, folder):
        Path("list").write_bytes(b"\xef\xbb\xbfphotos/a.png\nphotos/b.png\n")
        cnnfilter("mean", "--files-from", "list", "-o", "out/")
        assert names(folder / "out") == ["a.png", "b.png"]
