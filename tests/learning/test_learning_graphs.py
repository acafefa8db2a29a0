"""Networks of others: strips and parts have the bits of the whole, whatever stands beside the image."""

import naive
import numpy as np
import pytest

from cnnfilter.core.boundary import index_map
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.files.graphs import StoredGraph, StoredNode
from cnnfilter.files.weightsfile import write_tensors
from cnnfilter.filters import plan as planning
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.mean import Mean
from cnnfilter.filters.plan import plan_chain
from cnnfilter.lazy.engine import filter_blocks
from cnnfilter.learning.application import Learned
from cnnfilter.learning.graphapplication import LearnedGraph
from cnnfilter.learning.graphfilter import graph_filter

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (61, 43, 3), np.uint8)


def kernels(maps, depth, rows=3, columns=3, seed=0):
    weights = np.random.default_rng(seed).standard_normal((maps, depth, rows, columns), np.float32)
    return weights / np.float32(np.sqrt(depth * rows * columns))


def conv(weight, read, made, pads=((1, 1), (1, 1)), **options):
    return StoredNode("convolution", (read,), made, {"padding": pads, **options}, {"weight": weight})


def residual():
    """Two layers, one of them wide and dilated, that are added to the image."""
    return (
        conv(kernels(4, 3, 2, 5), "image", "a", ((0, 2), (4, 4)), dilation=(2, 2)),
        StoredNode("relu", ("a",), "b"),
        conv(kernels(3, 4, seed=1), "b", "c"),
        StoredNode("sum", ("image", "c"), "result"),
    )


def half():
    """A layer, a pooling of every second row and column, and another layer."""
    return (
        conv(kernels(4, 3), "image", "a"),
        StoredNode(
            "max_pooling", ("a",), "b", {"size": (3, 2), "stride": (2, 2), "padding": ((1, 0), (0, 1))}
        ),
        conv(kernels(3, 4, seed=1), "b", "result"),
    )


def shuffled():
    """FFDNet's way: a quarter of the pixels, a map of the noise, and back."""
    return (
        StoredNode("unshuffle", ("image",), "a", {"factor": 2}),
        StoredNode("constant_map", ("a",), "b", {"value": 0.1}),
        conv(kernels(6, 13), "b", "c"),
        StoredNode("tanh", ("c",), "d"),
        conv(kernels(12, 6, seed=1), "d", "e"),
        StoredNode("shuffle", ("e",), "result", {"factor": 2}),
    )


def before_and_after():
    """Layers on all pixels before the quarters and after them: a pixel sees as far as its neighbours do."""
    return (
        conv(kernels(3, 3), "image", "0"),
        *(node._replace(inputs=("0",)) if node.output == "a" else node for node in shuffled()[:-1]),
        StoredNode("shuffle", ("e",), "f", {"factor": 2}),
        conv(kernels(3, 3, seed=2), "f", "result"),
    )


def tiled():
    """Layers of many maps, whose results are made in tiles: on all pixels, and on a quarter of them."""
    return (
        conv(kernels(20, 3), "image", "a"),
        conv(kernels(20, 20, seed=1), "a", "b"),
        StoredNode(
            "max_pooling", ("b",), "c", {"size": (2, 2), "stride": (2, 2), "padding": ((1, 0), (0, 1))}
        ),
        conv(kernels(21, 20, seed=2), "c", "d", ((2, 0), (1, 1))),
        conv(kernels(20, 21, seed=3), "d", "e", ((0, 2), (1, 1))),
        conv(kernels(3, 20, 1, 1), "e", "result", ((0, 0), (0, 0))),
    )


def network(nodes, **options):
    return graph_filter(StoredGraph(tuple(nodes), "image", "result", **options))


NETWORKS = [network(nodes()) for nodes in (residual, half, shuffled, before_and_after, tiled)]


