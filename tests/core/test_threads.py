import gc
import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnfilter.core import threads
from cnnfilter.core.threads import LARGEST, VARIABLE, count, run_strips
from cnnfilter.errors import DtypeError, ParameterError


@pytest.fixture(autouse=True)
def own_pool(monkeypatch):
    monkeypatch.setattr(threads, "_pool", threads._Pool())
    monkeypatch.delenv(VARIABLE, raising=False)


# How many


def test_count_is_the_argument_or_the_variable_or_the_cores(monkeypatch):
    assert count(3) == count(np.int64(3)) == 3
    assert count() >= 1
    monkeypatch.setattr(threads, "processor_quota", lambda: None)
    if hasattr(os, "sched_getaffinity"):
        assert count() == len(os.sched_getaffinity(0))
    monkeypatch.setenv(VARIABLE, "5")
    assert count() == 5 and count(2) == 2
    monkeypatch.setenv(VARIABLE, "")
    assert count() >= 1


@pytest.mark.parametrize("wrong", [0, -1, LARGEST + 1, 10**30])
def test_count_out_of_range_is_refused(wrong):
    with pytest.raises(ParameterError, match=f"threads {wrong} is out of range; use 1 to {LARGEST}"):
        count(wrong)


@pytest.mark.parametrize("wrong", [2.0, "2", True, np.float32(1), [1]])
def test_count_that_is_no_integer_is_refused(wrong):
    with pytest.raises(DtypeError, match="is not an integer"):
        count(wrong)


@pytest.mark.parametrize("wrong", ["0", "-2", "two", "1.5", " 2", "²", "1025", "9" * 5000])
def test_variable_that_is_no_number_is_refused(monkeypatch, wrong):
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(
        ParameterError, match=rf"{VARIABLE}=.* is not a number of threads; use 1 to {LARGEST}"
    ):
        count()


# Strips


@given(
    rows=st.integers(0, 300), workers=st.integers(1, 9), least=st.integers(0, 400)
)  # fmt: skip
def test_strips_cover_the_rows_once(rows, workers, least):
    strips = []
    run_strips(lambda first, last: strips.append((first, last)), rows, workers, least)
    strips.sort()
    assert [row for first, last in strips for row in range(first, last)] == list(range(rows))
    assert len(strips) <= workers
    assert len(strips) == 1 or min(last - first for first, last in strips) >= least


def test_strips_run_beside_each_other():
    together = threading.Barrier(4, timeout=60)
    run_strips(lambda first, last: together.wait(), 4, 4, 1)


def test_calls_from_many_threads_run_beside_each_other():
    together = threading.Barrier(6, timeout=60)
    callers = [
        threading.Thread(target=run_strips, args=(lambda first, last: together.wait(), 2, 2, 1))
        for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not together.broken


def test_threads_are_used_again():
    for _ in range(50):
        run_strips(lambda first, last: None, 3, 3, 1)
    assert threads._pool.threads == 2 and threads._pool.wanted == 0


def test_strips_within_strips_run_in_one_piece():
    pieces = []

    def outer(first, last):
        run_strips(lambda *strip: pieces.append((threading.get_ident(), strip)), 100, 4, 1)

    run_strips(outer, 4, 4, 1)
    assert [strip for _, strip in pieces] == [(0, 100)] * 4
    # Once the outer call is over, its thread may divide its work again.
    pieces.clear()
    outer(0, 0)
    assert len(pieces) == 4


def test_a_busy_pool_does_not_hold_up_the_caller():
    """Helpers that are busy elsewhere are not waited for: the caller takes all strips itself."""
    release = threading.Event()
    begun = threading.Barrier(2, timeout=60)

    def wait(first, last):
        if threading.current_thread() is not slow:
            begun.wait()
        assert release.wait(60)

    slow = threading.Thread(target=run_strips, args=(wait, 2, 2, 1))
    slow.start()
    begun.wait()
    threads._pool.threads = 100  # as if no more could be started
    done = []
    run_strips(lambda *strip: done.append(strip), 8, 8, 1)
    assert sorted(done) == [(row, row + 1) for row in range(8)]
    release.set()
    slow.join()


def test_where_no_thread_can_be_started_the_caller_does_it(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    run_strips(lambda *strip: done.append(strip), 5, 5, 1)
    assert sorted(done) == [(row, row + 1) for row in range(5)]


# Exceptions


@pytest.mark.parametrize("where", ["caller", "helper"])
@pytest.mark.parametrize("kind", [ValueError, IndexError, KeyboardInterrupt, SystemExit, MemoryError])
def test_exceptions_arrive_when_all_strips_have_ended(kind, where):
    caller = threading.get_ident()
    together = threading.Barrier(2, timeout=60)
    raised = threading.Event()
    ended = []

    def work(first, last):
        together.wait()
        if (threading.get_ident() == caller) == (where == "caller"):
            raised.set()
            raise kind("strip")
        assert raised.wait(60)
        ended.append(first)

    with pytest.raises(kind, match="strip"):
        run_strips(work, 2, 2, 1)
    assert len(ended) == 1
    # And the pool works on.
    test_strips_run_beside_each_other()
    assert threads._pool.wanted == 0


def test_after_an_exception_no_further_strip_begins():
    threads._pool.threads = 100  # no helper comes
    begun = []

    def work(first, last):
        begun.append(first)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        run_strips(work, 10, 10, 1)
    assert begun == [0]


@pytest.mark.parametrize("fails", [False, True])
def test_images_are_let_go(fails):
    image = np.zeros(1000)
    gone = weakref.ref(image)

    def work(first, last, image=image):
        if fails:
            raise ValueError("strip")

    gc.disable()
    try:
        if fails:
            with pytest.raises(ValueError, match="strip"):
                run_strips(work, 2, 2, 1)
        else:
            run_strips(work, 2, 2, 1)
        del image, work
        # A helper that came late lets go as soon as it sees that nothing is left.
        run_strips(lambda first, last: None, 2, 2, 1)
        for _ in range(1000):
            if gone() is None:
                break
            threading.Event().wait(0.01)
        assert gone() is None
    finally:
        gc.enable()


# Processes

FORK = """
import os, threading, warnings
warnings.simplefilter("ignore")
from cnnfilter.core.threads import run_strips
together = threading.Barrier(3, timeout=30)
run_strips(lambda first, last: together.wait(), 3, 3, 1)
child = os.fork()
together.reset()
run_strips(lambda first, last: together.wait(), 3, 3, 1)
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
else:
    os._exit(7)
"""

INTERRUPTED = """
import os, signal, threading, time
from cnnfilter.core.threads import run_strips
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
main = threading.get_ident()
begun, ended = threading.Event(), []
def work(first, last):
    if threading.get_ident() == main:
        assert begun.wait(30)
        return
    begun.set()
    signal.pthread_kill(main, signal.SIGINT)
    for turn in range(20):
        time.sleep(0.01)
    ended.append(first)
try:
    run_strips(work, 2, 2, 1)
except KeyboardInterrupt:
    print("interrupted", len(ended))
"""

AT_EXIT = """
import threading
from cnnfilter.core.threads import run_strips
together = threading.Barrier(3, timeout=30)
run_strips(lambda first, last: together.wait(), 3, 3, 1)
print("over")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork, no such signals")
@pytest.mark.parametrize(
    ("script", "says"),
    [(FORK, "7"), (INTERRUPTED, "interrupted 1"), (AT_EXIT, "over")],
    ids=["fork", "interruption", "exit"],
)
def test_forks_interruptions_and_exits(script, says):
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stdout.strip(), process.stderr) == (0, says, "")
