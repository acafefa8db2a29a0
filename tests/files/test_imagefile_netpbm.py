"""Netpbm and NumPy files: every header, every depth, against Pillow and by hand."""

import io
import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def frame_of(data):
    return imagefile.read(data).frames[0]


def written(picture, form):
    file = io.BytesIO()
    imagefile.write(picture, file, form=form)
    return file.getvalue()


def test_plain_text_forms():
    np.testing.assert_array_equal(
        frame_of(b"P1 # bits\n3 2\n# two rows\n0 1 0\n101"), [[255, 0, 255], [0, 255, 0]]
    )
    np.testing.assert_array_equal(frame_of(b"P2\n2 2 255\n1 2\n3 250\n"), [[1, 2], [3, 250]])
    np.testing.assert_array_equal(frame_of(b"P2\n2 1 65535\n1 60000\n"), np.array([[1, 60000]], np.uint16))
    np.testing.assert_array_equal(frame_of(b"P3 1 2 255 1 2 3 # one\n4 5 6"), [[[1, 2, 3]], [[4, 5, 6]]])


def test_bits_are_white_at_zero():
    picture = imagefile.read(b"P4\n10 2\n" + bytes([0b10101010, 0b10111111, 0, 0b00111111]))
    np.testing.assert_array_equal(picture.frames[0], [[0, 255] * 5, [255] * 10])
    assert "1-bit" in picture.notes[0]


