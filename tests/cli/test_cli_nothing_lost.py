"""Nothing is lost whatever happens: interruptions, full disks, rights, files that are replaced."""

import os
import resource
import signal
import stat
import struct
import subprocess
import time
from pathlib import Path

import pytest
from commandline import (
    COMMAND,
    PHOTOS,
    cnnfilter,
    complaint,
    hear_signals,
    large,
    lines,
    names,
    pixels,
    without_privilege,
)


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
