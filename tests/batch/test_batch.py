"""Batches without a command line: names of outputs, whole-file replacement, workers."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cnnfilter import wholefile
from cnnfilter.batch import jobs as jobs_module
from cnnfilter.batch.jobs import Job, Source, find_sources, into_folder, refuse_losses
from cnnfilter.batch.workers import run
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.wholefile import remove_stale, whole_file

PNG = frozenset({".png"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestWholeFile:
    def test_writes_a_new_file_with_the_usual_mode(self, tmp_path):
        old = os.umask(0o027)
        try:
            with whole_file(str(tmp_path / "a")) as file:
                file.write(b"new")
        finally:
            os.umask(old)
        assert (tmp_path / "a").read_bytes() == b"new"
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640

    def test_keeps_the_old_file_until_the_block_has_ended_well(self, tmp_path):
        target = tmp_path / "a"
        target.write_bytes(b"old")
        with pytest.raises(RuntimeError), whole_file(str(target)) as file:
            file.write(b"half of the n")
            file.flush()
            assert target.read_bytes() == b"old"
            raise RuntimeError
        assert target.read_bytes() == b"old"
        assert names(tmp_path) == ["a"]

    def test_keeps_the_mode_of_what_it_replaces(self, tmp_path):
        target = tmp_path / "a"
        target.write_bytes(b"old")
        target.chmod(0o604)
        with whole_file(str(target)) as file:
            file.write(b"new")
        assert target.read_bytes() == b"new"
        assert stat.S_IMODE(target.stat().st_mode) == 0o604

    def test_new_bytes_are_on_the_disk_before_old_ones_go(self, tmp_path, monkeypatch):
        """New files are not waited for: they can be made again from their inputs."""
        done = []
        for name in ("fsync", "replace"):
            usual = getattr(os, name)
            monkeypatch.setattr(
                os, name, lambda *args, name=name, usual=usual: (done.append(name), usual(*args))
            )
        target = tmp_path / "a.png"
        with whole_file(str(target)) as file:
            file.write(b"first")
        assert done == ["replace"]
        with whole_file(str(target)) as file:
            file.write(b"second")
        assert done == ["replace", "fsync", "replace", "fsync"]  # the file, then its folder
        assert target.read_bytes() == b"second"

    def test_leaves_a_symbolic_link_a_link(self, tmp_path):
        (tmp_path / "far").mkdir()
        (tmp_path / "far" / "a").write_bytes(b"old")
        (tmp_path / "link").symlink_to("far/a")
        with whole_file(str(tmp_path / "link")) as file:
            file.write(b"new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "far" / "a").read_bytes() == b"new"

    def test_writes_through_what_is_no_ordinary_file(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        got = []
        reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
        reader.start()
        with whole_file(str(tmp_path / "fifo")) as file:
            file.write(b"new")
            file.seek(0)
            file.write(b"N")
        reader.join()
        assert got == [b"New"]
        assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)

    def test_does_not_replace_unless_told(self, tmp_path):
        (tmp_path / "a").write_bytes(b"old")
        with (
            pytest.raises(ImageFileError, match="exists already"),
            whole_file(str(tmp_path / "a"), replace=False),
        ):
            pass
        assert (tmp_path / "a").read_bytes() == b"old"

    def test_does_not_replace_what_turned_up_meanwhile(self, tmp_path):
        target = tmp_path / "a"
        with (
            pytest.raises(ImageFileError, match="meanwhile"),
            whole_file(str(target), replace=False) as file,
        ):
            file.write(b"ours")
            target.write_bytes(b"theirs")
        assert target.read_bytes() == b"theirs"
        assert names(tmp_path) == ["a"]

    def test_takes_a_name_as_long_as_the_file_system_allows(self, tmp_path):
        with whole_file(str(tmp_path / ("n" * 255))) as file:
            file.write(b"new")
        assert names(tmp_path) == ["n" * 255]

    def test_abandon_removes_what_is_unfinished_and_lets_nothing_begin(self, tmp_path):
        program = f"""
import os, sys
from cnnfilter.wholefile import abandon, whole_file
folder = {str(tmp_path)!r}
with whole_file(folder + "/a") as file:
    assert len(os.listdir(folder)) == 1
    abandon()
    print(os.listdir(folder))
    try:
        with whole_file(folder + "/b"):
            print("begun")
    except OSError as error:
        print(error)
    os._exit(0)
