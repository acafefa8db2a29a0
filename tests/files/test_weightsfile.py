"""Tensors on disk: round trips, and every hostile file refused in one line."""

import importlib.util
import io
import json
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnfilter.errors import FilterFileError
from cnnfilter.files.weightsfile import read_tensors, write_tensors


def packed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4"]
)
def test_round_trip(tmp_path, dtype):
    tensors = {"a.weight": np.arange(6).reshape(2, 3).astype(dtype)[:, ::2], "empty": np.zeros((0, 2), dtype)}
    write_tensors(tmp_path / "t.safetensors", tensors, {"format": "x"})
    found, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"format": "x"}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype.newbyteorder("=") and found[name].flags.writeable
    assert set(safetensors.numpy.load_file(tmp_path / "t.safetensors")) == set(tensors)


def test_equal_tensors_make_equal_files(tmp_path):
    metadata = {name: "é" + name for name in "zyxwvutsrqponm"}
    for name in ("one", "two"):
        write_tensors(tmp_path / name, {"b": np.ones(3), "a": np.zeros(2, np.int8)}, metadata)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert list(read_tensors(tmp_path / "one")[1]) == sorted(metadata)
    with safetensors.safe_open(tmp_path / "one", "numpy") as file:
        assert file.metadata() == metadata


def test_bfloat16_becomes_float32(tmp_path):
    (tmp_path / "b").write_bytes(packed({"x": entry("BF16", (2,), (0, 4))}, b"\x80\x3f\x20\xc0"))
    assert read_tensors(tmp_path / "b")[0]["x"].tolist() == [1.0, -2.5]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_and_npy(tmp_path, save):
    bank = np.random.default_rng(0).random((3, 3, 1, 4))
    save(tmp_path / "bank.npz", **{"conv.weight": bank, "fortran": np.asfortranarray(bank)})
    tensors, metadata = read_tensors(tmp_path / "bank.npz")
    assert metadata == {}
    for tensor in tensors.values():
        np.testing.assert_array_equal(tensor, bank)
    np.save(tmp_path / "bank.npy", bank.astype(">f8"))
    np.testing.assert_array_equal(read_tensors(tmp_path / "bank.npy")[0]["array"], bank)


@pytest.mark.parametrize(
    "array",
    [np.ones(2, complex), np.array(["a"]), np.array([None]), np.zeros(2, "f4,i2"), np.array([0], "M8[D]")],
    ids=lambda array: array.dtype.name,
)
def test_an_npz_of_other_things_than_numbers(tmp_path, array):
    np.savez(tmp_path / "n.npz", fine=np.ones(2), other=array)
    with pytest.raises(FilterFileError, match=r"n\.npz: 'other': .*real numbers only"):
        read_tensors(tmp_path / "n.npz")