@pytest.mark.parametrize("white", [1, 3, 15, 100, 254, 256, 1023, 4095])
def test_other_whites_are_scaled(white, rng):
    samples = rng.integers(0, white + 1, (6, 7))
    data = b"P5\n7 6\n%d\n" % white + samples.astype(">u2" if white > 255 else "u1").tobytes()
    picture = imagefile.read(data)
    full = 255 if white < 256 else 65535
    np.testing.assert_array_equal(picture.frames[0], np.rint(samples * full / white))
    assert f"white of {white}" in picture.notes[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_opencv_reads_and_writes_the_same(dtype, channels, rng):
    image = rng.integers(0, np.iinfo(dtype).max + 1, (9, 14, channels)).astype(dtype)
    form = "PGM" if channels == 1 else "PPM"
    _, data = cv2.imencode("." + form.lower(), image[..., ::-1])
    np.testing.assert_array_equal(frame_of(data.tobytes()).reshape(image.shape), image)
    picture = Picture([image.squeeze()], "grey" if channels == 1 else "rgb")
    decoded = cv2.imdecode(np.frombuffer(written(picture, form), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded.reshape(image.shape), image[..., ::-1])


def test_a_view_of_four_channels_is_written_as_three(rng):
    image = rng.integers(0, 256, (5, 6, 4), dtype=np.uint8)[..., :3]
    np.testing.assert_array_equal(frame_of(written(Picture([image], "rgb"), "PPM")), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pam(channels, dtype, rng):
    image = rng.integers(0, np.iinfo(dtype).max + 1, (4, 5, channels)).astype(dtype)
    model, alpha = ("grey", "rgb")[channels > 2], channels in (2, 4)
    picture = imagefile.read(written(Picture([image], model, alpha), "PAM"))
    np.testing.assert_array_equal(picture.frames[0].reshape(image.shape), image)
    assert (picture.model, picture.alpha, picture.dtype) == (model, alpha, dtype)


@pytest.mark.parametrize("channels", [1, 3])
def test_pfm_goes_from_bottom_to_top(channels, rng):
    image = rng.normal(size=(4, 5, channels)).astype(np.float32)
    data = written(Picture([image.squeeze()], "grey" if channels == 1 else "rgb"), "PFM")
    np.testing.assert_array_equal(frame_of(data).reshape(image.shape), image)
    big = b"P%s\n5 4\n1.0\n" % (b"f" if channels == 1 else b"F") + image[::-1].astype(">f4").tobytes()
    np.testing.assert_array_equal(frame_of(big).reshape(image.shape), image)
    _, witness = cv2.imencode(".pfm", image[..., ::-1])
    np.testing.assert_array_equal(frame_of(witness.tobytes()).reshape(image.shape), image)


@pytest.mark.parametrize(
    "data",
    [
        b"P5",
        b"P5\n3",
        b"P5\n3 3\n255",
        b"P5\n3 3\n255\n12345678",
        b"P5\n0 3\n255\n",
        b"P5\n3 -3\n255\n",
        b"P5\n3 3\n0\n123456789",
        b"P5\n3 3\n70000\n123456789",
        b"P5\n2 2\n10\n\x0b\x01\x02\x03",
        b"P2\n2 2\n255\n1 2 3",
        b"P2\n2 2\n255\n1 2 3 x",
        b"P1\n2 2\n011",
        b"P4\n9 2\nabc",
        b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 9\nMAXVAL 255\nENDHDR\n" + bytes(36),
        b"P7\nWIDTH 2\nHEIGHT 2\nMAXVAL 255\nENDHDR\n" + bytes(36),
        b"Pf\n3 3\n-1.0\n1234",
        b"P6\n99999 99999\n255\n",
        b"P2\n2 1\n255\n1 256",
        b"P3\n1 1\n255\n300 1 1",
        b"P3\n1 1\n65535\n70000 1 1",
        b"P2\n2 1\n255\n1 -2",
        b"P2\n2 1\n255\n1 2e1",
        b"P2\n2 1\n255\n1 00000000000000000002",
        b"P2\n1 1\n255\n1\nP2\n1 1\n255\n2",
        b"P1\n2 2\n0 1 x 1 0",
        b"P1\n2 2\n0 1 2 1 0",
        b"P5\n" + b"9" * 5000 + b" 1\n255\n1",
        b"Pf\n1 1\nx\n1234",
        b"P7\nWIDTH x\nHEIGHT 2\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + bytes(36),
        b"P7\nA" + b" " * 65000,
        b"P7\n" + b"A \n" * 20000,
        b"P5" + b"#" * 65000,
        b"P5" + b" #\n" * 20000,
    ],
)
def test_bad_netpbm_files_are_refused(data):
    with pytest.raises(ImageFileError, match="<bytes>: "):
        imagefile.read(data)


@pytest.mark.parametrize("form", ["PPM", "PGM", "PAM", "PBM"])
def test_all_images_of_a_file_are_read_and_written(form, rng):
    shapes = [(4, 5), (7, 3), (4, 5)] if form in ("PGM", "PBM") else [(4, 5, 3), (7, 3, 3), (4, 5, 3)]
    images = [rng.choice(np.array([0, 255], np.uint8), shape) for shape in shapes]
    data = b"".join(written(Picture([image], "grey" if image.ndim == 2 else "rgb"), form) for image in images)
    picture = imagefile.read(data)
    assert (picture.delays, picture.losses) == ([], [])
    for frame, image in zip(picture.frames, images, strict=True):
        np.testing.assert_array_equal(frame, image)
    assert written(picture, form) == data
    with pytest.raises(ImageFileError, match="more than the limit"):
        imagefile.read(data, max_pixels=60)


def test_what_follows_the_images_is_told():
    assert imagefile.read(b"P5 1 1 255\na\n").losses == []
    assert imagefile.read(b"P5 1 1 255\nabc").losses == ["2 bytes that follow the image are left out"]
    assert imagefile.read(b"P2 1 1 255\n1 2 3").losses == ["2 numbers that follow the image are left out"]


def test_plain_numbers_of_every_length(rng):
    image = rng.integers(0, 65536, (17, 9, 3)) >> rng.integers(0, 16, (17, 9, 3))
    words = [b"0" * (k % 3) + b"%d" % value for k, value in enumerate(image.ravel())]
    np.testing.assert_array_equal(frame_of(b"P3 9 17 #\n65535 " + b" \n#c 9 x\n".join(words)), image)


def test_bits_are_written(rng):
    image = rng.choice(np.array([0, 255], np.uint8), (5, 19))
    data = written(Picture([image]), "PBM")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("L")), image)
    with pytest.raises(ImageFileError, match=r"black and white alone.*\.pgm"):
        written(Picture([image // 2]), "PBM")


def test_text_of_an_image_takes_memory_in_proportion():
    data = b"P2 1000 1000 255\n" + b"7 " * 1_000_000
    tracemalloc.start()
    imagefile.read(data)
    assert tracemalloc.get_traced_memory()[1] < 30 * len(data)
    tracemalloc.stop()


class TestNpy:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", ">u2", ">f4"])
    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 6), (4, 3, 1)])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_arrays_come_back(self, dtype, shape, order, rng, tmp_path):
        image = np.asarray(rng.integers(0, 100, shape).astype(dtype), order=order)
        path = tmp_path / "image.npy"
        np.save(path, image)
        picture = imagefile.read(path)
        np.testing.assert_array_equal(picture.frames[0], image)
        assert picture.dtype.isnative
        assert picture.frames[0].flags.c_contiguous
        imagefile.write(picture, path)
        np.testing.assert_array_equal(np.load(path), image)

    def test_an_array_of_objects_is_not_unpickled(self, tmp_path):
        path = tmp_path / "objects.npy"
        np.save(path, np.array([[{}]], object), allow_pickle=True)
        with pytest.raises(ImageFileError, match="array of object; convert"):
            imagefile.read(path)

    @pytest.mark.parametrize(
        "array", [np.array(5.0), np.zeros((2, 2, 2, 2)), np.zeros((0, 3)), np.zeros((2, 2), int)]
    )
    def test_what_is_no_image(self, array, tmp_path):
        path = tmp_path / "array.npy"
        np.save(path, array)
        with pytest.raises(ImageFileError, match="array of"):
            imagefile.read(path)

    def test_a_header_that_promises_too_much(self):
        for shape, said in (
            ((20_000, 20_000), "truncated"),
            ((10**9, 10**9), "more than"),
            ((9000, 9000, 99), "of 792 bytes are more"),
        ):
            file = io.BytesIO()
            header = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            with pytest.raises(ImageFileError, match=said):
                imagefile.read(file.getvalue() + bytes(100))

    def test_every_truncation_is_found(self):
        file = io.BytesIO()
        np.save(file, np.arange(12.0).reshape(3, 4))
        data = file.getvalue()
        for length in range(6, len(data)):
            with pytest.raises(ImageFileError, match="truncated"):
                imagefile.read(data[:length])

    @pytest.mark.parametrize(("version", "known"), [((2, 0), True), ((3, 0), True), ((9, 0), False)])
    def test_versions(self, version, known):
        file = io.BytesIO()
        np.lib.format.write_array(file, np.full((2, 3), 7, np.uint8), min(version, (3, 0)))
        data = file.getvalue()[:6] + bytes(version) + file.getvalue()[8:]
        if known:
            assert imagefile.read(data).frames[0].tolist() == [[7, 7, 7]] * 2
        else:
            with pytest.raises(ImageFileError, match=r"NPY file \(not an .npy file of version 1.0 to 3.0"):
                imagefile.read(data)

    @pytest.mark.parametrize("axes", ["NHWC", "NCHW", "CHW", "NHW", "HW", "WH", "HWC", "W", "NW", "CNWH"])
    def test_axes(self, axes, rng, tmp_path):
        sizes = {"N": 2, "H": 4, "W": 5, "C": 3}
        array = rng.integers(0, 256, [sizes[axis] for axis in axes], dtype=np.uint8)
        np.save(tmp_path / "a.npy", array)
        picture = imagefile.read(tmp_path / "a.npy", axes=axes)
        assert len(picture.frames) == (2 if "N" in axes else 1)
        assert picture.frames[0].shape[:2] == (4 if "H" in axes else 1, 5)
        assert (picture.model, picture.losses) == ("rgb" if "C" in axes else "grey", [])
        place = [0 if axis == "N" else slice(None) for axis in axes]
        letters = [axis for axis in axes if axis != "N"]
        first = array[tuple(place)].transpose([letters.index(axis) for axis in "HWC" if axis in letters])
        np.testing.assert_array_equal(picture.frames[0].reshape(first.shape), first)
        imagefile.write(picture, tmp_path / "b.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), array)
        picture.frames = [frame[:, ::2] for frame in picture.frames]
        imagefile.write(picture, tmp_path / "b.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.take(array, [0, 2, 4], axes.index("W")))

    def test_a_signal_is_one_row(self, rng, tmp_path):
        signal = rng.normal(size=50)
        np.save(tmp_path / "a.npy", signal)
        picture = imagefile.read(tmp_path / "a.npy")
        np.testing.assert_array_equal(picture.frames[0], signal[None])
        imagefile.write(picture, tmp_path / "b.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), signal)

    def test_many_channels_are_told(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros((12, 8, 9), np.uint8))
        told = "taken for 12x8 pixels of 9 channels; --axes NHW takes 12 images"
        assert imagefile.read(tmp_path / "a.npy").losses == [told]

    def test_axes_that_do_not_fit(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros((2, 3, 4, 5), np.uint8))
        for axes in (None, "NHW"):
            with pytest.raises(ImageFileError, match="--axes NHWC names the axes"):
                imagefile.read(tmp_path / "a.npy", axes=axes)