"""
        process = subprocess.run([sys.executable, "-u", "-c", program], capture_output=True, text=True)
        assert process.stdout == "[]\nnot written: the run is ending\n"
        assert names(tmp_path) == []

    def test_removes_only_what_is_stale_and_ours(self, tmp_path):
        for name in (".cnnfilter-1-0-abc.part", ".cnnfilter-2-0-abc.part", "a.part", ".cnnfilter-x"):
            (tmp_path / name).write_bytes(b"")
            os.utime(tmp_path / name, (0, 0))
        os.utime(tmp_path / ".cnnfilter-2-0-abc.part")
        assert remove_stale(str(tmp_path)) == 1
        assert names(tmp_path) == [".cnnfilter-2-0-abc.part", ".cnnfilter-x", "a.part"]

    def test_the_names_of_unfinished_files_are_ours(self, tmp_path):
        with whole_file(str(tmp_path / "a")):
            (name,) = names(tmp_path)
        assert name.startswith(wholefile.PREFIX)
        assert name.endswith(wholefile.SUFFIX)


class TestSources:
    def test_a_folder_needs_recursive(self, tmp_path):
        with pytest.raises(ParameterError, match="--recursive"):
            find_sources([str(tmp_path)], recursive=False, suffixes=PNG)

    def test_a_folder_gives_its_images_in_order_with_their_places(self, tmp_path):
        for name in ("b.png", "a.PNG", "c.txt", ".d.png", "deep/er/e.png", ".git/f.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        found = find_sources([str(tmp_path)], recursive=True, suffixes=PNG).sources
        assert [source.relative for source in found] == ["a.PNG", "b.png", "deep/er/e.png"]
        assert found[2].path == str(tmp_path / "deep/er/e.png")

    def test_a_named_file_needs_no_suffix(self):
        assert find_sources(["x/y"], recursive=False, suffixes=PNG).sources == [Source("x/y", "y")]


def place(source: Source, name: str = "{stem}{ext}", suffix: str | None = None) -> str:
    fields = {"command": "mean"}
    return into_folder([source], "out", name=name, fields=fields, suffix=suffix, existing="skip")[0].target


class TestNames:
    def test_places_below_a_folder_are_kept(self):
        assert place(Source("in/d/a.png", "d/a.png")) == "out/d/a.png"

    def test_pattern_and_suffix(self):
        assert place(Source("a.b.png", "a.b.png"), "{stem}-{command}{ext}", ".tif") == "out/a.b-mean.tif"

    @pytest.mark.parametrize(
        "name",
        ["{nothing}", "{", "{stem.x}", "{stem:>99}", "{stem!r}", "{{stem}", "{0}", "", "a/{stem}", ".."],
    )
    def test_bad_patterns(self, name):
        with pytest.raises(ParameterError, match="--name"):
            place(Source("a.png", "a.png"), name)

    def test_standard_input_has_no_name(self):
        with pytest.raises(ParameterError, match="standard input"):
            place(Source("-", "-"))


class TestCollisions:
    def test_two_outputs_of_one_name(self):
        with pytest.raises(ParameterError, match=r"a/x\.png and b/x\.png .* out/x\.png"):
            refuse_losses([Job("a/x.png", "out/x.png"), Job("b/x.png", "out/x.png")], in_place=False)

    def test_one_output_by_two_ways(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        jobs = [Job("a", f"{tmp_path}/real/x"), Job("b", f"{tmp_path}/link/../link/x")]
        with pytest.raises(ParameterError, match="both"):
            refuse_losses(jobs, in_place=False)

    def test_an_output_that_is_another_jobs_input(self, tmp_path):
        (tmp_path / "x").touch()
        os.link(tmp_path / "x", tmp_path / "y")
        jobs = [Job(str(tmp_path / "x"), str(tmp_path / "z")), Job("other", str(tmp_path / "y"))]
        with pytest.raises(ParameterError, match="--in-place"):
            refuse_losses(jobs, in_place=False)

    def test_in_place(self, tmp_path):
        (tmp_path / "x").touch()
        job = Job(str(tmp_path / "x"), str(tmp_path / "x"))
        with pytest.raises(ParameterError, match="is the input"):
            refuse_losses([job], in_place=False)
        refuse_losses([job], in_place=True)
        with pytest.raises(ParameterError, match="both"):
            refuse_losses([job, Job(job.source, job.target)], in_place=True)


class TestOtherSystems:
    """Where this one differs, what the system says is replaced."""

    def test_names_that_differ_in_case_are_one_where_the_system_says_so(self, tmp_path, monkeypatch):
        jobs = [Job("a/X.png", f"{tmp_path}/new/X.png"), Job("b/x.png", f"{tmp_path}/new/x.png")]
        refuse_losses(jobs, in_place=False)
        jobs_module._ignores_case.cache_clear()
        monkeypatch.setattr(os.path, "samefile", lambda a, b: str(a).lower() == str(b).lower())
        with pytest.raises(ParameterError, match=r"a/X\.png and b/x\.png would both be written"):
            refuse_losses(jobs, in_place=False)
        jobs_module._ignores_case.cache_clear()

    def test_a_file_is_replaced_where_modes_cannot_be_set_through_a_descriptor(self, tmp_path, monkeypatch):
        target = tmp_path / "a"
        target.write_bytes(b"old")
        monkeypatch.delattr(os, "fchmod")
        with whole_file(str(target)) as file:
            file.write(b"new")
        assert target.read_bytes() == b"new"

    @pytest.mark.parametrize("name", ["CON.png", "nul", "com1.tar.gz", "Aux .jpg", "lpt\xb2.png"])
    def test_devices_of_windows_are_no_files(self, name, monkeypatch):
        refuse_losses([Job("a.png", f"out/{name}")], in_place=False)
        monkeypatch.setattr(jobs_module.sys, "platform", "win32")
        with pytest.raises(ParameterError, match="names a device of Windows"):
            refuse_losses([Job("a.png", f"out/{name}")], in_place=False)
        refuse_losses([Job("a.png", "out/console.png"), Job("a.png", "con/com.png")], in_place=False)


class TestWorkers:
    def test_every_item_ends_once_with_its_result_or_its_error(self):
        def work(number: int) -> int:
            if number % 3 == 0:
                raise ValueError(number)
            return number * 2

        ended = dict(run(work, range(50), 4))
        assert sorted(ended) == list(range(50))
        for number, result in ended.items():
            if number % 3:
                assert result == number * 2
            else:
                assert isinstance(result, ValueError)

    def test_as_many_at_once_as_there_are_workers(self):
        meeting = threading.Barrier(3, timeout=10)
        assert len(list(run(lambda _: meeting.wait(), range(6), 3))) == 6

    def test_items_are_taken_only_as_workers_get_free(self):
        taken, done = [], []
        most = []

        def items():
            for number in range(40):
                taken.append(number)
                most.append(len(taken) - len(done))
                yield number

        def work(number: int) -> None:
            time.sleep(0.001)
            done.append(number)

        list(run(work, items(), 3))
        assert max(most) <= 3