def test_zeros_stand_beside_every_layer():
    """Not beside the image alone: the second layer sees zeros where the first would have made something."""
    first, second = kernels(1, 1)[0, 0], kernels(1, 1, seed=1)[0, 0]
    bias = np.array([0.5], np.float32)
    nodes = [
        StoredNode("convolution", ("image",), "a", {"padding": ((1, 1), (1, 1))},
                   {"weight": first[None, None], "bias": bias}),
        conv(second[None, None], "a", "result"),
    ]  # fmt: skip
    image = RNG.random((6, 5))
    pads = ((1, 1), (1, 1))
    wanted = naive.correlate(naive.correlate(image, first, padding=pads) + 0.5, second, padding=pads)
    np.testing.assert_allclose(network(nodes).maps(image)[..., 0], wanted, atol=1e-12)
    # With a mirror the first layer makes something there, too.
    longer = image[index_map(6, 2, 2, "reflect")][:, index_map(5, 2, 2, "reflect")]
    wanted = naive.correlate(naive.correlate(longer, first) + 0.5, second)
    np.testing.assert_allclose(network(nodes).maps(image, boundary="reflect")[..., 0], wanted, atol=1e-12)


@pytest.mark.parametrize("boundary", ["zero", "reflect", "wrap", "constant", "edge"])
@pytest.mark.parametrize("filter", NETWORKS)
@pytest.mark.parametrize("shape", [(61, 43), (5, 1), (2, 7), (12, 12)])
def test_strips_have_the_bits_of_the_whole(filter, boundary, shape):
    image = IMAGE[: shape[0], : shape[1]]
    whole = filter.maps(image, boundary=boundary, constant=9, strip=1000, threads=1)
    for strip in (1, 2, 7):
        parts = filter.maps(image, boundary=boundary, constant=9, strip=strip, threads=3)
        np.testing.assert_array_equal(parts, whole)


class Held:
    """An image that is read in parts, and one that is written in parts."""

    def __init__(self, image, result):
        self.image, self.result, self.shape, self.dtype = image, result, image.shape, image.dtype

    chunks = (1, 1)

    def read(self, rows, columns):
        return self.image[slice(*rows), slice(*columns)]

    def write(self, rows, columns, block):
        self.result[slice(*rows), slice(*columns)] = block


@pytest.mark.parametrize("boundary", ["zero", "reflect", "wrap"])
@pytest.mark.parametrize("filter", NETWORKS)
def test_blocks_have_the_bits_of_the_whole(filter, boundary):
    step = LearnedGraph(filter=filter, boundary=boundary)
    plan = plan_chain([step], IMAGE.shape, "uint8", depth="f32")
    wanted = run_chain(plan, IMAGE).array
    for block in ((6, 4), (10, 60), (2, 2)):
        result = np.zeros(plan.shapes[-1], np.float32)
        held = Held(IMAGE, result)
        filter_blocks(plan, held, held, block)
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("filter", NETWORKS)
def test_strips_of_a_chain_have_the_bits_of_the_whole(filter, monkeypatch):
    steps = [LearnedGraph(filter=filter), Mean(size=3), LearnedGraph(filter=filter, boundary="reflect")]
    image = np.tile(IMAGE, (20, 1, 1))
    whole = plan_chain(steps, image.shape, "uint8", threads=2)
    assert whole.strips == 1
    wanted = run_chain(whole, image).array
    monkeypatch.setattr(planning, "STRIP", 1)
    plan = plan_chain(steps, image.shape, "uint8", threads=2)
    assert plan.strips > 1
    np.testing.assert_array_equal(run_chain(plan, image).array, wanted)


def test_no_row_is_computed_twice(monkeypatch):
    """A strip of one row computes one row of each layer, but the first, which computes what it reads."""
    from cnnfilter.learning import graphwindows

    made = []
    usual = graphwindows.Convolution.made

    def counted(self, inputs, outside, region):
        made.append(region[0][1] - region[0][0])
        return usual(self, inputs, outside, region)

    monkeypatch.setattr(graphwindows.Convolution, "made", counted)
    network(residual()).maps(IMAGE, strip=1, threads=1)
    assert sum(made) == 2 * len(IMAGE)


