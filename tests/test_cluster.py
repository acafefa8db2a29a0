"""Workers of a scheduler: reached or refused in one line, compared, and gone without a trace."""

import glob
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from commandline import COMMAND, cnnfilter, complaint, hear_signals, picture

from cnnfilter import cluster
from cnnfilter.cluster import ClusterError, Described, described, workers
from cnnfilter.errors import ParameterError

pytest.importorskip("distributed")


@pytest.mark.parametrize(
    "name", ["local", "local:0", "local:-1", "local:2x", "127.0.0.1:8786", "tcp://", "http://a:1"]
)
def test_other_words_are_refused(name):
    with pytest.raises(ParameterError, match="give tcp://HOST:PORT, or local:N"), workers(name):
        pass


def test_an_unreachable_scheduler_is_one_line(tmp_path):
    picture(tmp_path / "a.png")
    where = "tcp://127.0.0.1:9"
    done = cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / "b.png", "--scheduler", where, status=1)
    assert complaint(done) == f"{where}: no scheduler answers there"
    assert os.listdir(tmp_path) == ["a.png"]


def test_what_answers_may_be_anything(scheduler):
    def answer():
        with server.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 9)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer).start()
        with pytest.raises(ClusterError, match="no scheduler answers there"):
            with workers(f"tcp://127.0.0.1:{server.getsockname()[1]}"):
                pass
    with workers(scheduler) as found:
        (address, *_) = found.client.nthreads()
    with pytest.raises(ClusterError, match=f"{address}: is a worker; give the address of its scheduler"):
        with workers(address):
            pass


def test_a_scheduler_without_workers(monkeypatch):
    import distributed

    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    how = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", scheduler_kwargs=how) as empty:
        with pytest.raises(ClusterError, match="the scheduler has no workers; start some"):
            with workers(empty.scheduler_address):
                pass


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'cnnfilter\[cluster\]'"), workers("local:2"):
        pass


def test_workers_are_compared():
    ours = described()
    assert cluster._compared({"a": ours, "b": ours}) == ()
    other = ours._replace(numpy="1.0")
    said = cluster._compared({"a": ours, "b": other, "c": other._replace(processor="another")})
    assert (
        said[0]
        == f"workers have NumPy 1.0 on 2, {ours.numpy} on 1, and here is {ours.numpy}: last bits may differ"
    )
    assert said[1] == "workers have 2 kinds of processors: last bits of their results may differ"
    for worker, words in (
        (ours._replace(cnnfilter="0.1.0"), "worker b has cnnfilter 0.1.0, and here is"),
        (ModuleNotFoundError("No module named 'cnnfilter'"), "worker b does not load cnnfilter"),
        (ours._replace(unseen=("/photos",)), "worker b does not find /photos; all need one file system"),
    ):
        with pytest.raises(ClusterError, match=words):
            cluster._compared({"a": ours, "b": worker})


def test_workers_describe_themselves(scheduler, tmp_path):
    assert described([str(tmp_path), str(tmp_path / "none")]).unseen == (str(tmp_path / "none"),)
    with workers(scheduler, [str(tmp_path)]) as found:
        told = found.client.run(described)
        assert found.remarks == ()
    assert [type(each) for each in told.values()] == [Described] * 2


def test_a_task_is_done_again_item_by_item_once_its_workers_have_ended(scheduler):
    with workers(scheduler) as found:
        ended = dict(found.do(ending_at_7, [(0, 1, 2), (6, 7, 8), (3, 4), (5,)]))
    assert {task: outcome for task, outcome in ended.items() if task != (7,)} == {
        task: sum(task) for task in [(0, 1, 2), (3, 4), (5,), (6,), (8,)]
    }
    assert str(ended[7,]).startswith("2 workers ended while they did this")


def test_a_scheduler_that_is_lost_is_said(tmp_path):
    import dask.config
    import distributed

    how = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        lost = distributed.LocalCluster(n_workers=1, host="127.0.0.1", scheduler_kwargs=how, silence_logs=50)
    with pytest.raises(ClusterError, match="the scheduler was lost"):
        with workers(lost.scheduler_address) as found:
            for _ in found.do(slow_sum, [(number,) for number in range(1000)]):
                lost.close()


def slow_sum(task):
    import time

    time.sleep(0.05)
    return sum(task)


def test_a_task_hears_that_nobody_waits_for_it(scheduler, tmp_path):
    with workers(scheduler) as found:
        future = found.client.submit(waiting, str(tmp_path), pure=False)
        wait_for(tmp_path / "begun")
        found.client.cancel([future])
        wait_for(tmp_path / "ended")


def wait_for(path):
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def waiting(folder):
    import time

    from cnnfilter.cluster import still_wanted

    is_wanted = still_wanted()
    open(f"{folder}/begun", "w").close()
    while is_wanted():
        time.sleep(0.02)
    open(f"{folder}/ended", "w").close()


def ending_at_7(task):
    if 7 in task:
        os._exit(1)
    return sum(task)


slow_sum.__module__ = waiting.__module__ = ending_at_7.__module__ = (
    "__main__"  # so that it is sent, and not looked for
)


def test_workers_of_this_machine_leave_nothing_behind(tmp_path):
    """Not even when all processes of the terminal are interrupted."""
    os.mkdir(tmp_path / "photos")
    for number in range(40):
        picture(tmp_path / "photos" / f"{number}.png", (400, 600, 3), number)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    words = ["gaussian", "--sigma", "9", "-r", "photos", "-o", "out/", "--scheduler", "local:2"]
    how = {"cwd": tmp_path, "env": environment, "stderr": subprocess.PIPE, "preexec_fn": hear_signals}
    process = subprocess.Popen([*COMMAND, *words], start_new_session=True, **how)
    until = time.monotonic() + 60
    while time.monotonic() < until and not glob.glob(str(tmp_path / "out" / "*.png")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    (line,) = said.decode().splitlines()
    assert "interrupted" in line
    assert not [name for name in os.listdir(tmp_path) if name not in ("photos", "out")]
    assert not [name for name in os.listdir(tmp_path / "out") if not name.endswith(".png")]
    with pytest.raises(ProcessLookupError):  # nobody of the session is left
        until = time.monotonic() + 10
        while time.monotonic() < until:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
