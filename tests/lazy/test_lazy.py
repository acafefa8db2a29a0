"""Larger than memory: an image that is filtered block by block has the bytes of the whole."""

import threading

import numpy as np
import promise
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnnfilter import Kernel
from cnnfilter.errors import ParameterError
from cnnfilter.filters import plan as chainplan
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.parts import ends_of
from cnnfilter.filters.plan import plan_chain
from cnnfilter.lazy.engine import Part, Watch, extremes_in_blocks, filter_blocks, from_row, pixels_read
from cnnfilter.learning.application import Learned
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.registry import filter_named

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
BOUNDARIES = ("zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize")


class Image:
    """A source that looks at what it is asked for, and a sink that takes every pixel once."""

    def __init__(self, array, chunks=(1, 1)):
        self.array, self.chunks = array, chunks
        self.shape, self.dtype = array.shape, array.dtype
        self.written = np.zeros(array.shape[:2], int)

    def read(self, rows, columns):
        for (first, last), length in zip((rows, columns), self.shape, strict=False):
            assert 0 <= first < last <= length
        return self.array[slice(*rows), slice(*columns)]

    def write(self, rows, columns, block):
        place = slice(*rows), slice(*columns)
        assert block.dtype == self.dtype
        self.array[place] = block
        self.written[place] += 1


def in_blocks(plan, frame, block):
    sink = Image(np.empty(plan.shapes[-1], plan.target))
    counts = filter_blocks(plan, Image(frame), sink, block)
    assert (sink.written == 1).all()
    return sink.array, counts.clipped


@st.composite
def boundaries(draw):
    name = st.sampled_from(BOUNDARIES)
    boundary = draw(st.one_of(st.none(), name, name, st.tuples(name, name)))
    given = {} if boundary is None else {"boundary": boundary}
    return given | ({"constant": 300.5} if boundary and "constant" in boundary else {})


def weights(generator, kind):
    """Kernels for which different methods are chosen, or different forms of one."""
    rows, columns = generator.integers(1, 7, 2)
    dense = generator.standard_normal((rows, columns))
    return {
        "dense": dense,
        "holes": dense * (generator.random((rows, columns)) < 0.5) + np.eye(rows, columns) / 8,
        "separable": np.outer(generator.random(rows), generator.random(columns)),
        "equal": np.full((rows, columns), 1 / (rows * columns)),
        "whole numbers": generator.integers(1, 9, (rows, columns)).astype(float),
    }[kind]


def layers(generator, channels):
    hidden = ConvolutionLayer(generator.standard_normal((5, channels, 3, 2)), np.ones(5), "relu")
    last = ConvolutionLayer(generator.standard_normal((channels, 5, 1, 3)) / 9)
    return LearnedFilter((hidden, last), residual=bool(generator.integers(2)))


@st.composite
def steps(draw, channels):
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    geometry = {
        "stride": draw(st.sampled_from([None, 1, 2, (3, 1), (1, 50)])),
        "padding": draw(st.sampled_from([None, "same", "narrow", "wide", (2, 1), ((0, 3), (9, 0))])),
        **draw(boundaries()),
    }
    kinds = ["mean", "gaussian", "second-derivative", "gradient", "unsharp", "correlate", "convolve", "pool"]
    kind = draw(st.sampled_from([*kinds, "learned"]))
    value_range = draw(st.sampled_from([None, "clip", "abs", "offset"]))
    if kind == "learned":
        return Learned(value_range, filter=layers(generator, channels), **geometry)
    if kind == "unsharp":
        del geometry["stride"], geometry["padding"]
    if kind == "pool":
        geometry = {"stride": geometry["stride"], "padding": draw(st.sampled_from([None, 1]))}
    own = {
        "mean": {"size": draw(st.sampled_from([1, 2, 3, (5, 1), (1, 4)]))},
        "gaussian": {
            "sigma": draw(st.sampled_from([0.5, 1.2, (0, 1.0), (1.0, 0)])),
            "derivative": draw(st.sampled_from([None, 1, (0, 2)])),
        },
        "second-derivative": {"axis": draw(st.sampled_from(["x", "y", "both"]))},
        "gradient": {"show": draw(st.sampled_from(["magnitude", "direction", "y"]))},
        "unsharp": {"sigma": draw(st.sampled_from([0.6, (1.0, 0.5)])), "threshold": 2.0},
        "pool": {
            "kind": draw(st.sampled_from(["max", "mean"])),
            "size": draw(st.sampled_from([1, 2, (2, 3)])),
        },
    }
    kernel = draw(st.sampled_from(["dense", "holes", "separable", "equal", "whole numbers"]))
    given = own.get(kind) or {
        "kernel": Kernel(weights(generator, kernel)),
        "dilation": draw(st.sampled_from([1, 1, 2])),
    }
    return filter_named(kind)(value_range, **given, **geometry)


