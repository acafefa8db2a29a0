"""Memory of results: taken again, never while it is held, and given back when nobody wants it."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.core import keeping, memory
from cnnfilter.core.memory import KEPT_BYTES, LEAST_BYTES, aligned_empty, release_memory

BYTES = np.dtype(np.uint8)
LARGE = 4 * LEAST_BYTES


@pytest.fixture(autouse=True)
def nothing_kept():
    release_memory()
    yield
    release_memory()


def address(array):
    return array.ctypes.data


def free_bytes():
    return sum(piece.nbytes for _, piece in memory._free)


@pytest.mark.parametrize("shape", [(), (1,), (3, 5, 7), (LEAST_BYTES,), (1000, 1001, 3), (0, 4)])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_arrays_are_aligned_and_may_be_written(shape, dtype):
    array = aligned_empty(shape, np.dtype(dtype))
    assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous
    assert address(array) % 64 == 0 or array.nbytes < LEAST_BYTES
    array[...] = 1


def test_memory_is_taken_again_when_the_last_view_is_gone():
    first = aligned_empty((LARGE,), BYTES)
    where = address(first)
    view = first[100:].reshape(2, -1)
    del first
    assert address(aligned_empty((LARGE,), BYTES)) != where
    release_memory()
    view[...] = 7
    other = aligned_empty((LARGE,), BYTES)
    other[...] = 9
    assert (view == 7).all()
    del view
    assert where in {address(aligned_empty((LARGE,), BYTES)), address(aligned_empty((LARGE,), BYTES))}


def test_pieces_that_are_too_small_or_much_too_large_are_not_taken():
    piece = aligned_empty((LARGE,), BYTES)
    where = address(piece)
    del piece
    smaller = aligned_empty((LARGE * 3 // 4,), BYTES)
    larger = aligned_empty((LARGE + 4096,), BYTES)
    assert where not in (address(smaller), address(larger))
    a_little_smaller = aligned_empty((LARGE * 9 // 10,), BYTES)
    assert address(a_little_smaller) == where
    for array in (smaller, larger, a_little_smaller):
        array[...] = 1


def test_what_is_kept_has_a_bound():
    held = [aligned_empty((KEPT_BYTES // 4,), BYTES) for _ in range(6)]
    del held
    assert KEPT_BYTES // 2 < free_bytes() <= KEPT_BYTES


def test_results_in_many_threads_do_not_share_memory():
    wrong = []

    def work(value):
        for turn in range(200):
            array = aligned_empty((LEAST_BYTES + turn,), BYTES)
            array[...] = value
            if not (array == value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_release_lets_templates_go_too():
    cf.gaussian(np.zeros((4, 4)), 2.5)
    assert keeping.held_bytes() > 0
    release_memory()
    assert keeping.held_bytes() == 0 and free_bytes() == 0


# What the system sees

RESIDENT = """
import sys, time
import numpy as np
import cnnfilter as cf

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * 4096 / 2**20

image, small = np.zeros((3000, 3000), np.float32), np.zeros((9, 9), np.float32)
image += 1
wait = sys.argv[1] == "wait"
cf.mean(image)
cf.release_memory()
before = resident()
results = [cf.mean(image), cf.mean(image), cf.mean(image[:900])]
held = cf.mean(image[:800])
del results
kept = resident() - before
if wait:
    time.sleep(1.05)
    cf.mean(small)
else:
    cf.release_memory()
print(kept > 70, resident() - before < 20, bool((held == 1).all()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("way", ["wait", "release"])
def test_resident_memory_of_a_process(way):
    """Two results of 36 MB are kept; after a second, or on request, only what is held is there."""
    process = subprocess.run(
        [sys.executable, "-c", RESIDENT, way], capture_output=True, text=True, timeout=60
    )
    assert (process.stdout.split(), process.stderr) == (["True"] * 3, "")


def test_calls_of_a_loop_keep_their_memory(monkeypatch):
    """Only the call after a second without use lets go, and only what was not used for so long."""
    now = [100.0]
    monkeypatch.setattr(memory, "monotonic", lambda: now[0])
    image = np.zeros((1100, 1000), np.float32)
    result = cf.mean(image)
    for _ in range(10):
        del result
        now[0] += 0.9
        result = cf.mean(image)
    assert free_bytes() == 0
    del result
    assert free_bytes() > LEAST_BYTES
    now[0] += 0.9
    cf.mean(image[:9])
    assert free_bytes() > LEAST_BYTES
    now[0] += 0.2
    cf.mean(image[:9])
    assert free_bytes() == 0


def test_working_memory_in_use_is_not_let_go():
    """A destructor or a signal may ask for more between the look-up and the loop."""
    held, (first, second) = memory.Scratch((100, np.dtype(np.uint8)), (50, np.dtype(np.float64))).places()
    start = held.ctypes.data
    memory.Scratch((len(held) + 10**6, np.dtype(np.uint8))).places()
    assert start <= first <= first + 100 <= second <= second + 400 <= start + held.nbytes
    again, places = memory.Scratch((100, np.dtype(np.uint8))).places()
    assert again is not held and all(place % 64 == 0 for place in places)