HOSTILE = {
    "empty": (b"", "0 bytes are too few"),
    "short": (b"abc", "3 bytes are too few"),
    "text": (b"some text that is no tensor file", "not a .safetensors, .npz, .npy or .pth file"),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "its header would be 4611686018427387904 bytes"),
    "not an object": (packed(b"[1]"), "no header begins with"),
    "not json": (packed(b"{nonsense"), "damaged"),
    "not utf8": (packed(b'{"\xff":1}'), "damaged"),
    "deep": (packed(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "deeply|damaged"),
    "truncated": (packed({"x": entry()}, b"1234"), "lies at bytes 0 to 8"),
    "overlap": (packed({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)), "'y' lies at bytes 4 to 12"),
    "hole": (packed({"x": entry(offsets=(4, 12))}, bytes(12)), "'x' lies at bytes 4 to 12"),
    "wrong size": (packed({"x": entry(shape=(3,))}, bytes(8)), "has 8 bytes, not 12"),
    "overflow": (packed({"x": entry(shape=(2**40, 2**40))}, bytes(8)), "has 8 bytes, not"),
    "negative": (packed({"x": entry(shape=(-2,))}, bytes(8)), r"has shape \[-2\]"),
    "bool shape": (packed({"x": entry(shape=(True,), offsets=(0, 4))}, bytes(4)), r"has shape \[True\]"),
    "backwards": (packed({"x": entry(offsets=(8, 0))}, bytes(8)), "has -8 bytes"),
    "unknown type": (packed({"x": entry("F8_E4M3", (8,))}, bytes(8)), "is of type 'F8_E4M3': known are"),
    "no dtype": (packed({"x": {"shape": [2]}}, bytes(8)), "needs dtype, shape and data_offsets"),
    "metadata": (packed({"__metadata__": {"a": 1}}), "__metadata__ must map text to text"),
    "twice": (packed(b'{"x":{},"x":{}}'), "names a tensor twice"),
    "pickle": (pickle.dumps({"x": np.ones(3)}), "not a .safetensors, .npz, .npy or .pth file"),
    "nan": (packed({"x": entry()}, struct.pack("<2f", 1, float("nan"))), "'x' holds NaN"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_safetensors(tmp_path, name):
    content, words = HOSTILE[name]
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(FilterFileError, match=words) as caught:
        read_tensors(tmp_path / "bad.safetensors")
    assert "bad.safetensors: " in str(caught.value) and "\n" not in str(caught.value)


def test_nan_can_be_allowed(tmp_path):
    write_tensors(tmp_path / "n.safetensors", {"x": np.array([np.nan])})
    assert np.isnan(read_tensors(tmp_path / "n.safetensors", finite=False)[0]["x"]).all()


def npz(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return file.getvalue()


def npy(array, allow_pickle=False):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def test_npz_bombs_and_objects(tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(npz(a_npy=npy(np.zeros(3_000_000))))
    assert path.stat().st_size < 100_000
    with pytest.raises(FilterFileError, match="takes 24000128 bytes, more than the limit of 1000000"):
        read_tensors(path, max_bytes=1_000_000)
    path.write_bytes(npz(a_npy=npy(np.array([{}], object), allow_pickle=True)))
    with pytest.raises(FilterFileError, match="an array of object is refused"):
        read_tensors(path)
    path.write_bytes(npz(a_pkl=b"cos\nsystem\n"))
    with pytest.raises(FilterFileError, match=r"holds 'a\.pkl', which is not an array"):
        read_tensors(path)
    claim = npy(np.zeros(4)).replace(b"(4,)", b"(4000000000,)").replace(b" " * 9 + b"\n", b"\n")
    path.write_bytes(npz(a_npy=claim))
    with pytest.raises(FilterFileError, match=r"takes 32000000000 bytes, but 32 are there"):
        read_tensors(path)
    path.write_bytes(npz(a_npy=npy(np.zeros(4)))[:-30])
    with pytest.raises(FilterFileError, match="damaged"):
        read_tensors(path)


def test_npy_that_is_truncated_or_strange(tmp_path):
    path = tmp_path / "bad.npy"
    path.write_bytes(npy(np.zeros(100))[:-8])
    with pytest.raises(FilterFileError, match="takes 800 bytes, but 792 are there"):
        read_tensors(path)
    path.write_bytes(npy(np.array(["a"])))
    with pytest.raises(FilterFileError, match="an array of <U1 is refused"):
        read_tensors(path)


def test_missing_and_unwritable(tmp_path):
    with pytest.raises(FilterFileError, match="No such file"):
        read_tensors(tmp_path / "none.safetensors")
    with pytest.raises(FilterFileError, match=r"none/t\.safetensors"):
        write_tensors(tmp_path / "none" / "t.safetensors", {"x": np.ones(2)})
    with pytest.raises(FilterFileError, match="'x' is complex128"):
        write_tensors(tmp_path / "t.safetensors", {"x": np.ones(2, complex)})
    assert list(tmp_path.iterdir()) == []


TORCH_FORMS = {
    "zip": npz(**{"archive/data_pkl": b"cos\nsystem\n", "archive/version": b"3"}),
    "before 1.6": bytes.fromhex("80028a0a6cfc9c46f9206aa850192e2e") + b"cos\nsystem\n",
}


class Tensor:
    """What this package asks of a tensor of PyTorch."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def detach(self):
        return self

    def is_complex(self):
        return self.values.dtype.kind == "c"

    def numel(self):
        return self.values.size

    def float(self):
        return Tensor(self.values.astype(np.float32))

    def numpy(self):
        return self.values


@pytest.fixture
def torch_that_loads(monkeypatch):
    """Put a stand-in in PyTorch's place, which gives what it is told to and notes how it was asked."""
    asked = []

    def install(state):
        def load(file, **how):
            asked.append((file.tell(), how))
            if isinstance(state, Exception):
                raise state
            return state

        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load))
        return asked

    return install


@pytest.mark.parametrize("form", TORCH_FORMS)
@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict", "some net"])
def test_pth_is_left_to_pytorch_and_there_to_its_weights(tmp_path, torch_that_loads, form, key):
    (tmp_path / "net.pth").write_bytes(TORCH_FORMS[form])
    state = {"fc.weight": Tensor(np.ones((2, 3), np.float16)), "fc.count": Tensor(7)}
    asked = torch_that_loads({key: state, "epoch": 3, "optimiser": {"lr": 0.1}} if key else state)
    tensors, metadata = read_tensors(tmp_path / "net.pth")
    assert asked == [(0, {"map_location": "cpu", "weights_only": True})]
    assert metadata == {} and tensors["fc.count"] == 7 and tensors["fc.weight"].dtype == np.float32
    np.testing.assert_array_equal(tensors["fc.weight"], np.ones((2, 3)))


@pytest.mark.parametrize("form", TORCH_FORMS)
def test_pth_without_pytorch_says_how_to_convert(tmp_path, monkeypatch, form):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "my net.pth").write_bytes(TORCH_FORMS[form])
    with pytest.raises(FilterFileError, match=r"my net\.pth: a file of PyTorch, which is not") as caught:
        read_tensors(tmp_path / "my net.pth")
    _, command, _ = str(caught.value).split('"')
    compile(command, "command", "exec")
    assert "numpy.savez('my net.npz'" in command and "torch.load('my net.pth'" in command
    assert "weights_only=True" in command


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RuntimeError("Weights only load failed. A long\nexplanation."), "Weights only load failed"),
        ([1, 2], "holds a list: a state dict is needed"),
        ({"a": Tensor(1), "epoch": 3}, r"holds epoch \(int\): a state dict of nothing but tensors is needed"),
        (
            {"one": {"a": Tensor(1)}, "two": {"a": Tensor(2)}},
            r"several state dicts \(one, two\); save the one",
        ),
        ({"a": Tensor(1j)}, "tensor 'a' is complex: real numbers only"),
    ],
)
def test_pth_that_holds_no_state_dict(tmp_path, torch_that_loads, state, words):
    torch_that_loads(state)
    (tmp_path / "net.pth").write_bytes(TORCH_FORMS["zip"])
    with pytest.raises(FilterFileError, match=words) as caught:
        read_tensors(tmp_path / "net.pth")
    assert "\n" not in str(caught.value)
    with pytest.raises(FilterFileError, match="more than the limit of 4"):
        read_tensors(tmp_path / "net.pth", max_bytes=4)


