"""Learned filters: strips equal the whole, files come back, banks load, misfits are refused."""

import json

import numpy as np
import pytest
from scipy import ndimage

import cnnfilter as cf
from cnnfilter.errors import DtypeError, FilterFileError, ParameterError
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.kernels import kernelfile
from cnnfilter.learning.application import apply
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.nn.functional import convolution


def stack(inputs=3, seed=0, residual=True, **more):
    rng = np.random.default_rng(seed)
    shapes = [(4, inputs, 3, 5), (6, 2, 2, 3), (inputs, 6, 3, 3)]
    layers = [
        ConvolutionLayer(
            0.3 * rng.standard_normal(shape, np.float32), 0.1 * rng.standard_normal(shape[0], np.float32),
            activation, groups,
        )
        for shape, activation, groups in zip(shapes, ("relu", "tanh", "identity"), (1, 2, 1), strict=True)
    ]  # fmt: skip
    return LearnedFilter(tuple(layers), residual=residual, **more)


@pytest.mark.parametrize("boundary", ["reflect", "zero", "edge", "symmetric", "wrap"])
@pytest.mark.parametrize("shape", [(40, 31), (3, 2), (1, 1), (17, 300)])
def test_strips_equal_the_whole(boundary, shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    whole = stack().maps(image, boundary=boundary, strip=10_000)
    for strip in (1, 7, None):
        np.testing.assert_allclose(stack().maps(image, boundary=boundary, strip=strip), whole, atol=1e-5)


def test_the_whole_is_the_layers_on_the_extended_image():
    learned, image = stack(), np.random.default_rng(2).random((20, 24, 3))
    (top, bottom), (left, right) = learned.reach
    assert (top, bottom, left, right) == (2, 3, 4, 4)
    x = np.pad(image, ((top, bottom), (left, right), (0, 0)), "reflect").transpose(2, 0, 1)[None]
    y = x
    for layer, f in zip(learned.layers, (lambda z: np.maximum(z, 0), np.tanh, lambda z: z), strict=True):
        y = f(convolution(y, layer.weights.astype(float), layer.bias.astype(float), groups=layer.groups))
    np.testing.assert_allclose(learned.maps(image), y[0].transpose(1, 2, 0) + image, atol=1e-12)


@pytest.mark.parametrize("boundary", ["reflect", "zero", "wrap"])
def test_one_kernel_is_correlation(boundary):
    image = np.random.default_rng(3).integers(0, 256, (30, 41, 3), np.uint8)
    kernel = np.array([[0, 1, 2], [0, 3, 0], [-1, 0, 0.5]])
    learned = LearnedFilter((ConvolutionLayer(kernel[None, None]),), each_channel=True)
    mode = {"reflect": "mirror", "zero": "constant", "wrap": "wrap"}[boundary]
    exact = np.stack(
        [ndimage.correlate(image[..., c].astype(float), kernel, mode=mode) for c in range(3)], -1
    )
    np.testing.assert_allclose(learned.maps(image, boundary=boundary) * 255, exact, atol=1e-3)
    expected = np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(learned.apply(image, boundary=boundary), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_depths_share_a_filter(dtype):
    learned = stack(1, each_channel=True)
    small = np.random.default_rng(4).integers(0, 128, (20, 20, 2)).astype(np.uint8)
    scale = {np.uint8: 1, np.uint16: 257, np.int16: 257}.get(dtype, 1 / 255)
    result = learned.apply((small * float(scale)).astype(dtype))
    assert result.dtype == dtype and result.shape == small.shape
    if dtype != np.int16:  # whose values below zero the others do not have
        np.testing.assert_allclose(
            result / scale, np.clip(learned.maps(small) * 255, *_range(dtype)), atol=0.51
        )


def _range(dtype):
    return (0, 255) if np.issubdtype(dtype, np.unsignedinteger) else (-np.inf, np.inf)


@pytest.mark.parametrize("learned", [stack(), stack(1, each_channel=True), stack(residual=False)])
def test_a_stack_comes_back_from_its_file(tmp_path, learned):
    learned.save(tmp_path / "f.safetensors")
    found = LearnedFilter.load(tmp_path / "f.safetensors")
    assert (found.each_channel, found.residual) == (learned.each_channel, learned.residual)
    image = np.random.default_rng(5).integers(0, 256, (20, 20, 3), np.uint8)
    np.testing.assert_array_equal(found.apply(image), learned.apply(image))
    with pytest.raises(FilterFileError, match=r"more than one kernel cannot be saved as kernel JSON: give"):
        learned.save(tmp_path / "f.json")
    with pytest.raises(FilterFileError, match=r"saved as \.json or \.safetensors"):
        learned.save(tmp_path / "f.pkl")


def test_one_kernel_is_saved_as_json_with_how_it_was_learned(tmp_path):
    learned = LearnedFilter((ConvolutionLayer(np.full((1, 1, 3, 3), 1 / 9)),), True, notes={"pixels": 7})
    learned.save(tmp_path / "k.json")
    record = json.loads((tmp_path / "k.json").read_text())
    assert record["learned"] == {"pixels": 7}
    found = LearnedFilter.load(tmp_path / "k.json")
    np.testing.assert_array_equal(found.kernel().array, learned.kernel().array)


def test_banks_in_both_orders(tmp_path):
    bank = np.random.default_rng(6).standard_normal((5, 3, 3, 4)).astype(np.float32)  # P, D, U, V
    write_tensors(tmp_path / "b.safetensors", {"conv1.weight": bank, "conv2.weight": bank, "fc": bank[0, 0]})
    np.save(tmp_path / "b.npy", bank.transpose(2, 3, 1, 0))
    image = np.random.default_rng(7).random((12, 12, 3))
    torch_order = LearnedFilter.load(tmp_path / "b.safetensors", tensor="conv1.weight", order="PDUV")
    notes_order = LearnedFilter.load(tmp_path / "b.npy")
    assert torch_order.outputs == 5
    np.testing.assert_array_equal(torch_order.maps(image), notes_order.maps(image))
    for arguments, words in (
        ({}, "2 tensors have four dimensions: name one of conv1.weight"),
        ({"tensor": "conv9"}, "no tensor is named 'conv9'; there are conv1.weight"),
        ({"tensor": "fc"}, r"tensor 'fc' has shape \(3, 4\)"),
    ):
        with pytest.raises(FilterFileError, match=words):
            LearnedFilter.load(tmp_path / "b.safetensors", **arguments)
    with pytest.raises(ParameterError, match="order is 'PUVD': give auto, UVDP, PDUV"):
        LearnedFilter.load(tmp_path / "b.npy", order="PUVD")


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "kernel"),
    [
        ((5, 5, 3, 8), 3, 8, (5, 5)),
        ((8, 3, 5, 5), 3, 8, (5, 5)),
        ((64, 64, 3, 3), 3, 3, (64, 64)),  # both are square: the notes' order
        ((1, 1, 3, 3), 1, 1, (3, 3)),  # but a kernel of one pixel is not meant
        ((3, 3, 1, 1), 1, 1, (3, 3)),
        ((1, 1, 3, 8), 3, 8, (1, 1)),
    ],
)
def test_the_order_of_a_bank_is_told_by_its_shape(tmp_path, shape, inputs, outputs, kernel):
    np.save(tmp_path / "b.npy", np.ones(shape, np.float32))
    learned = LearnedFilter.load(tmp_path / "b.npy")
    assert (learned.inputs, learned.outputs) == (inputs, outputs)
    assert learned.layers[0].weights.shape[2:] == kernel


