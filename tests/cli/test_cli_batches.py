"""Many files: names, refusals, reports, and nothing lost whatever happens."""

import fcntl
import json
import os
import pty
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from commandline import COMMAND, cnnfilter, complaint, hear_signals, names, picture, pixels


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three photographs in a folder, which is the current one's `photos`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.jpg")):
        picture(tmp_path / "photos" / name, seed=number)
    return tmp_path


def lines(process: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [line.removeprefix("cnnfilter: ") for line in process.stderr.decode().splitlines()]


PHOTOS = ["photos/a.png", "photos/b.png", "photos/c.jpg"]


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


def large(path: str, side: int = 1500) -> bytes:
    """Make an image that takes a while."""
    picture(Path(path), (side, side, 3))
    return Path(path).read_bytes()


def in_the_middle(arguments: list[str], out: Path, sent: int) -> subprocess.CompletedProcess[bytes]:
    """Start a batch and send it a signal once the first output is done and another one is begun."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, preexec_fn=hear_signals
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        there = os.listdir(out) if out.exists() else []
        if "00.png" in there and any(name.startswith(".") for name in there):
            process.send_signal(sent)
            break
        time.sleep(0.001)
    said = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


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


class TestNothingIsLost:
    @pytest.fixture
    def batch(self, folder):
        """Twelve images of some size, and old outputs for all but the first."""
        first = large("photos/00.png", 700)
        (folder / "out").mkdir()
        for number in range(1, 12):
            Path(f"photos/{number:02}.png").write_bytes(first)
            (folder / f"out/{number:02}.png").write_bytes(b"old")
        inputs = [f"photos/{number:02}.png" for number in range(12)]
        return ["gaussian", "--sigma", "2", *inputs, "-o", "out/", "--overwrite", "--jobs", "2"]

    def whole_old_or_whole_new(self, out: Path) -> tuple[int, int]:
        visible = [path for path in out.iterdir() if not path.name.startswith(".")]
        old = [path for path in visible if path.read_bytes() == b"old"]
        for path in set(visible) - set(old):
            assert pixels(path).shape == (700, 700, 3)
        return len(old), len(visible) - len(old)

    @pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_interrupted(self, batch, folder, sent, status):
        process = in_the_middle(batch, folder / "out", sent)
        assert process.returncode == status
        old, new = self.whole_old_or_whole_new(folder / "out")
        assert old > 0 and new > 0
        assert not [name for name in names(folder / "out") if name.startswith(".")], "no litter"

    def test_how_to_go_on_after_an_interruption_is_said(self, batch, folder):
        """With --overwrite there is no telling what was done; in a new folder there is."""
        batch = [*batch[: batch.index("-o")], "-o", "new/", "--jobs", "2"]
        process = in_the_middle(batch, folder / "new", signal.SIGINT)
        assert process.returncode == 130
        assert process.stderr.decode().rstrip().endswith("s; --skip-existing does the rest")
        cnnfilter(*batch, "--skip-existing")
        assert names(folder / "new") == [f"{number:02}.png" for number in range(12)]

    def test_killed(self, batch, folder):
        process = in_the_middle(batch, folder / "out", signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        old, new = self.whole_old_or_whole_new(folder / "out")
        assert old > 0 and new > 0
        litter = [path for path in (folder / "out").iterdir() if path.name.startswith(".")]
        assert all(path.name.startswith(".cnnfilter-") for path in litter)
        for path in litter:
            os.utime(path, (0, 0))
        cnnfilter(*batch)
        assert names(folder / "out") == [f"{number:02}.png" for number in range(12)]

    def test_interrupted_while_it_waits_for_standard_input(self):
        process = subprocess.Popen(
            [*COMMAND, "mean"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=hear_signals,
        )
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read() == b""
        process.communicate()

    def test_a_full_disk(self, folder):
        """A limit on the size of files stands for it: writing fails in the middle in the same way."""
        large("photos/big.png", 400)
        (folder / "out").mkdir()
        (folder / "out/big.png").write_bytes(b"old")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

        inputs = ["photos/big.png", *PHOTOS]
        process = cnnfilter("mean", *inputs, "-o", "out/", "--overwrite", status=3, preexec_fn=limit)
        assert lines(process)[0] == "photos/big.png: cannot write out/big.png: file too large"
        assert lines(process)[-1].startswith("3 of 4 files done, 1 failed")
        assert (folder / "out/big.png").read_bytes() == b"old"
        assert names(folder / "out") == ["a.png", "b.png", "big.png", "c.jpg"]

    def test_a_disk_that_is_really_full(self, folder):
        out = folder / "disk"
        out.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "none", out], capture_output=True
        )
        if mounted.returncode:
            pytest.skip("needs the right to mount a small disk")
        try:
            large("photos/big.png", 400)
            (out / "big.png").write_bytes(b"old")
            process = cnnfilter("mean", "photos/big.png", "-o", out / "big.png", status=1)
            assert complaint(process).endswith("/big.png: no space left on device")
            assert (out / "big.png").read_bytes() == b"old"
            assert names(out) == ["big.png"]
        finally:
            subprocess.run(["umount", out], check=True)

    def test_a_read_only_target(self, folder):
        (folder / "out").mkdir()
        (folder / "out/a.png").write_bytes(b"old")
        (folder / "out/a.png").chmod(0o444)
        assert without_privilege("mean", "photos/a.png", "-o", "out/a.png") == (
            "photos/a.png: cannot write out/a.png: "
            "is read-only; make it writable (chmod u+w) or choose another output"
        )
        assert (folder / "out/a.png").read_bytes() == b"old"
        (folder / "out/a.png").unlink()
        (folder / "out").chmod(0o555)
        said = without_privilege("mean", "photos/a.png", "-o", "out/b.png")
        assert said == "photos/a.png: cannot write out/b.png: permission denied"
        assert names(folder / "out") == []

    def test_an_unreadable_input(self, folder):
        Path("photos/a.png").chmod(0)
        said = without_privilege("mean", "photos/a.png", "-o", "out.png")
        assert said.startswith("photos/a.png: may not be read")

    def test_inputs_that_vanish_while_it_runs(self, folder):
        inputs = []
        for number in range(60):
            os.link("photos/a.png", f"photos/{number}.png")
            inputs.append(f"photos/{number}.png")
        process = subprocess.Popen(
            [*COMMAND, "mean", *inputs, "-o", "out/", "-j", "1"],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        while process.poll() is None and not (folder / "out/0.png").exists():
            time.sleep(0.001)
        for path in inputs[-20:]:
            os.unlink(path)
        said = process.communicate(timeout=60)[1].decode().splitlines()
        assert process.returncode in (0, 3)
        gone = [line for line in said if "no such file" in line]
        assert len(gone) + len(names(folder / "out")) == 60

    def test_modes_and_links_of_replaced_files(self, folder):
        (folder / "out").mkdir()
        Path("photos/a.png").chmod(0o600)
        (folder / "real.png").write_bytes(b"old")
        (folder / "real.png").chmod(0o640)
        (folder / "out/a.png").symlink_to("../real.png")
        cnnfilter("mean", "photos/a.png", "-o", "out/", "--overwrite")
        assert (folder / "out/a.png").is_symlink()
        assert stat.S_IMODE((folder / "real.png").stat().st_mode) == 0o640
        assert pixels("real.png").shape == (24, 32, 3)


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


class TestReplaced:
    def test_owner_mode_and_attributes_are_kept(self, folder):
        path = folder / "photos/a.png"
        if os.geteuid() == 0:
            os.chown(path, 12345, 54321)
        path.chmod(0o640)
        try:
            os.setxattr(path, "user.comment", b"mine")
        except OSError:
            pytest.skip("this file system holds no attributes")
        cnnfilter("mean", "photos/a.png", "--in-place")
        found = path.stat()
        assert os.getxattr(path, "user.comment") == b"mine"
        assert stat.S_IMODE(found.st_mode) == 0o640
        if os.geteuid() == 0:
            assert (found.st_uid, found.st_gid) == (12345, 54321)

    def test_an_access_list_is_kept(self, folder):
        path = folder / "photos/a.png"
        entries = (
            (0x01, 6, 0xFFFFFFFF),
            (0x02, 4, 1234),
            (0x04, 0, 0xFFFFFFFF),
            (0x10, 4, 0xFFFFFFFF),
            (0x20, 0, 0xFFFFFFFF),
        )
        access = struct.pack("<L", 2) + b"".join(struct.pack("<HHL", *entry) for entry in entries)
        try:
            os.setxattr(path, "system.posix_acl_access", access)
        except OSError:
            pytest.skip("this file system holds no access lists")
        cnnfilter("mean", "photos/a.png", "--in-place")
        assert os.getxattr(path, "system.posix_acl_access") == access

    def test_other_names_of_a_file_are_told(self, folder):
        os.link("photos/a.png", "other.png")
        old = Path("other.png").read_bytes()
        told = complaint(cnnfilter("mean", "photos/a.png", "--in-place"))
        assert told == "note: photos/a.png: 1 other names of photos/a.png (hard links) keep the old image"
        assert Path("other.png").read_bytes() == old != Path("photos/a.png").read_bytes()

    def test_parts_of_killed_runs_are_removed_beside_a_single_output(self, folder):
        part = folder / ".cnnfilter-1-0-abcdef.part"
        part.write_bytes(b"half")
        os.utime(part, (0, 0))
        cnnfilter("mean", "photos/a.png", "-o", "out.png")
        assert not part.exists()


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
