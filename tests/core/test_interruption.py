"""Ctrl-C in the middle of a long call of the library.

A call is cut into strips of about 20 ms of work, more of them than there are threads. Between two strips the
calling thread is back in Python, where a signal becomes KeyboardInterrupt; the helpers end after the one they
are in.
"""

import subprocess
import sys

import pytest

LONG_CALL = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
import cnnfilter as cf

threads, late = int(sys.argv[1]), float(sys.argv[2])
kernel = np.random.default_rng(0).uniform(-1, 1, (101, 101))
large = np.zeros((16000, 4000), np.float32)
sent, over = [], threading.Event()

def run(image):
    return cf.correlate(image, kernel, method="direct", threads=threads)

def interrupt():
    begun = time.process_time()
    while time.process_time() < begun + 0.5:
        time.sleep(0.01)
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
    while time.process_time() < sent[0] + 2 * late:
        if over.wait(0.01):
            return
    os._exit(3)

run(large[:300, :300])
threading.Thread(target=interrupt).start()
try:
    run(large)
except KeyboardInterrupt:
    over.set()
    print("interrupted" if time.process_time() < sent[0] + late else "late")
run(large[:300, :300])
print("and goes on")
"""
"""650 thousand million multiply-adds: seven seconds of a fast core."""

SOON = 0.3
"""Seconds of processor time for each thread: what other processes take does not count. 0.1 is promised."""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_long_call_is_interrupted_soon(threads):
    command = [sys.executable, "-c", LONG_CALL, str(threads), str(SOON * threads)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
    assert process.stdout == "interrupted\nand goes on\n"
