"""HEIC, EXR and FITS, whose libraries are extras: what is read, written, and said to be lost."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

import cnnfilter
from cnnfilter import filter_files
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Metadata, Picture, form_of_bytes, read, write
from cnnfilter.files.extra import LIBRARIES, is_installed

HEADS = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "EXR": b"\x76\x2f\x31\x01\2\0\0\0",
    "FITS": b"SIMPLE  =                    T",
}


def needs(form):
    return pytest.mark.skipif(not is_installed(form), reason=f"{LIBRARIES[form]} is not installed")


def written(picture, form, **options):
    file = io.BytesIO()
    write(picture, file, form=form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def smooth():
    rows, columns = np.mgrid[:48, :64]
    return np.dstack([rows * 5, columns * 4, 255 - rows * 2 - columns]).astype(np.uint8)


@pytest.mark.parametrize("form", LIBRARIES)
def test_without_the_library_one_line_says_how_to_install_it(form, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, LIBRARIES[form], None)
    with pytest.raises(ImageFileError, match=rf"pip install 'cnnfilter\[{form.lower()}\]'$"):
        read(HEADS[form] + bytes(100), name="a")
    frame = np.zeros((3, 4), np.float32 if form == "EXR" else np.uint8)
    with pytest.raises(ImageFileError, match=rf"pip install 'cnnfilter\[{form.lower()}\]'$"):
        written(Picture([frame]), form)


def test_brands_tell_avif_and_heic_apart():
    assert form_of_bytes(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert form_of_bytes(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == "HEIC"
    assert form_of_bytes(b"\0\0\0\x1cftypisom\0\0\0\0isomiso2avc1mp41") is None


@needs("HEIC")
class TestHeic:
    def test_what_pillow_heif_wrote(self, smooth, tmp_path):
        import pillow_heif

        exif = Image.Exif()
        exif[274], exif[271] = 1, "maker"
        path = tmp_path / "a.heic"
        image = pillow_heif.from_pillow(Image.fromarray(smooth))
        image.save(path, quality=95, exif=exif.tobytes(), xmp=b"<x/>", icc_profile=b"profile" * 20)
        picture = read(path)
        assert picture.model == "rgb" and picture.form == "HEIC" and not picture.losses
        assert np.abs(picture.frames[0].astype(int) - smooth).mean() < 3
        kept = picture.metadata
        assert kept.icc == b"profile" * 20 and kept.xmp == b"<x/>" and b"maker" in kept.exif

    def test_10_bits_become_16(self, smooth, tmp_path):
        import pillow_heif

        deep = smooth.astype(np.uint16) * 257
        image = pillow_heif.from_bytes("RGB;16", (64, 48), deep.tobytes())
        image.save(tmp_path / "a.heic", quality=-1, chroma=444)
        picture = read(tmp_path / "a.heic")
        frame = read(written(picture, "HEIC", quality=95)).frames[0]
        assert np.abs(frame.astype(int) - picture.frames[0]).mean() < 900
        frame = picture.frames[0]
        assert frame.dtype == np.uint16 and np.abs(frame.astype(int) - deep).mean() < 600

    def test_further_pictures_are_told(self, smooth, tmp_path):
        import pillow_heif

        images = pillow_heif.from_pillow(Image.fromarray(smooth))
        images.add_from_pillow(Image.fromarray(smooth[::-1]))
        images.save(tmp_path / "a.heic")
        assert read(tmp_path / "a.heic").losses == ["all but the primary picture of a HEIC file are left out"]

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_round_trip(self, smooth, channels):
        frame = np.dstack([smooth, smooth[..., :1]])[..., :channels]
        frame = frame if channels > 1 else frame[..., 0]
        kept = Metadata(icc=b"profile" * 20, xmp=b"<x/>")
        picture = Picture([frame], "rgb" if channels > 1 else "grey", channels == 4, metadata=kept)
        again = read(written(picture, "HEIC", quality=95))
        assert (
            again.alpha == picture.alpha and again.metadata.icc == kept.icc and again.metadata.xmp == kept.xmp
        )
        found = again.frames[0] if channels > 1 or again.frames[0].ndim == 2 else again.frames[0][..., 0]
        assert (
            np.abs(found.astype(int) - (frame if found.ndim == frame.ndim else frame[..., None])).mean() < 3
        )

    def test_damage(self, smooth):
        data = written(Picture([smooth], "rgb"), "HEIC")
        with pytest.raises(ImageFileError, match="damaged HEIC file"):
            read(data[: len(data) // 2])

    @pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
    def test_an_orientation_in_xmp_does_not_turn_the_result_once_more(self, orientation, smooth, tmp_path):
        import pillow_heif

        xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="{orientation}"/></x:xmpmeta>'
        exif = Image.Exif()
        exif[274] = orientation
        made = pillow_heif.from_pillow(Image.fromarray(smooth))
        made.save(tmp_path / "a.heic", quality=95, xmp=xmp.encode(), exif=exif.tobytes())
        (done,) = filter_files(tmp_path / "a.heic", tmp_path / "b.heic", "convolve --kernel identity:1")
        before, after = (read(path).frames[0].astype(int) for path in (tmp_path / "a.heic", done.output))
        assert before.shape == after.shape and np.abs(before - after).mean() < 3
        assert b'tiff:Orientation="1"' in read(done.output).metadata.xmp


def subsampled_exr(planes, **more):
    """Lay out an EXR by hand, for its library writes no channels that are smaller than others."""
    height, width = max(plane.shape for plane in planes.values())
    steps = {name: height // len(plane) for name, plane in planes.items()}
    channels = b"".join(
        name.encode() + b"\0" + struct.pack("<LLLL", 2, 0, step, step) for name, step in steps.items()
    )
    window = struct.pack("<4l", 0, 0, width - 1, height - 1)
    attributes = {
        "channels": ("chlist", channels + b"\0"), "compression": ("compression", b"\0"),
        "dataWindow": ("box2i", window), "displayWindow": ("box2i", window),
        "lineOrder": ("lineOrder", b"\0"), "pixelAspectRatio": ("float", struct.pack("<f", 1)),
        "screenWindowCenter": ("v2f", bytes(8)), "screenWindowWidth": ("float", struct.pack("<f", 1)),
        **{name: (name, value) for name, value in more.items()},
    }  # fmt: skip
    head = b"\x76\x2f\x31\x01\2\0\0\0"
    for name, (kind, value) in attributes.items():
        head += f"{name}\0{kind}\0".encode() + len(value).to_bytes(4, "little") + value
    lines = []
    for y in range(height):
        parts = [planes[name][y // step].tobytes() for name, step in steps.items() if y % step == 0]
        lines.append(struct.pack("<LL", y, len(b"".join(parts))) + b"".join(parts))
    starts = np.cumsum([len(head) + 1 + 8 * height, *map(len, lines[:-1])]).astype("<u8")
    return head + b"\0" + starts.tobytes() + b"".join(lines)


@needs("EXR")
class TestExr:
    def file(self, path, planes, header=None):
        import OpenEXR

        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **(header or {})}
        with OpenEXR.File(header, planes) as made:
            made.write(str(path))
        return path

    def test_half_and_alpha(self, tmp_path):
        colours = np.random.default_rng(0).random((3, 5, 7)).astype(np.float16)
        planes = dict(zip("RGB", colours, strict=True)) | {"A": np.full((5, 7), 0.5, np.float16)}
        picture = read(self.file(tmp_path / "a.exr", planes))
        assert picture.alpha and picture.dtype == np.float32 and not picture.losses
        np.testing.assert_array_equal(
            picture.frames[0][..., :3], np.moveaxis(colours, 0, 2).astype(np.float32) * 2
        )

    def test_what_is_left_out_is_told(self, tmp_path):
        planes = {name: np.ones((4, 6), np.float32) for name in ("R", "G", "B", "Z", "left.R")}
        picture = read(self.file(tmp_path / "a.exr", planes, {"owner": "me", "comments": "words"}))
        assert picture.losses == [
            "channels of an EXR file left out: Z, left.R",
            "attributes of an EXR file left out: comments, owner",
        ]

    def test_one_channel_is_grey(self, tmp_path):
        depth = np.arange(24, dtype=np.float32).reshape(4, 6)
        np.testing.assert_array_equal(read(self.file(tmp_path / "a.exr", {"Z": depth})).frames[0], depth)

    def test_channels_without_colours_are_all_filtered_and_written_under_their_names(self, tmp_path):
        planes = {name: np.random.default_rng(1).random((4, 6), np.float32) for name in ("A", "u", "v.Z")}
        source = self.file(tmp_path / "a.exr", dict(planes))
        picture = read(source)
        assert (picture.model, picture.alpha, picture.losses) == ("channels", False, [])
        np.testing.assert_array_equal(picture.frames[0], np.dstack([*planes.values()]))
        (done,) = filter_files(source, tmp_path / "b.exr", "mean")
        import OpenEXR

        with OpenEXR.File(done.output, separate_channels=True) as held:
            assert set(held.channels()) == {"A", "u", "v.Z"}
            np.testing.assert_array_equal(held.channels()["u"].pixels, cnnfilter.mean(planes["u"]))

    def test_colours_of_a_layer(self, tmp_path):
        names = ("layer.B", "layer.G", "layer.R", "layer.A", "Z")
        planes = {name: np.full((4, 6), number + 1, np.float32) for number, name in enumerate(names)}
        picture = read(self.file(tmp_path / "a.exr", planes))
        assert (picture.model, picture.alpha) == ("rgb", True)
        assert picture.frames[0][0, 0].tolist() == [3 / 4, 2 / 4, 1 / 4, 4]
        assert picture.losses == ["channels of an EXR file left out: Z"]

    @pytest.mark.parametrize("given", [False, True])
    def test_luminance_and_chroma(self, given):
        weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
        header = {}
        if given:  # the primaries of XYZ: Y is its luminance
            weights = np.array([0, 1, 0], np.float32)
            header["chromaticities"] = struct.pack("<8f", 1, 0, 0, 1, 0, 0, 1 / 3, 1 / 3)
        rows, columns = np.mgrid[:20, :30].astype(np.float32) / 30
        colours = np.dstack([0.3 + rows / 9, 0.4 + columns / 9, 0.5 - rows / 9])
        y = colours @ weights
        chroma = [((colours[..., k] - y) / y)[::2, ::2].copy() for k in (0, 2)]
        picture = read(subsampled_exr({"BY": chroma[1], "RY": chroma[0], "Y": y}, **header))
        assert (picture.model, picture.losses) == (
            "rgb",
            ["attributes of an EXR file left out: chromaticities"] * given,
        )
        inside = np.s_[:-1, :-1]  # beyond the last sample of chroma there is none
        np.testing.assert_allclose(picture.frames[0][inside], colours[inside], atol=2e-3)

    @pytest.mark.parametrize("chromaticities", [(0.0,) * 8, (0.3, 0.3) * 4, (float("nan"),) * 8])
    def test_impossible_chromaticities(self, chromaticities, tmp_path):
        import OpenEXR

        planes = {name: OpenEXR.Channel(np.ones((4, 4), np.float32)) for name in ("Y", "RY", "BY")}
        with pytest.raises(ImageFileError, match="impossible chromaticities"):
            read(self.file(tmp_path / "a.exr", planes, {"chromaticities": chromaticities}))

    def test_deep_pixels(self, tmp_path):
        import OpenEXR

        deep = np.empty((3, 4), object)
        for place in np.ndindex(3, 4):
            deep[place] = np.ones(2, np.float32)
        path = self.file(
            tmp_path / "a.exr",
            {"Y": deep},
            {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION},
        )
        with pytest.raises(ImageFileError, match="EXR of deep pixels"):
            read(path)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_round_trip(self, channels):
        frame = np.random.default_rng(1).random((5, 7, channels)).astype(np.float32) + 1
        frame = frame if channels > 1 else frame[..., 0]
        picture = Picture([frame], "rgb" if channels > 1 else "grey", channels == 4)
        again = read(written(picture, "EXR"))
        np.testing.assert_allclose(again.frames[0], frame, rtol=1e-6)

    def test_the_limit_is_held_before_pixels_are_read(self, tmp_path):
        path = self.file(tmp_path / "a.exr", {"Y": np.ones((40, 60), np.float32)})
        with pytest.raises(ImageFileError, match="60x40 pixels are more than the limit of 100"):
            read(path, max_pixels=100)

    def test_damage(self, tmp_path):
        path = self.file(
            tmp_path / "a.exr", {"Y": np.random.default_rng(0).random((40, 60)).astype(np.float32)}
        )
        with pytest.raises(ImageFileError, match="damaged EXR file"):
            read(path.read_bytes()[:400])


@needs("FITS")
class TestFits:
    def bytes_of(self, data, **cards):
        from astropy.io import fits

        made, file = fits.PrimaryHDU(data), io.BytesIO()
        for name, value in cards.items():
            made.header[name] = value
        made.writeto(file)
        return file.getvalue()

    @pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", "f8", "i4"])
    def test_types_and_rows_from_below(self, dtype):
        data = np.arange(20).reshape(4, 5).astype(dtype)
        picture = read(self.bytes_of(data))
        assert picture.dtype == np.dtype("f8" if dtype == "i4" else dtype) and not picture.losses
        np.testing.assert_array_equal(picture.frames[0], data[::-1])

    def test_planes_of_a_cube_are_pages(self):
        data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        picture = read(self.bytes_of(data))
        assert len(picture.frames) == 2
        again = read(written(picture, "FITS"))
        np.testing.assert_array_equal(np.stack(again.frames), data[:, ::-1])

    def test_cards_are_told(self):
        picture = read(self.bytes_of(np.zeros((3, 4), np.int16), OBJECT="M31", CRVAL1=10.5))
        assert picture.losses == ["cards of a FITS header left out: OBJECT, CRVAL1"]

    def test_nan_is_missing(self, tmp_path):
        data = np.ones((9, 9), np.float32)
        data[4, 4] = np.nan
        (tmp_path / "a.fits").write_bytes(self.bytes_of(data))
        (done,) = filter_files(tmp_path / "a.fits", tmp_path / "b.fits", "mean --size 3")
        frame = read(done.output).frames[0]
        assert np.isnan(frame[4, 4]) and np.isnan(frame).sum() == 1 and frame[3, 4] == 1

    def test_tables_and_vectors(self):
        with pytest.raises(ImageFileError, match=r"without an image of 2 or 3 axes.*\(7,\)"):
            read(self.bytes_of(np.zeros(7, np.float32)))

    def test_the_limit(self):
        with pytest.raises(ImageFileError, match="60x40 pixels are more than the limit of 100"):
            read(self.bytes_of(np.zeros((40, 60), np.uint8)), max_pixels=100)

    @pytest.mark.parametrize("name", ["NAXIS   ", "TFIELDS "])
    def test_counts_without_end(self, name):
        card = f"{name}= {10**9:20}".ljust(80).encode()
        data = self.bytes_of(np.zeros((4, 6), np.uint8))
        start = data.index(b"NAXIS   ")
        with pytest.raises(ImageFileError, match=rf"damaged FITS file \({name}= +1000000000\)"):
            read(data[:start] + card + data[start + 80 :])

    def test_damage(self):
        with pytest.raises(ImageFileError, match="damaged FITS file"):
            read(self.bytes_of(np.zeros((40, 60), np.float64))[:4000])
