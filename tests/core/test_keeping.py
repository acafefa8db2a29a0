"""What is kept for the next call: the same object again, and one bound in bytes for all of it."""

import os
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from heapq import heappop

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.core import correlate, keeping
from cnnfilter.core.keeping import ENTRY_BYTES, KEPT_BYTES, forget, held_bytes, kept, size_of
from cnnfilter.filters.gaussian import _template

MEGA = 1 << 20


@pytest.fixture(autouse=True)
def nothing_kept():
    forget()
    yield
    forget()


class Calls:
    """A function that is kept, and the arguments it was really called with."""

    def __init__(self, size=1000):
        self.made = []
        self.kept = kept(
            lambda *key, **named: self.made.append((*key, *named.items())) or np.zeros(size // 8)
        )

    def __call__(self, *key, **named):
        return self.kept(*key, **named)


def test_the_same_arguments_give_the_same_object():
    calls = Calls()
    first = calls(1, (2, 3), name="a")
    assert calls(1, (2, 3), name="a") is first
    others = [calls(1, (2, 4), name="a"), calls(1, (2, 3), name="b"), calls(1, (2, 3), ("name", "a"))]
    assert all(other is not first for other in others)
    assert len(calls.made) == 4


def test_each_function_keeps_its_own():
    assert Calls()(7) is not Calls()(7)


def test_equal_kernels_are_one_key():
    calls = Calls()
    assert calls(cf.Kernel([1.0, 2.0])) is calls(cf.Kernel([1, 2], name="another"))
    assert calls(cf.Kernel([1, 2], 3)) is not calls(cf.Kernel([1, 2]))


def test_exceptions_are_not_kept():
    answers = [ValueError("not yet"), "now"]

    @kept
    def fails_once():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="not yet"):
        fails_once()
    assert fails_once() == fails_once() == "now"


# The bound


def test_the_bound_is_one_for_all_functions():
    several = [Calls(MEGA), Calls(3 * MEGA)]
    for key in range(40):
        several[key % 2](key)
        assert held_bytes() <= KEPT_BYTES
    assert held_bytes() > KEPT_BYTES - 4 * MEGA


def test_what_was_used_longest_ago_goes_first():
    calls = Calls(8 * MEGA - 2 * ENTRY_BYTES)
    for key in "abcd":
        calls(key)
    calls("a")
    calls("e")  # room for four: "b" goes
    calls.made.clear()
    for key in "acde":
        calls(key)
    assert not calls.made
    calls("b")
    assert calls.made == [("b",)]


