"""Loops over the elements of an array, each with something of its own for compiler and loader."""

import math

import numpy as np


def affine(jit, factor, bias):
    """`out = factor * image + bias`, through a function of its own."""

    @jit
    def line(value):
        return factor * value + bias

    def run(image, count, out):
        for i in range(count):
            out[i] = line(image[i])

    return run


def typed(jit, number):
    """Say which type a constant had: `True` and `1` and `1.0` are equal in Python."""
    code = {bool: 1, int: 2, float: 3}[type(number)]

    def run(out):
        out[0] = code

    return run


def clear(jit):
    """Write zeros: LLVM makes it a call of memset."""

    def run(count, out):
        for i in range(count):
            out[i] = 0

    return run


def exponential(jit):
    """A call into the mathematical library."""

    def run(image, count, out):
        for i in range(count):
            out[i] = math.exp(image[i])

    return run


def difference_from_itself(jit):
    """`x - x` is 0 but for NaN and infinity, which a compiler may not forget."""

    def run(image, count, out):
        for i in range(count):
            out[i] = image[i] - image[i]

    return run


def choice(jit):
    """A table of constants."""

    def run(image, count, out):
        for i in range(count):
            k = image[i]
            if k == 0:
                out[i] = np.float64(0.1)
            elif k == 1:
                out[i] = np.float64(2.5)
            elif k == 2:
                out[i] = np.float64(-7.25)
            elif k == 3:
                out[i] = np.float64(1e300)
            else:
                out[i] = np.float64(1) / (k - 4)

    return run


def untypable(jit):
    """A loop with a mistake in it."""

    def run(out):
        out[0] = no_such_name  # noqa: F821

    return run


def scalars(jit):
    """One argument of each type."""

    def run(a, b, c, d, e, f, g, out):
        out[0] = a
        out[1] = b
        out[2] = c
        out[3] = d
        out[4] = e
        out[5] = f
        out[6] = g

    return run
