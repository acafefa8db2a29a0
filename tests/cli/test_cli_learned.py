"""The command learned, as a process: every form of filter on every form of pixels; maps; bad files."""

import json
import struct
import zipfile

import numpy as np
import pytest
from commandline import cnnfilter, complaint, names, pixels
from PIL import Image
from scipy import ndimage
from skimage import data

from cnnfilter import files as imagefile
from cnnfilter.files.weightsfile import write_tensors
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter

PHOTO = data.astronaut()[:90, 100:220]
RNG = np.random.default_rng(0)
BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16


def one_kernel(bias):
    return LearnedFilter((ConvolutionLayer(BLUR[None, None], np.array([bias])),), each_channel=True)


def stack(inputs, each_channel=False):
    rng = np.random.default_rng(1)
    shapes = [(5, inputs, 3, 3), (inputs, 5, 3, 5)]
    layers = tuple(
        ConvolutionLayer(
            0.3 * rng.standard_normal(shape, np.float32), np.full(shape[0], 0.05, np.float32), name
        )
        for shape, name in zip(shapes, ("relu", "identity"), strict=True)
    )
    return LearnedFilter(layers, each_channel, residual=True)


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    one_kernel(0.1).save(folder / "bias.json")
    one_kernel(0.0).save(folder / "blur.json")
    stack(1, each_channel=True).save(folder / "shared.safetensors")
    stack(3).save(folder / "mixed.safetensors")
    return folder


def blurred(image, scale=1.0):
    planes = image.reshape(*image.shape[:2], -1).astype(float) / scale
    out = np.stack([ndimage.correlate(plane, BLUR, mode="mirror") for plane in np.moveaxis(planes, 2, 0)], -1)
    return out.reshape(image.shape)


def run(filters, name, source, target, *options):
    cnnfilter("learned", "--filter", filters / name, source, "-o", target, *options)
    return imagefile.read(target).frames[0]


class TestBias:
    """A bias is added by every way that pixels can take."""

    def test_8_and_16_bits_and_grey(self, filters, tmp_path):
        for image in (PHOTO, PHOTO[..., 1], PHOTO[..., 1].astype(np.uint16) * 257):
            white = np.iinfo(image.dtype).max
            np.save(tmp_path / "in.npy", image)
            found = run(filters, "bias.json", tmp_path / "in.npy", tmp_path / "out.npy")
            exact = (blurred(image, white) + 0.1) * white
            assert found.dtype == image.dtype
            assert np.abs(found - np.clip(exact, 0, white)).max() <= 0.51

    def test_floats(self, filters, tmp_path):
        image = PHOTO.astype(np.float32) / 255
        imagefile.write(imagefile.Picture([image], model="rgb"), tmp_path / "in.tif")
        found = run(filters, "bias.json", tmp_path / "in.tif", tmp_path / "out.tif")
        np.testing.assert_allclose(found, blurred(image) + 0.1, atol=1e-6)
        Image.fromarray(PHOTO).save(tmp_path / "in.png")
        found = run(filters, "bias.json", tmp_path / "in.png", tmp_path / "out.npy", "--depth", "f32")
        np.testing.assert_allclose(found, blurred(PHOTO) + 25.5, atol=1e-3)

    def test_alpha(self, filters, tmp_path):
        alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
        alpha[:, 60:] = 0
        image = np.dstack((PHOTO, alpha))
        image[:, 60:, :3] = (255, 0, 255)  # must not be seen
        Image.fromarray(image).save(tmp_path / "in.png")
        with_bias = run(filters, "bias.json", tmp_path / "in.png", tmp_path / "out.png").astype(int)
        without = run(filters, "blur.json", tmp_path / "in.png", tmp_path / "out.png").astype(int)
        np.testing.assert_array_equal(with_bias[..., 3], without[..., 3])
        seen = with_bias[..., 3] > 0
        expected = np.clip(without[..., :3] + 25.5, 0, 255)
        assert np.abs(with_bias[..., :3] - expected)[seen].max() <= 1

    def test_linear_light(self, filters, tmp_path):
        Image.fromarray(PHOTO).save(tmp_path / "in.png")
        found = run(filters, "bias.json", tmp_path / "in.png", tmp_path / "out.png", "--linear")
        light = np.where(PHOTO <= 0.04045 * 255, PHOTO / 255 / 12.92, ((PHOTO / 255 + 0.055) / 1.055) ** 2.4)
        exact = blurred(light) + 0.1
        coded = np.where(exact <= 0.0031308, exact * 12.92, 1.055 * exact ** (1 / 2.4) - 0.055) * 255
        assert np.abs(found - np.clip(coded, 0, 255)).max() <= 0.51

    def test_within_a_pipe(self, filters, tmp_path):
        Image.fromarray(PHOTO).save(tmp_path / "in.png")
        target = tmp_path / "out.png"
        bias = f"learned --filter {filters / 'bias.json'}".split()
        cnnfilter("pipe", tmp_path / "in.png", "-o", target, "--", *bias, "then", *bias)
        once = np.clip(blurred(PHOTO) + 25.5, 0, 255)
        assert np.abs(pixels(target) - np.clip(blurred(once) + 25.5, 0, 255)).max() <= 0.51

    def test_the_plan(self, filters):
        plan = cnnfilter("learned", "--filter", filters / "bias.json", "--explain").stdout.decode()
        assert "separable" in plan or "direct" in plan


