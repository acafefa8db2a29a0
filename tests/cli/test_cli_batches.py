"""Many files: names, refusals and reports."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from commandline import (
    COMMAND,
    PHOTOS,
    cnnfilter,
    complaint,
    lines,
    names,
    picture,
    pixels,
)


class TestNames:
    def test_a_folder_is_made_and_names_are_kept(self, folder):
        process = cnnfilter("mean", *PHOTOS, "-o", "deep/out/")
        assert names(folder / "deep/out") == ["a.png", "b.png", "c.jpg"]
        assert lines(process)[-1].startswith("3 of 3 files done in ")

    def test_a_folder_that_is_there_needs_no_slash(self, folder):
        (folder / "out").mkdir()
        cnnfilter("mean", "photos/a.png", "-o", "out")
        assert names(folder / "out") == ["a.png"]

    def test_pattern_and_format(self, folder):
        cnnfilter(
            "second-derivative", *PHOTOS, "-o", "out/", "--name", "{stem}-{command}{ext}", "--format", "tiff"
        )
        assert names(folder / "out") == [f"{stem}-second-derivative.tif" for stem in "abc"]

    def test_a_pattern_with_a_suffix_says_the_form(self, folder):
        cnnfilter("mean", "photos/a.png", "-o", "out/", "--name", "{stem}.bmp")
        assert (folder / "out/a.bmp").read_bytes().startswith(b"BM")

    def test_recursive_keeps_places(self, folder):
        (folder / "photos/deep").mkdir()
        picture(folder / "photos/deep/d.png")
        (folder / "photos/notes.txt").write_text("no image")
        cnnfilter("mean", "photos", "-r", "-o", "out/")
        assert names(folder / "out") == ["a.png", "b.png", "c.jpg", "deep"]
        assert names(folder / "out/deep") == ["d.png"]

    def test_a_folder_without_images(self, folder):
        (folder / "empty").mkdir()
        assert "no image was found" in complaint(cnnfilter("mean", "-r", "empty", "-o", "out/", status=1))

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_files_from_a_list_as_windows_writes_it(self, folder, encoding):
        (folder / "list").write_bytes("\r\n".join(PHOTOS).encode(encoding))
        cnnfilter("mean", "--files-from", "list", "-o", "out/")
        assert names(folder / "out") == ["a.png", "b.png", "c.jpg"]

    def test_a_list_that_is_cut_is_told(self, folder):
        (folder / "list").write_bytes("photos/a.png".encode("utf-16")[:-1])
        said = complaint(cnnfilter("mean", "--files-from", "list", "-o", "out/", status=2))
        assert said.startswith("list: begins as UTF-16 and is none")

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
    def test_files_from(self, folder, end):
        os.rename("photos/b.png", "photos/b c.png")
        listed = f"photos/a.png{end}photos/b c.png{end}{end}"
        zero = ["-0"] if end == "\0" else []
        cnnfilter("mean", "--files-from", "-", *zero, "-o", "out/", input=listed.encode())
        assert names(folder / "out") == ["a.png", "b c.png"]
        (folder / "list").write_bytes(listed.encode())
        cnnfilter("mean", "--files-from", "list", *zero, "-o", "again/")
        assert names(folder / "again") == ["a.png", "b c.png"]

    def test_a_list_that_is_not_there(self, folder):
        assert complaint(cnnfilter("mean", "--files-from", "none", "-o", "out/", status=1)).startswith(
            "none: "
        )

    def test_a_name_that_is_not_utf8(self, folder):
        name = os.fsdecode(b"photos/\xff.png")
        os.rename("photos/a.png", name)
        process = cnnfilter("mean", "-r", "photos", "-o", "out/", "--json")
        assert sorted(json.loads(line)["input"] for line in process.stdout.splitlines())[-1] == name
        assert os.path.exists(os.fsdecode(b"out/\xff.png"))

    @pytest.mark.parametrize(
        "name", ["new\nline.png", "\x1b[31mred.png", "-v.png", "a b.png", "{stem}.png", "ü→.png"]
    )
    def test_names_that_mean_something_elsewhere(self, folder, name):
        """They are names like any other, and reports keep to one line and leave the terminal alone."""
        os.rename("photos/a.png", f"photos/{name}")
        Path("photos/b.png").rename(f"photos/bad{name}")
        Path(f"photos/bad{name}").write_bytes(b"bad")
        (folder / "list").write_bytes(
            b"\0".join(os.fsencode(f"photos/{name}") for name in names(folder / "photos"))
        )
        for inputs in (["-r", "photos"], ["--files-from", "list", "-0"]):
            said = lines(cnnfilter("mean", *inputs, "-o", "out/", "-v", "--overwrite", status=3))
            assert len(said) == 4
            assert not [line for line in said if "\x1b" in line]
            assert names(folder / "out") == sorted([name, "c.jpg"])
        assert lines(cnnfilter("mean", "-o", "dash/", "-v", "--", f"photos/{name}"))

    def test_nul_in_a_list_by_line(self, folder):
        (folder / "list").write_bytes(b"photos/a.png\0photos/b.png\0")
        assert "-0" in complaint(cnnfilter("mean", "--files-from", "list", "-o", "out/", status=2))


class TestRefusals:
    def test_two_inputs_with_one_output_are_refused_before_any_work(self, folder):
        (folder / "more").mkdir()
        picture(folder / "more/a.png")
        process = cnnfilter("mean", *PHOTOS, "more/a.png", "-o", "out/", status=2)
        assert "photos/a.png and more/a.png would both be written to out/a.png" in complaint(process)
        assert not (folder / "out").exists()

    def test_into_the_folder_of_the_inputs(self, folder):
        assert "--in-place" in complaint(cnnfilter("mean", *PHOTOS, "-o", "photos/", "--overwrite", status=2))

    def test_derived_outputs_are_never_replaced_unasked(self, folder):
        (folder / "out").mkdir()
        (folder / "out/b.png").write_bytes(b"old")
        process = cnnfilter("mean", *PHOTOS, "-o", "out/", status=3)
        said = lines(process)
        assert (
            said[0].startswith("photos/b.png: out/b.png exists already")
            and "--overwrite" in said[0]
            and "--skip-existing" in said[0]
        )
        assert said[1].startswith("2 of 3 files done, 1 failed")
        assert (folder / "out/b.png").read_bytes() == b"old"
        assert names(folder / "out") == ["a.png", "b.png", "c.jpg"]

    def test_skip_existing_goes_on_where_it_stopped(self, folder):
        (folder / "out").mkdir()
        (folder / "out/b.png").write_bytes(b"old")
        process = cnnfilter("mean", *PHOTOS, "-o", "out/", "--skip-existing")
        assert lines(process)[-1].startswith("2 of 3 files done, 1 skipped")
        assert (folder / "out/b.png").read_bytes() == b"old"
        process = cnnfilter("mean", *PHOTOS, "-o", "out/", "--skip-existing")
        assert lines(process)[-1].startswith("0 of 3 files done, 3 skipped")

    def test_an_empty_output_is_made_again(self, folder):
        """A machine that fails may leave the name of a file without its bytes."""
        (folder / "out").mkdir()
        (folder / "out/b.png").touch()
        process = cnnfilter("mean", *PHOTOS, "-o", "out/", "--skip-existing")
        assert lines(process)[-1].startswith("3 of 3 files done")
        assert pixels("out/b.png").shape == pixels("photos/b.png").shape

    def test_overwrite(self, folder):
        (folder / "out").mkdir()
        (folder / "out/b.png").write_bytes(b"old")
        cnnfilter("mean", *PHOTOS, "-o", "out/", "--overwrite")
        assert pixels("out/b.png").shape == pixels("photos/b.png").shape

    def test_in_place(self, folder):
        before = [Path(path).read_bytes() for path in PHOTOS]
        cnnfilter("mean", *PHOTOS, "--in-place")
        assert all(Path(path).read_bytes() != old for path, old in zip(PHOTOS, before, strict=True))
        assert names(folder / "photos") == ["a.png", "b.png", "c.jpg"]


class TestReports:
    def test_a_failing_file_is_named_and_the_rest_go_on(self, folder):
        Path("photos/b.png").write_bytes(Path("photos/b.png").read_bytes()[:100])
        process = cnnfilter("mean", *PHOTOS, "photos/gone.png", "-o", "out/", status=3)
        said = sorted(lines(process)[:-1])
        assert [line.split(":")[0] for line in said] == ["photos/b.png", "photos/gone.png"]
        assert lines(process)[-1].startswith("2 of 4 files done, 2 failed in ")
        assert names(folder / "out") == ["a.png", "c.jpg"]

    def test_what_was_there_already_and_what_failed_are_not_nothing(self, folder):
        """The outputs wanted are partly there, so it is not as if nothing could be done."""
        cnnfilter("mean", "photos/a.png", "-o", "out/")
        process = cnnfilter("mean", "photos/a.png", "gone.png", "-o", "out/", "--skip-existing", status=3)
        assert lines(process)[-1].startswith("0 of 2 files done, 1 skipped, 1 failed")

    def test_nothing_done(self, folder):
        cnnfilter("mean", "none.png", "gone.png", "-o", "out/", status=1)

    def test_json_has_one_object_a_file(self, folder):
        Path("photos/b.png").write_bytes(b"")
        process = cnnfilter("mean", *PHOTOS, "-o", "out/", "--json", status=3)
        entries = {entry["input"]: entry for entry in map(json.loads, process.stdout.splitlines())}
        assert sorted(entries) == PHOTOS
        assert entries["photos/a.png"]["status"] == "done"
        assert entries["photos/a.png"]["output"] == "out/a.png"
        assert entries["photos/a.png"]["shape"] == [24, 32, 3]
        assert entries["photos/b.png"]["status"] == "failed"
        assert "empty" in entries["photos/b.png"]["error"]
        process = cnnfilter("mean", *PHOTOS[:1], "-o", "out/", "--skip-existing", "--json")
        assert json.loads(process.stdout)["status"] == "skipped"

    def test_quiet_and_verbose(self, folder):
        assert cnnfilter("mean", *PHOTOS, "-o", "out/", "-q").stderr == b""
        said = lines(cnnfilter("mean", *PHOTOS, "-o", "more/", "-v"))
        assert any(
            line.startswith("photos/a.png -> more/a.png: 24x32x3 to 24x32x3, uint8 PNG") for line in said
        )
        assert len(said) == 4

    def test_a_standard_error_that_is_full_stops_nothing(self, folder):
        Path("photos/a.png").write_bytes(b"bad")
        line = f"{' '.join(COMMAND)} mean {' '.join(PHOTOS)} -o out/ -v 2> /dev/full"
        assert subprocess.run(["sh", "-c", line]).returncode == 3
        assert names(folder / "out") == ["b.png", "c.jpg"]

    def test_the_bar_is_for_terminals(self, folder):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [*COMMAND, "mean", *PHOTOS, "-o", "out/"], stderr=slave, stdin=subprocess.DEVNULL
        )
        os.close(slave)
        said = b""
        try:
            while chunk := os.read(master, 1000):
                said += chunk
        except OSError:
            pass
        assert process.wait() == 0
        assert b"0/3" in said
        assert b"3 of 3 files done" in said
        assert b"file/s" not in cnnfilter("mean", *PHOTOS, "-o", "again/").stderr
        assert b"0/3" in cnnfilter("mean", *PHOTOS, "-o", "forced/", "--progress").stderr


class TestLosses:
    """What of the input does not reach the output is said without being asked."""

    SAID = "another image follows the first one and is left out; split the file"

    def test_of_one_file(self, folder):
        Path("two.png").write_bytes(Path("photos/a.png").read_bytes() * 2)
        told = complaint(cnnfilter("mean", "two.png", "-o", "out.png"))
        assert told == f"note: two.png: {self.SAID}"
        assert cnnfilter("mean", "two.png", "-o", "out.png", "-q").stderr == b""
        entry = json.loads(cnnfilter("mean", "two.png", "-o", "out.png", "--json").stdout)
        assert entry["notes"] == [self.SAID]

    def test_that_many_files_share_are_said_once(self, folder):
        for path in PHOTOS[:2]:
            Path(path).write_bytes(Path(path).read_bytes() + b"rest")
        told = lines(cnnfilter("mean", *PHOTOS, "-o", "out/", "-j", "1"))
        assert "note: 2 files (photos/a.png, …): 4 bytes that follow the image are left out" in told
        assert len([line for line in told if "follow" in line]) == 1


def peak_memory(*arguments: str) -> int:
    """Return the largest resident size of a command, in bytes."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, *COMMAND, *arguments], capture_output=True, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return int(process.stdout.splitlines()[-1]) * 1024


class TestMany:
    def test_memory_does_not_grow_with_the_number_of_files(self, folder):
        picture(folder / "one.png", (100, 100, 3))
        (folder / "many").mkdir()
        for number in range(2000):
            os.link("one.png", f"many/{number}.png")
        few = peak_memory("mean", "many/1.png", "many/2.png", "-o", "few/", "-q")
        many = peak_memory("mean", "-r", "many", "-o", "out/", "-q")
        assert len(names(folder / "out")) == 2000
        # 2000 images of 30 kB would be 60 MB; names and jobs are a few hundred bytes a file.
        assert many - few < 20e6