def test_a_kernel_array_is_a_filter(tmp_path):
    np.save(tmp_path / "k.npy", np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]]) / 6)
    assert LearnedFilter.load(tmp_path / "k.npy").kernel().sum == pytest.approx(1)


def test_maps_can_be_made_a_few_at_a_time():
    bank = LearnedFilter(
        (ConvolutionLayer(np.random.default_rng(9).standard_normal((5, 3, 3, 3)), np.arange(5.0)),)
    )
    image = np.random.default_rng(8).random((12, 13, 3))
    np.testing.assert_allclose(bank.only(2, 4).maps(image), bank.maps(image)[..., 2:4])
    with pytest.raises(ParameterError, match="cannot be computed apart"):
        stack().only(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_bias_is_added_by_every_way(tmp_path, channels):
    kernel = np.array([[0, 1, 2], [0, 3, 0], [-1, 0, 0.5]]) / 6
    layer = ConvolutionLayer(
        np.repeat(kernel[None, None], channels, 0), np.full(channels, 0.125), groups=channels
    )
    learned = LearnedFilter((layer,), each_channel=channels == 1)
    image = np.random.default_rng(3).integers(0, 256, (30, 41, 3), np.uint8)
    plain = np.stack([ndimage.correlate(image[..., c] / 255, kernel, mode="mirror") for c in range(3)], -1)
    np.testing.assert_allclose(learned.maps(image), plain + 0.125, atol=1e-6)
    np.testing.assert_array_equal(learned.apply(image), np.rint((plain + 0.125) * 255).clip(0, 255))
    name = tmp_path / ("f.json" if channels == 1 else "f.safetensors")
    learned.save(name)
    np.testing.assert_array_equal(LearnedFilter.load(name).maps(image), learned.maps(image))


def test_a_bias_is_kept_in_kernel_json_and_refused_as_a_kernel(tmp_path):
    layer = ConvolutionLayer(np.full((1, 1, 3, 3), 1 / 9), np.array([0.1]))
    LearnedFilter((layer,), each_channel=True, notes={"pixels": 7}).save(tmp_path / "k.json")
    found = LearnedFilter.load(tmp_path / "k.json")
    assert found.bias == 0.1 and found.notes == {"pixels": 7}
    with pytest.raises(FilterFileError, match=r"k\.json: has a bias of 0\.1, which no kernel has"):
        kernelfile.load(tmp_path / "k.json")
    with pytest.raises(FilterFileError, match=r"a bias has no place in \.txt"):
        kernelfile.save(found.kernel(), tmp_path / "k.txt", bias=0.1)
    (tmp_path / "k.json").write_text('{"cnnfilter": "kernel", "version": 1, "weights": [[1]], "bias": "x"}')
    with pytest.raises(FilterFileError, match="bias 'x' must be numbers"):
        LearnedFilter.load(tmp_path / "k.json")


@pytest.mark.parametrize("learned", [stack(), stack(1, each_channel=True)])
@pytest.mark.parametrize("boundary", ["reflect", "edge", "zero", "constant"])
def test_parts_with_their_own_padding_equal_the_whole(learned, boundary):
    image = np.random.default_rng(5).integers(0, 256, (40, 21, 3), np.uint8)
    given = {"boundary": boundary, "constant": 99.0}
    whole = learned.maps(image, **given)
    (top, bottom), columns = learned.reach
    upper = learned.maps(image[: 20 + bottom], padding=((top, 0), columns), **given)
    lower = learned.maps(image[20 - top :], padding=((0, bottom), columns), **given)
    np.testing.assert_allclose(np.concatenate((upper, lower)), whole, atol=1e-6)


def test_the_constant_beside_the_image_is_a_pixel_value():
    image = np.full((6, 6), 100, np.uint8)
    learned = stack(1, each_channel=True, residual=False)
    inside = learned.maps(np.full((40, 40), 100, np.uint8))[20, 20]
    np.testing.assert_allclose(
        learned.maps(image, boundary="constant", constant=100), np.broadcast_to(inside, (6, 6, 1)), atol=1e-6
    )


def test_files_that_describe_something_else(tmp_path):
    stack().save(tmp_path / "good.safetensors")
    tensors, metadata = read_tensors(tmp_path / "good.safetensors")
    description = json.loads(metadata["description"])
    path = tmp_path / "bad.safetensors"

    def refused(words, tensors=tensors, metadata=metadata, **changes):
        changed = metadata | {"description": json.dumps(description | changes)} if changes else metadata
        write_tensors(path, tensors, changed)
        with pytest.raises(FilterFileError, match=words) as caught:
            LearnedFilter.load(path)
        assert str(caught.value).count("bad.safetensors") == 1

    layer = description["layers"][0]
    refused("version '4' of a learned filter: known are '1', '2', '3'", metadata=metadata | {"version": "4"})
    refused("description of the filter is damaged", metadata=metadata | {"description": "{"})
    refused("not of the known form", layers=[])
    refused("not of the known form", residual="yes")
    refused(
        "layer 0 must say activation and groups", layers=[layer | {"code": "x"}, *description["layers"][1:]]
    )
    refused("activation is 'exec'", layers=[layer | {"activation": "exec"}, *description["layers"][1:]])
    refused(
        "unknown tensors: layers.2.bias, layers.2.weight", layers=description["layers"][:2], residual=False
    )
    refused("layer 1 has no weights", {k: v for k, v in tensors.items() if k != "layers.1.weight"})
    refused("bias has shape", tensors | {"layers.0.bias": np.ones(3, np.float32)})
    refused("followed by one of 5 inputs", tensors | {"layers.2.weight": np.ones((3, 5, 3, 3), np.float32)})
    refused("holds NaN", tensors | {"layers.0.bias": np.full(4, np.nan, np.float32)})


def test_channels_that_do_not_fit():
    with pytest.raises(ParameterError, match=r"takes 3 channel\(s\), but the image has 1"):
        stack().apply(np.zeros((9, 9), np.uint8))
    with pytest.raises(ParameterError, match="1 input and 1 output, not 3 and 3"):
        stack(each_channel=True)
    with pytest.raises(ParameterError, match="boundary 'renormalize'"):
        stack().maps(np.zeros((9, 9, 3), np.uint8), boundary="renormalize")


def test_memory_is_bounded_by_the_strip():
    import tracemalloc

    image = np.zeros((3000, 1000), np.uint8)
    learned = stack(1, each_channel=True)
    tracemalloc.start()
    learned.maps(image, strip=64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < image.size * 4 + 20e6  # the result, and a strip of six maps


@pytest.mark.parametrize(
    ("image", "dtype", "words"),
    [
        (np.ones((5, 6), bool), None, "an image of bool"),
        (np.ones((5, 6), np.float16), None, "an image of float16"),
        (np.ones((5, 6), complex), None, "complex128 is not supported"),
        (np.ones((5, 6)), "int32", "a result of int32"),
        (np.ones(6), None, "not a signal"),
        (np.ma.masked_less(np.ones((5, 6)), 2), None, "missing"),
    ],
)
def test_layers_name_what_they_do_not_take(image, dtype, words):
    layer = ConvolutionLayer(np.full((1, 1, 3, 3), 0.1))
    with pytest.raises((DtypeError, ParameterError), match=words):
        apply(image, LearnedFilter((layer, layer), each_channel=True), dtype=dtype)


def test_one_kernel_takes_what_correlate_takes():
    kernel = np.array([[0.5, 0.25, 0.25]])
    learned = LearnedFilter((ConvolutionLayer(kernel[None, None]),), each_channel=True)
    masked = np.ma.masked_equal(np.arange(30).reshape(5, 6), 7)
    found = apply(masked, learned, dtype="float64")
    wanted = cf.correlate(masked, kernel, boundary="reflect", dtype="float64")
    np.testing.assert_array_equal(found.mask, wanted.mask)
    np.testing.assert_array_equal(found.filled(0), wanted.filled(0))
    assert apply(np.ones((5, 6), np.int32), learned).dtype == np.int32


def test_one_kernel_takes_a_dask_array_and_layers_name_the_way():
    da = pytest.importorskip("dask.array")
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    lazy = da.from_array(image, chunks=7)
    one = ConvolutionLayer(np.random.default_rng(1).random((1, 1, 3, 3)) / 9)
    found = apply(lazy, LearnedFilter((one,), each_channel=True))
    assert isinstance(found, da.Array)
    np.testing.assert_array_equal(found.compute(), apply(image, LearnedFilter((one,), each_channel=True)))
    with pytest.raises(
        ParameterError, match=r"layers take no dask array; compute\(\) it, or use cnnfilter.lazy"
    ):
        apply(lazy, LearnedFilter((one, one)))