@st.composite
def runs(draw):
    """Draw a frame, a chain of one or two filters, and how large blocks are."""
    shape = (*draw(st.tuples(*[st.integers(1, 25)] * 2)), *draw(st.sampled_from([(), (2,), (3,)])))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    limits = (-3000, 3000) if dtype.kind != "u" else (0, np.iinfo(dtype).max)
    frame = generator.uniform(*limits, shape).astype(dtype)
    if dtype.kind == "f" and draw(st.booleans()):
        frame.flat[draw(st.integers(0, frame.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -3e38]))
    channels = shape[2] if len(shape) == 3 else 1
    chain = draw(st.lists(steps(channels), min_size=1, max_size=2))
    side = st.one_of(st.just(1), st.integers(1, 9), st.just(99))
    how = {
        "depth": draw(st.sampled_from([None, None, "8", "16", "f32"])),
        "linear": draw(st.booleans()) and dtype.kind == "u",
        "value_range": draw(st.sampled_from([None, None, "clip", "stretch"])),
        "threads": draw(st.sampled_from([1, 2])),
    }
    return frame, chain, draw(st.tuples(side, side)), how


@settings(max_examples=200, deadline=None)
@given(runs())
def test_blocks_have_the_bytes_of_the_whole(run):
    frame, chain, block, how = run
    with np.errstate(all="ignore"):
        try:
            plan = plan_chain(chain, frame.shape, frame.dtype, **how)
            whole = run_chain(plan, frame)
        except ParameterError:  # the kernels do not fit, or weights inside sum to 0
            assume(False)
        result, clipped = in_blocks(plan, frame, block)
    assert result.tobytes() == whole.array.tobytes()
    if promise.needs_all(plan.geometries[1:]):
        assert clipped == whole.clipped


@settings(max_examples=100, deadline=None)
@given(runs(), st.data())
def test_parts_that_are_made_apart_have_the_bytes_of_the_whole(run, data):
    frame, chain, block, how = run
    with np.errstate(all="ignore"):
        try:
            plan = plan_chain(chain, frame.shape, frame.dtype, **how)
            whole = run_chain(plan, frame)
        except ParameterError:
            assume(False)
        height, width = plan.shapes[-1][:2]
        row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        parts = [
            Part(rows, columns, 1)
            for rows in ((0, row), (row, height))
            for columns in ((0, column), (column, width))
            if rows[0] < rows[1] and columns[0] < columns[1]
        ]
        sink, ends = Image(np.empty(plan.shapes[-1], plan.target)), None
        if plan.value_range == "stretch":
            found = [extremes_in_blocks(plan, Image(frame), block, part=part) for part in parts]
            ends = ends_of(plan, [pair for pairs in found for pair in pairs])
        counts = [filter_blocks(plan, Image(frame), sink, block, part=part, ends=ends) for part in parts]
    assert (sink.written == 1).all()
    assert sink.array.tobytes() == whole.array.tobytes()
    if promise.needs_all(plan.geometries[1:]):
        assert sum(each.clipped for each in counts) == whole.clipped