def test_a_state_dict_inside_a_model_inside_a_checkpoint(tmp_path, torch_that_loads):
    torch_that_loads({"model": {"state_dict": {"a": Tensor(5)}, "epoch": 3}})
    (tmp_path / "net.pth").write_bytes(TORCH_FORMS["zip"])
    assert read_tensors(tmp_path / "net.pth")[0] == {"a": 5}


def test_a_tensor_that_repeats_few_numbers_counts_as_many(tmp_path, torch_that_loads):
    torch_that_loads({"a": Tensor(np.broadcast_to(np.float32(1), (1 << 20, 1 << 12)))})
    (tmp_path / "net.pth").write_bytes(TORCH_FORMS["zip"])
    with pytest.raises(FilterFileError, match=f"it takes {1 << 34} bytes, more than the limit"):
        read_tensors(tmp_path / "net.pth")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pth_of_other_kinds_of_tensors(tmp_path):
    import torch

    path = tmp_path / "net.pth"
    torch.save({"a": torch.nn.Parameter(torch.ones(3))}, path)
    assert read_tensors(path)[0]["a"].tolist() == [1, 1, 1]
    refused = {
        "tensor 'a' is no plain array": {"a": torch.ones(3, device="meta")},
        "'a' is no plain": {"a": torch.eye(3).to_sparse()},
        "'a' is complex": {"a": torch.ones(2, dtype=torch.complex64)},
        "state_dict.* where it was made": torch.nn.Linear(2, 3),
    }
    for words, held in refused.items():
        torch.save(held, path)
        with pytest.raises(FilterFileError, match=words) as caught:
            read_tensors(path)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("zipped", [True, False])
def test_pth_by_pytorch_itself(tmp_path, zipped):
    import torch

    state = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.ones(2, dtype=torch.float16)}
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    tensors, _ = read_tensors(tmp_path / "net.pth")
    np.testing.assert_array_equal(tensors["a"], np.arange(6.0).reshape(2, 3).T)
    assert tensors["b"].tolist() == [1, 1]

    class Harmful:
        def __reduce__(self):
            return print, ("must not be run",)

    torch.save({"a": Harmful()}, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(FilterFileError, match="PyTorch cannot read its weights"):
        read_tensors(tmp_path / "bad.pth")


def whole_files():
    """One small file of each form."""
    tensors = {"conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), "conv.bias": np.ones(2)}
    yield safetensors.numpy.save(tensors, {"format": "x"})
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, **tensors)
        yield file.getvalue()
    yield npy(tensors["conv.weight"])


WHOLE = list(whole_files())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(range(len(WHOLE))), st.data())
def test_damaged_files_are_read_or_refused(tmp_path, which, data):
    """A few bytes changed, or the end cut off: either tensors that fit, or one line that names the file."""
    content = bytearray(WHOLE[which])
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(
        content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    )
    try:
        tensors, _ = read_tensors(path, max_bytes=100_000)
    except FilterFileError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 100_000


def test_an_npz_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    np.savez_compressed(path, weight=np.zeros(1 << 20, np.float32))
    assert read_tensors(path)[0]["weight"].size == 1 << 20
    monkeypatch.setattr("cnnfilter.files.weightsfile.PLAUSIBLE_BYTES", 1 << 20)
    with pytest.raises(FilterFileError, match="as no weights do"):
        read_tensors(path)