def test_one_channel_in_and_out_is_for_each_channel():
    filter = network([conv(kernels(2, 1), "image", "a"), conv(kernels(1, 2, seed=1), "a", "result")])
    found = filter.maps(IMAGE)
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], filter.maps(IMAGE[..., channel])[..., 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_white_is_what_the_network_takes_for_white(dtype):
    white = 1.0 if dtype.startswith("f") else np.iinfo(dtype).max
    image = (IMAGE / 255 * white).astype(dtype)
    line = {"scale": np.array([1.0]), "shift": np.array([51.0])}
    found = network([StoredNode("line", ("image",), "result", {}, line)], channels=3, white=255.0).maps(image)
    np.testing.assert_allclose(found, image / white + 0.2, atol=1e-6)
    assert found.dtype == (np.float64 if dtype == "float64" else np.float32)


def test_sizes_that_are_no_multiple_repeat_the_last_row_and_column():
    wanted = network(shuffled()).maps(np.pad(IMAGE, ((0, 1), (0, 1), (0, 0)), mode="edge"))
    np.testing.assert_array_equal(network(shuffled()).maps(IMAGE), wanted[:-1, :-1])


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([conv(kernels(2, 4), "image", "result")], r"weights of shape \(2, 4, 3, 3\) .* do not fit 3 maps"),
        ([conv(kernels(3, 3), "image", "result", ((3, 0), (0, 0)))], "less than a window reaches"),
        ([conv(kernels(12, 3), "image", "a"), StoredNode("shuffle", ("a",), "result", {"factor": 2})],
         "larger than the image"),
        ([conv(kernels(3, 3), "image", "a", ((0, 0), (0, 0))), StoredNode("sum", ("a", "image"), "result")],
         "not the same rows and columns"),
        ([conv(kernels(2, 3), "image", "a"), StoredNode("sum", ("a", "image"), "result")], "maps do not add"),
        ([conv(kernels(3, 3), "image", "result", dilation=(5000, 1))], "at most 65536 maps, and 4096 pixels"),
        ([StoredNode("prelu", ("image",), "result", {}, {"slope": np.ones(2)})], r"\(2,\) numbers for 3"),
        ([StoredNode("relu", ("image",), "other")], "the result is the image itself|result"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(nodes, match):
    with pytest.raises(ParameterError, match=match):
        network(nodes, channels=3)


def test_maps_do_not_grow_without_end():
    nodes = [
        StoredNode("concatenation", (name, name), f"{name}x")
        for name in ("image" + k * "x" for k in range(40))
    ]
    with pytest.raises(ParameterError, match="at most 65536 maps"):
        graph_filter(StoredGraph(tuple(nodes), "image", nodes[-1].output, 3))


def test_the_boundary_is_that_of_the_file(tmp_path):
    (tmp_path / "kernel.json").write_text("[[1, 2, 1]]")
    write_tensors(tmp_path / "net.npz", {"a.weight": kernels(1, 1)})
    (tmp_path / "net.json").write_text('{"cnnfilter": "network", "weights": "net.npz"}')
    for name, boundary in (("kernel", "reflect"), ("net", "zero")):
        path = str(tmp_path / f"{name}.json")
        assert Learned.read({"filter": path}).boundaries == (boundary, boundary)
        assert Learned.read({"filter": path, "boundary": "edge"}).boundaries == ("edge", "edge")


def test_pictures_that_do_not_fit():
    filter = NETWORKS[0]
    with pytest.raises(ParameterError, match=r"the filter takes 3 channel\(s\), but the image has 1"):
        filter.maps(IMAGE[..., 0])
    with pytest.raises(ParameterError, match="use zero or reflect"):
        filter.maps(IMAGE, boundary="renormalize")
    with pytest.raises(ParameterError, match="strip is -1"):
        filter.maps(IMAGE, strip=-1)
    narrow = network([conv(kernels(3, 3, 5, 5), "image", "result", ((0, 0), (0, 0)))])
    with pytest.raises(ParameterError, match="output would be empty"):
        narrow.maps(IMAGE[:3])
    with pytest.raises(ParameterError, match="layers know no missing pixels"):
        LearnedGraph(filter=filter).filtered(np.ma.array(IMAGE), filter=filter, dtype=None)
    with pytest.raises(DtypeError, match="complex"):
        LearnedGraph(filter=filter).filtered(IMAGE.astype(complex), filter=filter, dtype=None)