def test_what_only_results_before_the_last_rows_are_made_of_is_counted():
    """The last rows of a result may lie beside the image altogether, and be made of its first ones."""
    frame = np.array([[162], [68], [10]], np.uint8)
    chain = [filter_named("unsharp")(sigma=0.6, threshold=2.0), filter_named("mean")(size=1, padding=(2, 1))]
    plan = plan_chain(chain, frame.shape, frame.dtype)
    sink = Image(np.empty(plan.shapes[-1], plan.target))
    assert filter_blocks(plan, Image(frame), sink, (1, 3)).clipped == run_chain(plan, frame).clipped == 1


@settings(max_examples=100, deadline=None)
@given(runs(), st.data())
def test_missing_pixels_are_those_of_the_whole(run, data):
    frame, chain, block, how = run
    value = float("nan") if frame.dtype.kind == "f" and data.draw(st.booleans()) else 7.0
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    frame[generator.random(frame.shape) < data.draw(st.sampled_from([0.02, 0.5]))] = value
    how |= {"missing": value, "fill": data.draw(st.booleans()), "linear": False}
    with np.errstate(all="ignore"):
        try:
            plan = plan_chain(chain, frame.shape, frame.dtype, **how)
            whole = run_chain(plan, frame)
        except ParameterError:  # layers know no missing pixels, nor do some types of results hold them
            assume(False)
        sink = Image(np.empty(plan.shapes[-1], plan.target))
        counts = filter_blocks(plan, Image(frame), sink, block)
    assert sink.array.tobytes() == whole.array.tobytes()
    assert counts.mistaken == whole.mistaken
    if promise.needs_all(plan.geometries[1:]):
        assert counts.clipped == whole.clipped


@settings(max_examples=150, deadline=None)
@given(runs(), st.data())
def test_images_with_alpha_have_the_bytes_of_the_whole(run, data):
    """In strips of a few rows, some of which are opaque."""
    frame, chain, block, how = run
    frame = np.nan_to_num(frame if frame.ndim == 3 else frame[..., None].repeat(2, axis=2), posinf=0)
    white = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    frame[..., -1] = white
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    seen = data.draw(st.sampled_from([slice(0), slice(0, 3), slice(-2, None), slice(None)]))
    frame[seen, :, -1] = np.where(generator.random(frame[seen].shape[:2]) < 0.3, 0, frame[seen, :, -1])
    frame[seen, ::3, -1] = frame[seen, ::3, -1] // 2
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(chainplan, "STRIP", data.draw(st.sampled_from([1, 60, 1 << 20])))
        try:
            plan = plan_chain(chain, frame.shape, frame.dtype, **how | {"alpha": True})
            whole = run_chain(plan, frame.copy())
            result, clipped = in_blocks(plan, frame, block)
        except ParameterError:  # the kernels do not fit, or layers need the whole image
            assume(False)
    np.testing.assert_array_equal(result, whole.array)
    assert result.tobytes() == whole.array.tobytes()
    if promise.needs_all(plan.geometries[1:]):
        assert clipped == whole.clipped


@pytest.mark.parametrize("boundary", ["edge", "zero", ("constant", "reflect")])
@pytest.mark.parametrize("strip", [1, 1 << 20])
def test_opaque_strips_round_by_themselves_as_in_the_whole(monkeypatch, boundary, strip):
    """Means of two numbers lie between two levels, where one way rounds up and the other down."""
    monkeypatch.setattr(chainplan, "STRIP", strip)
    frame = np.random.default_rng(1).integers(0, 256, (40, 30, 4), np.uint8)
    frame[..., 3] = 255
    frame[17, 4, 3] = 9
    constant = {"constant": 255} if "constant" in boundary else {}
    chain = [filter_named("mean")(size=(1, 2), boundary=boundary, **constant)]
    plan = plan_chain(chain, frame.shape, frame.dtype, alpha=True)
    result, _ = in_blocks(plan, frame, (6, 7))
    np.testing.assert_array_equal(result, run_chain(plan, frame.copy()).array)
    other, _ = in_blocks(plan._replace(alpha=False), frame, (6, 7))
    rows = (result[..., :3] == other[..., :3]).all(axis=(1, 2))
    assert not rows[17]
    assert rows.any() == (strip == 1 and boundary != "zero")