class TestLayers:
    def test_what_the_shell_gives_is_what_the_class_gives(self, filters, tmp_path):
        for name in ("shared.safetensors", "mixed.safetensors"):
            learned = LearnedFilter.load(filters / name)
            for image in (PHOTO, PHOTO.astype(np.uint16) * 257, PHOTO.astype(np.float32) / 255):
                np.save(tmp_path / "in.npy", image)
                found = run(filters, name, tmp_path / "in.npy", tmp_path / "out.npy")
                wanted = learned.apply(image).astype(float)
                assert found.dtype == image.dtype
                tolerance = 1e-5 if image.dtype == np.float32 else 1  # at ties
                assert np.abs(found - wanted).max() <= tolerance

    def test_strips_of_a_large_image_equal_the_whole(self, filters, tmp_path):
        image = np.tile(data.camera(), (4, 2))[:1900, :1000]
        np.save(tmp_path / "in.npy", image)
        found = run(
            filters, "shared.safetensors", tmp_path / "in.npy", tmp_path / "out.npy", "--depth", "f32"
        )
        learned = LearnedFilter.load(filters / "shared.safetensors")
        whole = learned.maps(image, strip=10_000)[..., 0] * 255
        np.testing.assert_allclose(found, whole, atol=2e-3)

    def test_what_mends_a_picture_does_not_advise_to_stretch_it(self, tmp_path):
        pixels = np.where(RNG.random((90, 120, 3)) < 0.5, 0, 255).astype(np.uint8)
        imagefile.write(imagefile.Picture([pixels], model="rgb"), tmp_path / "in.png")
        done = cnnfilter(
            "learned", "--filter", "deblur", tmp_path / "in.png", "-o", tmp_path / "out.png", "-v"
        )
        told = done.stderr.decode()
        clipped = int(told.split(" values clipped")[0].split()[-1])
        assert clipped > pixels.size / 100 and "--range" not in told

    def test_layers_in_linear_light_are_told(self, tmp_path):
        imagefile.write(imagefile.Picture([PHOTO], model="rgb"), tmp_path / "in.png")
        given = "learned", "--filter", "denoise-fast", tmp_path / "in.png", "-o", tmp_path / "out.png"
        for options, said in (((), False), (("--linear",), True)):
            told = cnnfilter(*given, *options).stderr.decode()
            assert ("have learned on values as they are coded" in told) == said

    def test_alpha_is_kept_and_hidden_colours_play_no_part(self, filters, tmp_path):
        alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
        alpha[30:60, 40:80] = 0
        alpha[60:70, 40:80] = 128
        results = []
        for hidden in (0, 255):
            colours = np.where(alpha[..., None] == 0, np.uint8(hidden), PHOTO)
            Image.fromarray(np.dstack((colours, alpha))).save(tmp_path / "in.png")
            results.append(run(filters, "mixed.safetensors", tmp_path / "in.png", tmp_path / "out.png"))
        np.testing.assert_array_equal(*results)
        np.testing.assert_array_equal(results[0][..., 3], alpha)
        opaque = LearnedFilter.load(filters / "mixed.safetensors").apply(PHOTO).astype(int)
        far = ndimage.binary_erosion(alpha == 255, np.ones((9, 9)), border_value=1)
        assert np.abs(results[0][..., :3] - opaque)[far].max() <= 1

    def test_linear_light_and_pipes_keep_the_scale(self, filters, tmp_path):
        Image.fromarray(PHOTO).save(tmp_path / "in.png")
        name = filters / "shared.safetensors"
        cnnfilter("pipe", tmp_path / "in.png", "-o", tmp_path / "p.png",
                  "--", "mean", "--size", "1", "then", "learned", "--filter", name)  # fmt: skip
        alone = run(filters, "shared.safetensors", tmp_path / "in.png", tmp_path / "out.png")
        assert np.abs(pixels(tmp_path / "p.png").astype(int) - alone).max() <= 1
        light = run(filters, "shared.safetensors", tmp_path / "in.png", tmp_path / "l.png", "--linear")
        assert np.abs(light.astype(int) - alone).mean() < 40

    @pytest.mark.parametrize("name", ["bias.json", "mixed.safetensors"])
    @pytest.mark.parametrize("height", [90, 2000])
    def test_stride_and_padding(self, filters, tmp_path, name, height):
        image = np.tile(PHOTO, (25, 5, 1))[:height]
        np.save(tmp_path / "in.npy", image)
        options = ("--depth", "f32", "--boundary", "edge")
        (top, bottom), (left, right) = LearnedFilter.load(filters / name).reach
        same = run(filters, name, tmp_path / "in.npy", tmp_path / "out.npy", *options)
        found = run(filters, name, tmp_path / "in.npy", tmp_path / "out.npy", *options, "--stride", "3x2")
        np.testing.assert_allclose(found, same[::3, ::2], atol=2e-3)
        found = run(filters, name, tmp_path / "in.npy", tmp_path / "out.npy", *options, "--padding", "narrow")
        np.testing.assert_allclose(found, same[top:-bottom, left:-right], atol=2e-3)
        plan = cnnfilter("learned", "--filter", filters / name, tmp_path / "in.npy", "--padding", "narrow",
                         "--explain", "--json").stdout  # fmt: skip
        assert tuple(json.loads(plan)["filters"][0]["output_shape"]) == found.shape

    def test_transparency_and_another_size(self, filters, tmp_path):
        Image.fromarray(np.dstack((PHOTO, np.full(PHOTO.shape[:2], 200, np.uint8)))).save(tmp_path / "in.png")
        process = cnnfilter("learned", "--filter", filters / "mixed.safetensors", tmp_path / "in.png",
                            "-o", tmp_path / "o.png", "--stride", 2, status=1)  # fmt: skip
        assert "leave stride and padding out, or give a picture without transparency" in complaint(process)
        assert run(filters, "bias.json", tmp_path / "in.png", tmp_path / "o.png", "--stride", 2).shape == (
            45,
            60,
            4,
        )

    def test_frames_palettes_and_cmyk(self, filters, tmp_path):
        frames = [Image.fromarray(PHOTO[k:, :].copy()[:60]).quantize(64) for k in (0, 10, 20)]
        frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=50)
        cnnfilter("learned", "--filter", filters / "mixed.safetensors", tmp_path / "in.gif",
                  "-o", tmp_path / "out.gif")  # fmt: skip
        with Image.open(tmp_path / "out.gif") as moving:
            assert moving.n_frames == 3
        Image.fromarray(PHOTO).convert("CMYK").save(tmp_path / "in.jpg")
        found = run(filters, "shared.safetensors", tmp_path / "in.jpg", tmp_path / "out.jpg")
        assert found.shape == (*PHOTO.shape[:2], 4)
        process = cnnfilter("learned", "--filter", filters / "mixed.safetensors", tmp_path / "in.jpg",
                            "-o", tmp_path / "no.jpg", status=1)  # fmt: skip
        assert "takes 3 channel(s), but the image has 4" in complaint(process)
        assert not (tmp_path / "no.jpg").exists()

    @pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3)])
    def test_small_images(self, filters, tmp_path, shape):
        image = RNG.integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / "in.png")
        wide = LearnedFilter((ConvolutionLayer(np.full((1, 1, 31, 31), 1 / 961), np.array([0.1])),), True)
        wide.save(tmp_path / "wide.json")
        for path in (filters / "bias.json", filters / "mixed.safetensors", tmp_path / "wide.json"):
            found = run(filters, path, tmp_path / "in.png", tmp_path / "out.png")
            wanted = LearnedFilter.load(path).apply(image).astype(int)
            assert np.abs(found.reshape(image.shape) - wanted).max() <= 1

    def test_the_plan(self, filters, tmp_path):
        plan = cnnfilter("learned", "--filter", filters / "mixed.safetensors", "--explain").stdout.decode()
        assert "layer    3x3, 3 to 5, relu" in plan and "reach    ((2, 2), (3, 3))" in plan