def test_what_goes_is_what_an_exact_count_of_uses_says():
    calls, model = Calls(MEGA // 2 - ENTRY_BYTES - 4096), OrderedDict()
    generator = np.random.default_rng(3)
    calls(-1)
    room = KEPT_BYTES // held_bytes()
    for key in [-1, *generator.integers(0, 2 * room, 3000).tolist()]:
        made = len(calls.made)
        calls(key)
        assert (len(calls.made) == made) == (key in model or not model)
        model[key] = None
        model.move_to_end(key)
        if len(model) > room:
            model.popitem(last=False)
        assert held_bytes() == sum(entry.size for entry in keeping._entries.values())
    assert len(keeping._entries) == len(keeping._queue) == room


def test_a_miss_at_the_bound_does_not_look_at_all_there_is(monkeypatch):
    """It did: 10,000 small images of as many shapes took 20 ms each."""
    looked = []
    monkeypatch.setattr(keeping, "heappop", lambda queue: looked.append(1) or heappop(queue))
    calls = Calls(8)
    for key in range(40_000):
        calls(key)
    assert 0 < len(looked) <= 40_000 and held_bytes() > KEPT_BYTES - 2 * ENTRY_BYTES


def test_what_is_too_large_is_not_kept_and_displaces_nothing():
    small, large = Calls(), Calls(KEPT_BYTES)
    first = small("a")
    assert large("b") is not large("b")
    assert small("a") is first


def test_keys_count_as_well():
    calls = Calls(8)
    for turn in range(50):
        calls(np.full(MEGA, turn, np.uint8).tobytes())
    assert KEPT_BYTES - 2 * MEGA < held_bytes() <= KEPT_BYTES
    assert len(keeping._entries) <= 32


def test_small_results_have_a_cost():
    calls = Calls(8)
    for key in range(100):
        calls(key)
    assert held_bytes() >= 100 * ENTRY_BYTES


def test_templates_of_many_large_gaussians_stay_within_the_bound():
    """64 templates of 1001 x 1001 would be 500 MiB."""
    pixel = np.zeros((1, 1), np.float32)
    for turn in range(6):
        cf.gaussian(pixel, 100 + turn, 1001)
        assert held_bytes() <= KEPT_BYTES
    wanted = ((1001, 1001), (105.0, 105.0), "float", (0, 0))
    assert _template(*wanted) is _template(*wanted)


@dataclass(frozen=True)
class Planned:
    kernel: cf.Kernel
    taps: tuple
    name: str = "planned"


def test_sizes_are_told_by_the_values():
    kernel = cf.Kernel(np.ones((100, 100)))
    assert size_of(kernel) == 80_000
    assert size_of(cf.Kernel(np.ones((100, 100)), 9)) == 160_000
    taps = np.zeros(1000), np.zeros(500, np.float32)
    assert 90_000 < size_of(Planned(kernel, taps)) < 91_000
    assert 90_000 < size_of(Planned(kernel, taps), kernel, [taps]) < 91_000, "shared parts count once"
    assert 10_000 < size_of({"a": {"b": b"x" * 10_000}}) < 11_000


# Threads and processes


def test_threads_get_the_same_object():
    together = threading.Barrier(8, timeout=60)

    @kept
    def made(key):
        together.wait()  # all eight are in here at once
        return object()

    found = []
    threads = [threading.Thread(target=lambda: found.append(made(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8 and len({id(one) for one in found}) == 1


def test_many_threads_at_the_bound():
    calls, wrong = Calls(MEGA), []

    def work(seed):
        for key in np.random.default_rng(seed).integers(0, 50, 300):
            if calls(int(key)).nbytes != MEGA:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and held_bytes() <= KEPT_BYTES


FORK = """
import os, threading, warnings
warnings.simplefilter("ignore")
from cnnfilter.core import correlate, keeping
taken, over = threading.Event(), threading.Event()
def hold():
    with keeping._lock:
        taken.set()
        over.wait(30)
threading.Thread(target=hold).start()
taken.wait(30)
child = os.fork()
if not child:
    keeping.kept(lambda: 1)()
    os._exit(7)
over.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_while_another_thread_holds_the_lock():
    process = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stdout.strip(), process.stderr) == (0, "7", "")


# Calls


@pytest.mark.parametrize("given", [{"stride": [2, 2]}, {"padding": [[1, 0], [0, 1]]}, {"dilation": [1, 2]}])
def test_lists_are_prepared_once_as_tuples_are(given, monkeypatch):
    made = []
    plan = correlate.explain
    monkeypatch.setattr(correlate, "explain", lambda *args, **named: made.append(1) or plan(*args, **named))
    for _ in range(5):
        cf.correlate(np.ones((9, 9)), [[1.0, 2.0]], **given)
    assert len(made) == 1


def test_what_is_wrong_is_looked_at_once(monkeypatch):
    made = []
    plan = correlate.explain
    monkeypatch.setattr(correlate, "explain", lambda *args, **named: made.append(1) or plan(*args, **named))
    for stride in (2.5, {}, np.array([1, 2, 3])):
        with pytest.raises(cf.CnnFilterError, match="stride"):
            cf.correlate(np.ones((9, 9)), [[1.0, 2.0]], stride=stride)
    assert len(made) == 3
