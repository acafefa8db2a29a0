"""What is no image, cannot be opened, is too large or damaged: a clear message, never a wrong picture."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import FORMS, Picture

SAVED = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "TGA", "PPM", "PAM", "NPY")


def example(form, shape=(19, 23, 3)):
    rng = np.random.default_rng(5)
    image = np.repeat(np.repeat(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8), 2, 0), 2, 1)
    file = io.BytesIO()
    imagefile.write(Picture([image[: shape[0], : shape[1]]], "rgb"), file, form=form)
    return file.getvalue()


EXAMPLES = {form: example(form) for form in SAVED}
CHECKED = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM", "PAM", "NPY", "TIFF")


class TestSources:
    def test_a_directory(self, tmp_path):
        with pytest.raises(ImageFileError, match=r"is a directory; .*--recursive"):
            imagefile.read(tmp_path)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(ImageFileError, match=r"missing\.png: no such file"):
            imagefile.read(tmp_path / "missing.png")

    def test_a_named_pipe_does_not_block(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ImageFileError, match=r"pipe: is not a regular file; .* standard input: - <"):
            imagefile.read(tmp_path / "pipe")

    def test_a_device_does_not_block(self):
        with pytest.raises(ImageFileError, match="is not a regular file"):
            imagefile.read("/dev/zero")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_without_permission(self, tmp_path):
        path = tmp_path / "secret.png"
        path.write_bytes(EXAMPLES["PNG"])
        path.chmod(0)
        with pytest.raises(ImageFileError, match="may not be read"):
            imagefile.read(path)

    def test_a_name_with_a_nul(self):
        with pytest.raises(ImageFileError, match="cannot be opened"):
            imagefile.read("a\0b.png")

    def test_an_empty_file(self, tmp_path):
        path = tmp_path / "empty.png"
        path.touch()
        with pytest.raises(ImageFileError, match=r"empty\.png: is empty"):
            imagefile.read(path)

    def test_a_text_with_the_name_of_an_image(self, tmp_path):
        path = tmp_path / "text.png"
        path.write_text("hello there")
        with pytest.raises(
            ImageFileError, match=r"text\.png: is not an image of a known form .*b'hello there'"
        ):
            imagefile.read(path)

    @pytest.mark.parametrize("form", SAVED)
    def test_the_bytes_count_and_not_the_name(self, form, tmp_path):
        path = tmp_path / ("misnamed.tga" if form == "TGA" else "misnamed.jpg")
        path.write_bytes(EXAMPLES[form])
        assert imagefile.read(path).form == form

    def test_a_pipe_is_read_to_its_end(self):
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as target:
            target.write(EXAMPLES["PNG"])
        with os.fdopen(reading, "rb") as source:
            assert imagefile.read(source, name="standard input").form == "PNG"

    def test_an_endless_pipe_of_rubbish_is_refused_at_once(self):
        class Endless(io.RawIOBase):
            count = 0

            def readable(self):
                return True

            def readinto(self, buffer):
                self.count += len(buffer)
                buffer[:] = b"y" * len(buffer)
                return len(buffer)

        stream = Endless()
        with pytest.raises(ImageFileError, match="standard input: is not an image"):
            imagefile.read(stream, name="standard input")
        assert stream.count < 1 << 16

    def test_a_shell_s_substitution_is_read(self, tmp_path):
        reading, writing = os.pipe()
        os.write(writing, EXAMPLES["PNG"])
        os.close(writing)
        assert imagefile.read(f"/dev/fd/{reading}").form == "PNG"
        os.close(reading)


class TestForms:
    def test_known_suffixes(self):
        for form, suffixes in FORMS.items():
            for suffix in suffixes:
                assert imagefile.form_of(f"a/b.c/photo{suffix.upper()}") == form

    @pytest.mark.parametrize(("path", "said"), [("a.xyz", "unknown suffix .xyz"), ("dir.png/a", "no suffix")])
    def test_unknown_suffixes_name_the_known_ones(self, path, said):
        with pytest.raises(ImageFileError, match=rf"{said}.*\.png.*\.tif"):
            imagefile.form_of(path)

    def test_names(self):
        assert [imagefile.form_named(name) for name in ("png", ".JPG", "TIFF", "tif")] == [
            "PNG",
            "JPEG",
            "TIFF",
            "TIFF",
        ]
        with pytest.raises(ParameterError, match=r"unknown image form 'xyz'.*png"):
            imagefile.form_named("xyz")


class TestSize:
    @pytest.mark.parametrize("form", SAVED)
    def test_the_limit(self, form):
        name = "a.tga" if form == "TGA" else "a"
        assert imagefile.read(EXAMPLES[form], max_pixels=19 * 23, name=name)
        with pytest.raises(
            ImageFileError, match=r"23x19 pixels are more than the limit of 436; .*--max-pixels"
        ):
            imagefile.read(EXAMPLES[form], max_pixels=19 * 23 - 1, name=name)

    def test_a_bomb_is_refused_before_decoding(self):
        def chunk(name, content):
            return (
                struct.pack(">L", len(content))
                + name
                + content
                + struct.pack(">L", zlib.crc32(name + content))
            )

        header = struct.pack(">LLBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        with pytest.raises(ImageFileError, match="100000x100000 pixels are more than the limit of 500000000"):
            imagefile.read(b"\x89PNG\r\n\x1a\n" + body)


class TestDamage:
    @pytest.mark.parametrize("form", CHECKED)
    def test_every_truncation_is_found_or_harmless(self, form):
        data = EXAMPLES[form]
        whole = imagefile.read(data).frames[0]
        for length in range(len(data)):
            try:
                frame = imagefile.read(data[:length], name="cut").frames[0]
            except ImageFileError as error:
                assert str(error).startswith("cut: ")
                continue
            np.testing.assert_array_equal(frame, whole)

    @given(st.sampled_from(SAVED), st.data())
    @settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_damage_gives_an_error_or_a_picture(self, form, data):
        broken = bytearray(EXAMPLES[form])
        for _ in range(data.draw(st.integers(1, 4))):
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
        try:
            picture = imagefile.read(bytes(broken), max_pixels=100_000, name="broken.tga")
        except ImageFileError as error:
            assert str(error).startswith("broken.tga: ")
        else:
            assert picture.frames

    @given(
        st.sampled_from([*(data[:8] for data in EXAMPLES.values()), b"P1\n", b"P3 ", b"Pf\n"]),
        st.binary(max_size=200),
    )
    @settings(max_examples=300, deadline=None)
    def test_rubbish_after_a_good_beginning(self, beginning, rest):
        try:
            imagefile.read(beginning + rest, max_pixels=100_000)
        except ImageFileError:
            pass

    def test_nothing_is_printed(self, tmp_path):
        """Neither Pillow's warnings nor what its libraries print themselves reaches the user."""
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
        for number, scheme in enumerate(["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]):
            image.save(tmp_path / f"{number}.tif", compression=scheme)
            data = bytearray((tmp_path / f"{number}.tif").read_bytes())
            data[len(data) // 2 :: 7] = bytes(len(data[len(data) // 2 :: 7]))
            (tmp_path / f"{number}.tif").write_bytes(data)
        image.save(
            tmp_path / "exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\0\0\x01\0\0\0"
        )
        code = (
            "import sys\nfrom cnnfilter import files as imagefile\nfor path in sys.argv[1:]:\n"
            "    try: imagefile.read(path)\n    except imagefile.reading.ImageFileError: pass\n"
        )
        paths = sorted(map(str, tmp_path.iterdir()))
        done = subprocess.run(
            [sys.executable, "-c", code, *paths], capture_output=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


class TestRefusals:
    """What a form cannot hold, and the way out."""

    @pytest.mark.parametrize(
        ("form", "array", "model", "alpha", "said"),
        [
            (
                "PNG",
                np.zeros((2, 2), np.float32),
                "grey",
                False,
                r"PNG holds uint8 or uint16, not float32; use --depth",
            ),
            (
                "JPEG",
                np.zeros((2, 2), np.uint16),
                "grey",
                False,
                r"JPEG holds uint8, not uint16; use --depth 8, or",
            ),
            ("PNG", np.zeros((2, 2, 4), np.uint8), "cmyk", False, r"PNG holds no CMYK; write \.jpg or \.tif"),
            ("PPM", np.zeros((2, 2, 4), np.uint8), "rgb", True, r"PPM holds no transparency; write \.png"),
            ("PGM", np.zeros((2, 2, 3), np.uint8), "rgb", False, r"PGM holds no image of 3 channels"),
            (
                "PNG",
                np.zeros((2, 2, 6), np.uint8),
                "channels",
                False,
                r"PNG holds no image of 6 channels; write \.tif",
            ),
            (
                "PFM",
                np.zeros((2, 2), np.uint8),
                "grey",
                False,
                r"PFM holds float32, not uint8; use --depth f32",
            ),
            ("PNG", np.zeros((2, 2), np.int16), "grey", False, r"PNG holds uint8 or uint16, not int16"),
        ],
    )
    def test_messages(self, form, array, model, alpha, said):
        with pytest.raises(ImageFileError, match="out: " + said):
            imagefile.write(Picture([array], model, alpha), io.BytesIO(), form=form, name="out")

    def test_an_unwritable_path_is_an_oserror(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            imagefile.write(Picture([np.zeros((2, 2), np.uint8)]), tmp_path / "missing" / "a.png")


class TestOwnFaults:
    def test_are_not_called_damaged_files(self, monkeypatch):
        def faulty(*_):
            raise IndexError("a fault of ours")

        monkeypatch.setattr("cnnfilter.files.pngmetadata.read", faulty)
        with pytest.raises(IndexError, match="a fault of ours"):
            imagefile.read(EXAMPLES["PNG"])
