"""Malformed calls of every function of layers, run as a program of its own: what crashes ends it alone.

``python tests/malformed.py CALLS SEED`` makes that many calls, each a valid one with one to three arguments
spoiled, and prints how many returned and how many raised which error. It ends with status 1 at the first that
raises anything but an error of cnnfilter, writes beside its result or into its arguments, or gives other bits
for the same numbers in another order of memory.
"""

import faulthandler
import importlib
import resource
import sys
from collections import Counter

import numpy as np

from cnnfilter.errors import CnnFilterError
from cnnfilter.filters.pool import max_pool, mean_pool
from cnnfilter.nn import functional

STORING = ("activation", "convolution", "pooling")
MEMORY = 6 << 30
GUARD = 4096
DTYPES = ("i4", "i8", "u1", "f2", "c8", "O", ">f4", ">f8", "?", "U3", "f4", "f8", "g")
HUGE = (2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**30, -(2**40))
JUNK = (
    None,
    "3",
    b"3",
    1.5,
    float("nan"),
    object(),
    [],
    {},
    (1,),
    (1, 2, 3),
    [[1], [2]],
    True,
    np.array([2, 2]),
)


def convolution_case(random):
    groups = int(random.choice([1, 1, 2]))
    size, stride, dilation = (tuple(map(int, random.integers(1, 4, 2))) for _ in range(3))
    padding = tuple(map(int, random.integers(0, 3, 2)))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    plane = [max(1, r - 2 * p) + int(random.integers(0, 6)) for r, p in zip(reach, padding, strict=True)]
    dtype = ("f4", "f8")[random.integers(2)]
    depth, maps = groups * int(random.integers(1, 3)), groups * int(random.integers(1, 6))
    x = values(random, (int(random.integers(0, 4)), depth, *plane), dtype)
    weights = values(random, (maps, depth // groups, *size), dtype)
    bias = values(random, (maps,), dtype)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    delta = values(random, functional.convolution(x, weights, **geometry).shape, dtype)
    return x, weights, bias, delta, geometry


def pooling_case(random):
    size, stride, dilation = (tuple(map(int, random.integers(1, 4, 2))) for _ in range(3))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    padding = tuple(int(random.integers(0, (k + 1) // 2)) for k in size)
    plane = [r + int(random.integers(0, 6)) for r in reach]
    x = values(
        random,
        (int(random.integers(0, 3)), int(random.integers(1, 3)), *plane),
        ("f4", "f8")[random.integers(2)],
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil": bool(random.integers(2))}
    y, argmax = functional.max_pooling(x, size, **options)
    return x, values(random, y.shape, x.dtype), argmax, {"size": size, **options}


def values(random, shape, dtype):
    return random.standard_normal(shape).astype(dtype)


def convolutions(*names):
    def make(random):
        x, weights, bias, delta, geometry = convolution_case(random)
        every = {
            "x": x, "weights": weights, "bias": bias, "delta": delta, "input_shape": x.shape,
            "size": weights.shape[2:], "rectify": bool(random.integers(2)),
        }  # fmt: skip
        return {name: every[name] for name in names} | (geometry if len(names) > 1 else {})

    return make


def transposed(*names):
    def make(random):
        _, weights, _, x, geometry = convolution_case(random)
        more = tuple(int(random.integers(0, step)) for step in geometry["stride"])
        geometry |= {"padding": (0, 0), "output_padding": more}
        y = functional.transposed_convolution(x, weights, **geometry)
        every = {"x": x, "weights": weights, "bias": values(random, y.shape[1:2], x.dtype)}
        return {
            name: (every | {"delta": values(random, y.shape, x.dtype)})[name] for name in names
        } | geometry

    return make


def poolings(*names, trained=False):
    def make(random):
        x, delta, argmax, options = pooling_case(random)
        if trained:
            options = {name: options[name] for name in ("size", "stride")}
            delta = values(random, functional.mean_pooling(x, **options).shape, x.dtype)
        parameters = {name: values(random, x.shape[1:2], x.dtype) for name in ("weights", "bias")}
        every = {"x": x, "delta": delta, "argmax": argmax, "input_shape": x.shape, "count_padding": True}
        return {name: (every | parameters)[name] for name in names} | options

    return make


def activations(*names):
    def make(random):
        shape, dtype = tuple(random.integers(1, 6, random.integers(1, 5))), ("f4", "f8")[random.integers(2)]
        every = {name: values(random, shape, dtype) for name in ("z", "y", "delta")}
        return {name: every[name] if name in every else 0 for name in names}

    return make


def images(random):
    shape = tuple(random.integers(4, 12, random.integers(1, 4)))
    dtype = random.choice(["u1", "u2", "i2", "f4", "f8"])
    image = random.integers(0, 200, shape).astype(dtype)
    return {"image": image, "size": (2, 3), "stride": (1, 2), "padding": (0, 1)}


def window(random):
    return {"shape": (7, 9), "size": (2, 3), "stride": 2, "padding": 1, "dilation": 1, "ceil": True}


CASES = {
    "convolution": convolutions("x", "weights", "bias", "rectify"),
    "convolution_backward": convolutions("x", "weights", "delta"),
    "convolution_bias_gradient": convolutions("delta"),
    "convolution_input_gradient": convolutions("delta", "weights", "input_shape"),
    "convolution_weights_gradient": convolutions("x", "delta", "size"),
    "max_pooling": poolings("x"),
    "maxima": poolings("x"),
    "max_pooling_backward": poolings("delta", "argmax", "input_shape"),
    "mean_pooling": poolings("x", "count_padding"),
    "mean_pooling_backward": poolings("delta", "input_shape", "count_padding"),
    "transposed_convolution": transposed("x", "weights", "bias"),
    "transposed_convolution_backward": transposed("x", "weights", "delta"),
    "pixel_shuffle": lambda random: {"x": values(random, (2, 8, 3, 4), "f4"), "factor": 2},
    "pixel_unshuffle": lambda random: {"x": values(random, (2, 2, 6, 4), "f8"), "factor": 2},
    "trainable_pooling": poolings("x", "weights", "bias", trained=True),
    "trainable_pooling_backward": poolings("x", "weights", "delta", trained=True),
    "activation": lambda random: {"name": random.choice(["relu", "swish", "tanh"])},
    "Windows": window,
    "max_pool": images,
    "mean_pool": images,
}
CASES |= {name: activations("z") for name in functional.ACTIVATIONS}
CASES |= {f"{name}_backward": activations("y", "delta") for name in functional.ACTIVATIONS}
CASES |= {name: activations("z", "slope") for name in ("leaky_relu",)}
CASES |= {name: activations("z", "axis") for name in ("softmax", "log_softmax")}
CASES |= {"leaky_relu_backward": activations("y", "delta", "slope")}
CASES |= {f"{name}_backward": activations("y", "delta", "axis") for name in ("softmax", "log_softmax")}
FUNCTIONS = {name: getattr(functional, name, None) for name in CASES}
FUNCTIONS |= {"Windows": functional.Windows.of, "max_pool": max_pool, "mean_pool": mean_pool}


def in_other_order(random, array):
    """The same values: reversed, spread, transposed or at an odd address in memory, not to be written."""
    kind, shape = random.integers(5), array.shape
    if kind == 0:
        array = np.ascontiguousarray(array[(slice(None, None, -1),) * array.ndim])[
            (slice(None, None, -1),) * array.ndim
        ]
    elif kind == 1:
        room = np.full([2 * side for side in shape], 77, array.dtype)
        room[(slice(None, None, 2),) * array.ndim] = array
        array = room[(slice(None, None, 2),) * array.ndim]
    elif kind == 2:
        array = np.asfortranarray(array)
    elif kind == 3:
        room = np.empty(array.nbytes + 1, np.uint8)[1:]
        room.view(array.dtype).reshape(shape)[...] = array
        array = room.view(array.dtype).reshape(shape)
    else:
        room = np.full(array.size + 128, 77, array.dtype)  # what lies behind must not be read
        room[64 : 64 + array.size] = array.ravel()
        array = room[64 : 64 + array.size].reshape(shape)
    array.flags.writeable = False
    return array


def spoiled_array(random, array):
    positions = array.dtype == np.int32  # what is wrong with them reaches furthest
    kind = 7 if positions and random.integers(2) else random.integers(12)
    if kind == 0:
        return JUNK[random.integers(len(JUNK))]
    if kind == 1:
        return array.astype(DTYPES[random.integers(len(DTYPES))])
    if kind == 2:
        return array[..., None] if random.integers(2) else array[None]
    if kind == 3 and array.ndim:
        return array[0] if len(array) else array.reshape((*array.shape[1:], 0))
    if kind == 4 and array.ndim:
        axis = int(random.integers(array.ndim))
        return np.take(array, range(array.shape[axis] - 1), axis) if array.shape[axis] else array
    if kind == 5 and array.ndim:
        return np.concatenate([array, array], int(random.integers(array.ndim)))
    if kind == 6 and array.ndim:
        shape = list(array.shape)
        shape[random.integers(array.ndim)] = 0
        return np.zeros(shape, array.dtype)
    if kind == 7:
        wrong = array.copy()
        special = [np.nan, np.inf, -np.inf, 1e38, -0.0] if array.dtype.kind == "f" else [127, 9, 0]
        if positions:
            special = [-1, 9, 50, 5000, 500_000, 2**31 - 1, -(2**31), -9999]
        wrong.flat[: random.integers(1, array.size + 2)] = random.choice(special)
        return wrong
    if kind == 8:
        return np.ma.masked_array(array, np.zeros(array.shape, bool))
    if kind == 9:
        return array.T
    if kind == 10:
        return np.broadcast_to(
            array.ravel()[:1].reshape(()) if array.size else array.dtype.type(0), array.shape
        )
    return array.ravel()


def spoiled_number(random, value):
    kind = random.integers(4)
    if kind == 0:
        return JUNK[random.integers(len(JUNK))]
    number = (-1, 0, 1, 2, 3, 5, 40)[random.integers(7)]
    if kind == 1:
        number = HUGE[random.integers(len(HUGE))]
    if kind == 2:
        number = np.int8(number)
    if not isinstance(value, tuple) or not value:
        return number
    changed = list(value)
    changed[random.integers(len(value))] = number
    return tuple(changed) if random.integers(2) else changed[: random.integers(1, len(changed) + 1)]


class Guarded:
    """Memory for results, with bytes around it that nobody may write, and in it what must be written."""

    def __init__(self, plain):
        self.plain, self.fill, self.pieces = plain, 1, []

    def empty(self, shape, dtype):
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size > 1 << 22:
            return self.plain(shape, dtype)
        memory = np.full(size + 2 * GUARD, self.fill, np.uint8)
        self.pieces.append((memory, self.fill))
        return memory[GUARD : GUARD + size].view(dtype).reshape(shape)

    def whole(self):
        pieces, self.pieces = self.pieces, []
        return all((m[:GUARD] == fill).all() and (m[-GUARD:] == fill).all() for m, fill in pieces)


def bits(result):
    parts = result if isinstance(result, tuple) else (result,)
    return [(p.shape, p.dtype, p.tobytes()) if isinstance(p, np.ndarray) else p for p in parts]


def told(arguments):
    return {n: f"{a.dtype} {a.shape}" if isinstance(a, np.ndarray) else a for n, a in arguments.items()}


def one_call(random, guarded, name, serial):
    """Make one call and return how it ended."""
    arguments = CASES[name](random)
    arrays = [n for n, a in arguments.items() if isinstance(a, np.ndarray)]
    only_order = bool(arrays) and random.integers(4) == 0
    given = dict(arguments)
    if only_order:
        for n in arrays:
            given[n] = in_other_order(random, given[n])
    else:
        for n in random.choice(list(arguments), min(len(arguments), random.integers(1, 4)), replace=False):
            given[n] = (spoiled_array if n in arrays else spoiled_number)(random, given[n])
    before = {n: a.tobytes() for n, a in given.items() if isinstance(a, np.ndarray) and a.dtype.kind != "O"}
    guarded.fill = 1 + serial % 250
    try:
        result, ended = FUNCTIONS[name](**given), "returned"
    except CnnFilterError as error:
        result, ended = None, type(error).__name__
        if only_order:
            raise AssertionError(f"{name}{told(given)} refused: {error}") from error
    except MemoryError:
        result, ended = None, "MemoryError"
    except Exception as error:
        raise AssertionError(f"{name}{told(given)}: {type(error).__name__}: {error}") from error
    assert guarded.whole(), f"{name}{told(given)} wrote beside its result"
    for n, content in before.items():
        assert given[n].tobytes() == content, f"{name}{told(given)} changed {n}"
    if only_order:
        found = bits(result)
        guarded.fill = 251 - guarded.fill
        assert found == bits(FUNCTIONS[name](**arguments)), (
            f"{name}{told(given)}: the order of memory matters"
        )
        guarded.pieces.clear()
    return ended


def main(calls, seed):
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    random, names, ends = np.random.default_rng(seed), sorted(CASES), Counter()
    modules = [importlib.import_module(f"{functional.__name__}.{name}") for name in STORING]
    guarded = Guarded(modules[0].aligned_empty)
    for module in modules:
        module.aligned_empty = guarded.empty
    with np.errstate(all="ignore"):
        for serial in range(calls):
            ends[one_call(random, guarded, names[serial % len(names)], serial)] += 1
    print(*(f"{end} {count}" for end, count in sorted(ends.items())), sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