@settings(max_examples=100, deadline=None)
@given(runs())
def test_what_will_be_read_is_known_beforehand(run):
    frame, chain, block, how = run

    class Counting(Image):
        pixels = 0

        def read(self, rows, columns):
            Counting.pixels += (rows[1] - rows[0]) * (columns[1] - columns[0])
            return super().read(rows, columns)

    with np.errstate(all="ignore"):
        try:
            plan = plan_chain(chain, frame.shape, frame.dtype, **how)
            filter_blocks(plan, Counting(frame), Image(np.empty(plan.shapes[-1], plan.target)), block)
        except ParameterError:
            assume(False)
    assert pixels_read(plan, block) == Counting.pixels


def test_a_run_that_goes_on_gives_the_rest():
    frame = np.random.default_rng(2).integers(0, 256, (90, 40), np.uint8)
    plan = plan_chain([filter_named("mean")(size=5, boundary="zero")], frame.shape, frame.dtype)
    whole = run_chain(plan, frame).array
    sink = Image(np.zeros_like(frame))
    heard = []

    class Hearing(Watch):
        def written(self, rows, counts):
            heard.append(rows)

    filter_blocks(plan, Image(frame), sink, (20, 30), part=from_row(plan, 31), watch=Hearing())
    assert heard == [51, 71, 90]
    np.testing.assert_array_equal(sink.array[31:], whole[31:])
    assert not sink.written[:31].any()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_transforms_have_the_bytes_of_the_whole(data):
    """Tiles of a transform begin at the same places whichever block is asked for."""
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    kernel = Kernel(generator.random((15, 13)))
    boundary = st.sampled_from([name for name in BOUNDARIES if name != "constant"])
    chain = [
        filter_named("correlate")("clip", kernel=kernel, boundary=data.draw(boundary), padding=padding)
        for padding in data.draw(st.lists(st.sampled_from(["same", "wide", (3, 2)]), min_size=1, max_size=2))
    ]
    shape = (*data.draw(st.tuples(*[st.integers(20, 260)] * 2)), *data.draw(st.sampled_from([(), (3,)])))
    frame = generator.random(shape, dtype=np.float32)
    plan = plan_chain(chain, shape, frame.dtype, threads=1)
    assert plan.described()[0].record["method"] == "fft"
    block = data.draw(st.tuples(*[st.integers(30, 200)] * 2))
    result, _ = in_blocks(plan, frame, block)
    assert result.tobytes() == run_chain(plan, frame).array.tobytes()


@pytest.mark.parametrize(
    ("chain", "how", "words"),
    [
        ([filter_named("gaussian")(sigma=20, accuracy="fast")], {}, "gaussian with accuracy 'fast'"),
        ([filter_named("mean")("stretch", size=3), filter_named("mean")()], {}, "'stretch' of mean"),
        ([filter_named("gradient")(show="colour")], {"alpha": True}, "gradient lets the whole image show"),
    ],
)
def test_what_needs_the_whole_image_is_refused_by_name(chain, how, words):
    frame = np.zeros((9, 8, 4), np.uint8)
    with pytest.raises(ParameterError, match=words):
        in_blocks(plan_chain(chain, frame.shape, frame.dtype, **how), frame, (2, 2))


@pytest.mark.parametrize("where", ["read", "write"])
def test_what_fails_is_raised_and_nothing_goes_on(where):
    class Broken(Image):
        calls = 0

        def fail(self, *arguments):
            self.calls += 1
            raise OSError("no more")

    source, sink = Broken(np.zeros((90, 8))), Broken(np.zeros((90, 8)))
    setattr(source if where == "read" else sink, where, sink.fail)
    with pytest.raises(OSError, match="no more"):
        filter_blocks(plan_chain([filter_named("mean")()], (90, 8), "float64"), source, sink, (1, 8))
    assert source.calls + sink.calls <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cnnfilter.lazy")]