class TestBanks:
    @pytest.fixture
    def banks(self, tmp_path):
        bank = RNG.standard_normal((3, 3, 3, 6)).astype(np.float32)  # U, V, D, P
        np.save(tmp_path / "bank.npy", bank)
        np.savez(tmp_path / "bank.npz", first=bank, second=bank[..., :3] / 9)
        write_tensors(tmp_path / "bank.safetensors", {"conv1.weight": bank.transpose(3, 2, 0, 1).copy(),
                                                       "conv1.bias": np.zeros(6, np.float32)})  # fmt: skip
        Image.fromarray(PHOTO).save(tmp_path / "in.png")
        return tmp_path

    def test_every_form_gives_the_same_maps(self, banks):
        bank = np.load(banks / "bank.npy")
        planes = [PHOTO[..., d].astype(float) for d in range(3)]
        exact = [
            sum(ndimage.correlate(planes[d], bank[..., d, p], mode="mirror") for d in range(3))
            for p in range(6)
        ]
        for name, *options in (
            ("bank.npy",), ("bank.npz", "--tensor", "first"), ("bank.safetensors",),
            ("bank.safetensors", "--tensor", "conv1.weight", "--order", "pduv"),
        ):  # fmt: skip
            found = run(banks, name, banks / "in.png", banks / "out.npy", "--depth", "f32", *options)
            np.testing.assert_allclose(found, np.stack(exact, -1), atol=2e-3)

    def test_three_maps_are_an_image_and_six_are_not(self, banks):
        found = run(banks, "bank.npz", banks / "in.png", banks / "out.png", "--tensor", "second")
        assert found.shape == PHOTO.shape
        process = cnnfilter("learned", "--filter", banks / "bank.npy", banks / "in.png",
                            "-o", banks / "no.png", status=1)  # fmt: skip
        assert "no image of 6 channels; write .tif or .npy" in complaint(process)

    def test_a_sheet_of_all_maps(self, banks):
        before = names(banks)
        process = cnnfilter("learned", "--filter", banks / "bank.npy", banks / "in.png",
                            "--maps", banks / "sheet.png", "--json")  # fmt: skip
        assert json.loads(process.stdout)["maps"] == 6
        assert names(banks) == sorted([*before, "sheet.png"])
        sheet = pixels(banks / "sheet.png")
        assert sheet.shape[0] > 2 * 90 and sheet.shape[1] > 3 * 120
        assert len(np.unique(sheet[..., 0])) > 100
        piped = cnnfilter("learned", "--filter", banks / "bank.npy", "--maps", banks / "sheet.svg",
                          input=(banks / "in.png").read_bytes())  # fmt: skip
        assert piped.returncode == 0 and b"<svg" in (banks / "sheet.svg").read_bytes()

    def test_a_file_for_each_map(self, banks):
        command = [
            "learned",
            "--filter",
            banks / "bank.npy",
            banks / "in.png",
            "--maps",
            f"{banks / 'maps'}/",
        ]
        cnnfilter(*command, "--range", "offset")
        assert names(banks / "maps") == [f"in-{k}.png" for k in range(6)]
        whole = run(banks, "bank.npy", banks / "in.png", banks / "out.npy", "--depth", "f32")
        expected = np.clip(whole[..., 4] + 128, 0, 255)
        assert np.abs(pixels(banks / "maps" / "in-4.png") - expected).max() <= 0.51
        assert "exists already" in complaint(cnnfilter(*command, status=1))
        cnnfilter(*command, "--overwrite", "--depth", "f32", "--format", "npy")
        np.testing.assert_allclose(np.load(banks / "maps" / "in-4.npy"), whole[..., 4], atol=1e-3)

    def test_maps_of_an_image_with_alpha(self, banks):
        Image.fromarray(np.dstack((PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)))).save(banks / "a.png")
        cnnfilter("learned", "--filter", banks / "bank.npy", banks / "a.png", "--maps", f"{banks / 'm'}/",
                  "--format", "npy", "--depth", "f32")  # fmt: skip
        cnnfilter("learned", "--filter", banks / "bank.npy", banks / "in.png", "--maps", f"{banks / 'm'}/",
                  "--format", "npy", "--depth", "f32")  # fmt: skip
        assert len(names(banks / "m")) == 12
        np.testing.assert_allclose(
            np.load(banks / "m" / "a-5.npy"), np.load(banks / "m" / "in-5.npy"), atol=1e-3
        )

    @pytest.mark.parametrize(
        ("options", "status", "said"),
        [
            (["bank.npz", "in.png", "-o", "o.png"], 1, "name one of first (3, 3, 3, 6), second (3, 3, 3, 3)"),
            (["bank.npz", "--tensor", "x", "in.png", "-o", "o.png"], 1, "no tensor is named 'x'"),
            (["bank.npy", "grey.png", "-o", "o.png"], 1, "takes 3 channel(s), but the image has 1"),
            (["bank.npy", "grey.png", "--maps", "o.png"], 1, "takes 3 channel(s), but the image has 1"),
            (["bank.npy", "in.png", "--maps", "o.png", "-o", "p.png"], 2, "does not go with --output"),
            (["bank.npy", "in.png", "grey.png", "--maps", "o.png"], 2, "several images need a folder"),
            (["bank.npy", "in.png", "--maps", "o.jpg"], 2, "a sheet is .png, .pdf or .svg"),
            (["bank.npy", "in.png", "--order", "DPUV", "-o", "o.png"], 2, "'DPUV'"),
            (["bank.npy", "no.png", "--maps", "o.png"], 1, "no such file"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit(self, banks, options, status, said):
        Image.fromarray(PHOTO[..., 0]).save(banks / "grey.png")
        before = names(banks)
        process = cnnfilter("learned", "--filter", *options, cwd=banks, status=status)
        assert said in complaint(process).lower() or said in complaint(process)
        assert names(banks) == before


def safetensors(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(begin, end, shape):
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def bomb(path):
    """Write a small archive that claims 4 GiB of zeros."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as f,
    ):
        np.lib.format.write_array_header_1_0(
            f, {"descr": "<f4", "fortran_order": False, "shape": (1024, 1024, 1024)}
        )
        for _ in range(33):
            f.write(bytes(1 << 20))


def pickled(path):
    np.save(path, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)


def flipped(path):
    stack(3).save(path)
    raw = bytearray(path.read_bytes())
    path.write_bytes(raw[: len(raw) // 2])


HOSTILE = {
    "huge header": ("f.safetensors", struct.pack("<Q", 1 << 62) + b"{}", "its header would be"),
    "header beyond the file": ("f.safetensors", struct.pack("<Q", 500) + b"{" * 100, "its header would be"),
    "overlap": (
        "f.safetensors",
        safetensors({"a": entry(0, 36, [1, 1, 3, 3]), "b": entry(4, 40, [1, 1, 3, 3])}, bytes(40)),
        "lies at bytes 4 to 40",
    ),
    "beyond the end": (
        "f.safetensors",
        safetensors({"a": entry(0, 36, [1, 1, 3, 3])}, bytes(8)),
        "8 are there",
    ),
    "deep": ("f.safetensors", safetensors(b'{"a":' + b"[" * 200_000), "f.safetensors:"),
    "not a filter": ("f.safetensors", b"\xff" * 100, "f.safetensors:"),
    "empty": ("f.safetensors", b"", "too few"),
    "truncated": ("f.safetensors", flipped, "f.safetensors:"),
    "npz bomb": ("f.npz", bomb, "f.npz:"),
    "pickle": ("f.npy", pickled, "array of object is refused"),
    "unknown suffix": ("f.pth", b"PK\x03\x04junk", "f.pth:"),
    "NaN": ("f.json", b'{"cnnfilter": "kernel", "version": 1, "weights": [[NaN]]}', "not a number"),
    "another version": ("f.json", b'{"cnnfilter": "kernel", "version": 9, "weights": [[1]]}', "version 9"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_filters_are_refused(tmp_path, case):
    name, content, said = HOSTILE[case]
    path = tmp_path / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    Image.fromarray(PHOTO).save(tmp_path / "in.png")
    process = cnnfilter("learned", "--filter", path, tmp_path / "in.png", "-o", tmp_path / "o.png", status=1)
    assert said in complaint(process)
    assert names(tmp_path) == sorted([name, "in.png"])
