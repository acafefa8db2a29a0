"""The command learned on networks of others: ONNX and descriptions, every form of pixels, bad files."""

import json
import os

import numpy as np
import pytest
from commandline import cnnfilter, complaint, picture
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.files.weightsfile import write_tensors
from cnnfilter.learning.graphapplication import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network of three layers on RGB, one on each channel alone, and pictures."""
    folder = tmp_path_factory.mktemp("networks")
    for name, depth in (("rgb", 3), ("grey", 1)):
        shapes = (6, depth, 3, 3), (6, 6, 3, 3), (depth, 6, 5, 3)
        rng = np.random.default_rng(depth)
        tensors = {
            f"net.{k}.weight": (0.1 * rng.standard_normal(shape)).astype(np.float32)
            for k, shape in enumerate(shapes)
        }
        write_tensors(folder / f"{name}.safetensors", tensors)
        told = {"cnnfilter": "network", "weights": f"{name}.safetensors", "residual": "subtract"}
        (folder / f"{name}.json").write_text(json.dumps(told))
    picture(folder / "rgb.png", (50, 70, 3))
    picture(folder / "grey.png", (50, 70))
    return folder


def run(folder, network, source, target, *options):
    cnnfilter("learned", "-q", "--filter", network, source, "-o", target, *options, cwd=folder)
    return imagefile.read(folder / target).frames[0]


@pytest.mark.parametrize(("network", "source"), [("rgb", "rgb"), ("grey", "rgb"), ("grey", "grey")])
def test_8_bits(folder, network, source):
    found = run(folder, f"{network}.json", f"{source}.png", "out.png")
    pixels = imagefile.read(folder / f"{source}.png").frames[0]
    np.testing.assert_array_equal(found, load(folder / f"{network}.json").apply(pixels))
    # Beside the picture a mirror.
    found = run(folder, f"{network}.json", f"{source}.png", "mirror.png", "--boundary", "reflect")
    wanted = load(folder / f"{network}.json").apply(pixels, boundary="reflect")
    np.testing.assert_array_equal(found, wanted)
    assert (wanted != load(folder / f"{network}.json").apply(pixels)).any()


def test_16_bits_and_floats(folder):
    pixels = imagefile.read(folder / "rgb.png").frames[0]
    network = load(folder / "rgb.json")
    for image in (pixels.astype(np.uint16) * 257, pixels.astype(np.float32) / 255):
        np.save(folder / "in.npy", image)
        np.testing.assert_array_equal(run(folder, "rgb.json", "in.npy", "out.npy"), network.apply(image))
    signed = run(folder, "rgb.json", "rgb.png", "signed.npy", "--depth", "f32")
    np.testing.assert_allclose(signed, network.maps(pixels) * 255, atol=1e-3)


def test_alpha_is_left_alone(folder):
    rgba = np.dstack((imagefile.read(folder / "rgb.png").frames[0], np.full((50, 70), 255, np.uint8)))
    rgba[:20, :, 3] = 0
    Image.fromarray(rgba).save(folder / "alpha.png")
    found = run(folder, "rgb.json", "alpha.png", "out.png")
    np.testing.assert_array_equal(found[..., 3], rgba[..., 3])


def test_a_photograph_in_strips_by_threads_and_jobs(folder):
    pixels = picture(folder / "large.png", (1500, 700, 3), seed=2)
    wanted = load(folder / "rgb.json").apply(pixels)
    np.testing.assert_array_equal(run(folder, "rgb.json", "large.png", "out.png", "--threads", "2"), wanted)
    cnnfilter(
        "learned", "--filter", "rgb.json", "large.png", "rgb.png", "-o", "many/", "-q", "-j", "2", cwd=folder
    )
    np.testing.assert_array_equal(imagefile.read(folder / "many/large.png").frames[0], wanted)
    explained = cnnfilter(
        "learned", "--filter", "rgb.json", "large.png", "--explain", cwd=folder
    ).stdout.decode()
    assert "window   9x7" in explained and "strips" in explained


def test_in_a_pipe_and_as_maps_and_animated(folder):
    small = picture(folder / "small.png", (6, 5, 3))
    words = (
        "pipe",
        "-q",
        "small.png",
        "-o",
        "piped.npy",
        "--depth",
        "f32",
        "--",
        "learned",
        "--filter",
        "rgb.json",
    )
    cnnfilter(*words, cwd=folder)
    wanted = load(folder / "rgb.json").maps(small) * 255
    np.testing.assert_allclose(np.load(folder / "piped.npy"), wanted, atol=1e-3)
    cnnfilter("learned", "-q", "--filter", "rgb.json", "small.png", "--maps", "maps/", cwd=folder)
    found = imagefile.read(folder / "maps/small-1.png").frames[0]
    np.testing.assert_array_equal(found, load(folder / "rgb.json").apply(small)[..., 1])
    cnnfilter("learned", "-q", "--filter", "rgb.json", "small.png", "--maps", "sheet.png", cwd=folder)
    cnnfilter("animate", "learned", "--filter", "rgb.json", "small.png", "-o", "a.gif", cwd=folder)
    at = cnnfilter("learned", "--filter", "rgb.json", "small.png", "--at", "0,0", cwd=folder).stdout.decode()
    assert f"{wanted[0, 0, 2]:.3f}"[:5] in at and "[0]" in at


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("rgb.json grey.png", 1, "grey.png: the network takes 3 channel(s), but the image has 1"),
        ("rgb.json rgb.png --stride 2", 2, "rgb.json is a network, whose layers have their own stride"),
        ("rgb.json rgb.png --padding 2", 2, "have their own padding; leave --padding out"),
        ("rgb.json rgb.png --order PDUV", 2, "rgb.json is a network; --tensor and --order"),
        ("rgb.json rgb.png --boundary renormalize", 1, "rgb.png: boundary 'renormalize'"),
        ("nothing.onnx rgb.png", 1, "nothing.onnx: "),
    ],
)
def test_what_is_refused(folder, words, status, said):
    words = words.split()
    done = cnnfilter("learned", "-o", "refused.png", "--filter", *words, status=status, cwd=folder)
    assert said in complaint(done)
    assert not os.path.exists(folder / "refused.png")


def test_without_onnx_one_line_says_how_to_install_it(folder, tmp_path):
    (tmp_path / "onnx.py").write_text("raise ImportError('no onnx')")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    words = ("learned", "--filter", "a.onnx", "rgb.png", "-o", "refused.png")
    done = cnnfilter(*words, status=1, cwd=folder, env={"PYTHONPATH": path})
    assert complaint(done) == "a.onnx: reading ONNX needs onnx: pip install 'cnnfilter[onnx]'"


class TestOnnx:
    """Where the package is installed."""

    @pytest.fixture(autouse=True)
    def models(self):
        pytest.importorskip("onnx")
        import onnxmodels

        return onnxmodels

    def test_a_model(self, folder, models):
        path = models.denoiser(3).save(folder / "net.onnx")
        found = run(folder, "net.onnx", "rgb.png", "out.png")
        np.testing.assert_array_equal(found, load(path).apply(imagefile.read(folder / "rgb.png").frames[0]))

    def test_a_size_in_the_file_is_passed_over_and_said(self, folder, models):
        models.denoiser(1, size=(224, 320)).save(folder / "sized.onnx")
        done = cnnfilter("learned", "--filter", "sized.onnx", "grey.png", "-o", "out.png", cwd=folder)
        assert b"note: the network says that pictures have 224x320 pixels" in done.stderr

    def test_bad_files(self, folder, models):
        path = models.denoiser(3).save(folder / "net.onnx")
        content = path.read_bytes()
        (folder / "cut.onnx").write_bytes(content[: len(content) // 2])
        (folder / "text.onnx").write_text("no ONNX at all")
        looped = models.Model(3)
        looped.add("Loop")
        looped.save(folder / "loop.onnx")
        said = {
            "cut": "cut.onnx: ",
            "text": "text.onnx: damaged or no ONNX file",
            "loop": "loop.onnx: operator Loop is not known: known are Add, ",
        }
        for name, beginning in said.items():
            words = ("learned", "--filter", f"{name}.onnx", "rgb.png", "-o", "refused.png")
            assert complaint(cnnfilter(*words, status=1, cwd=folder)).startswith(beginning)
