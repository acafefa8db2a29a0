"""Lab of TIFF and PSD files becomes sRGB, as LittleCMS (through Pillow) has it."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from test_imagefile_psd import LAB, drawn

from cnnfilter.errors import ImageFileError
from cnnfilter.files import read
from cnnfilter.files.lab import TOLD

HEIGHT, WIDTH = 6, 9
COLOURS = np.random.default_rng(2).integers(90, 190, (HEIGHT, WIDTH, 3), np.uint8)  # within any gamut


@pytest.fixture(scope="module")
def samples():
    """Lab of 8 bits, 128 for a* and b* of 0, and its colours."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    there = ImageCms.profileToProfile(Image.fromarray(COLOURS), srgb, lab, outputMode="LAB")
    # Pillow hands out a* and b* signed.
    samples = np.asarray(there) ^ np.array([0, 128, 128], np.uint8)
    assert np.abs(samples[..., 1:].astype(int).mean() - 128) < 30
    return samples, np.asarray(ImageCms.profileToProfile(there, lab, srgb, outputMode="RGB"))


def tiff(image, photometric, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, image, photometric=photometric, metadata=None, **options)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
def test_tiff(photometric, dtype, samples):
    lab, expected = samples
    image = lab.astype(dtype)
    if dtype == "uint16":
        image = np.dstack([lab[..., :1].astype(dtype) * 257, lab[..., 1:].astype(dtype) * 256])
    if photometric == "cielab":  # signed numbers
        image[..., 1:] ^= np.array(np.iinfo(dtype).max // 2 + 1, dtype)
    picture = read(tiff(image, photometric, iccprofile=b"of Lab"))
    assert (picture.model, picture.dtype, picture.metadata.icc) == ("rgb", dtype, None)
    assert picture.losses == [TOLD]
    shown = picture.frames[0] / (257 if dtype == "uint16" else 1)
    assert np.abs(shown - expected).max() <= 2


def test_what_lies_beside_the_colours_stays(samples):
    alpha = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH, 1)
    picture = read(tiff(np.dstack([samples[0], alpha]), "icclab", extrasamples=["unassalpha"]))
    assert picture.alpha
    np.testing.assert_array_equal(picture.frames[0][..., 3:], alpha)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_psd(dtype, samples):
    lab, expected = samples
    planes = lab.astype(dtype).transpose(2, 0, 1)
    if dtype == "uint16":
        planes = np.stack([planes[0] * 257, planes[1] * 256, planes[2] * 256])
    picture = read(drawn(planes, LAB, packed=True))
    assert (picture.model, picture.losses) == ("rgb", [TOLD])
    assert np.abs(picture.frames[0] / (257 if dtype == "uint16" else 1) - expected).max() <= 2


def test_floats_are_refused():
    with pytest.raises(ImageFileError, match="PSD of 32 bits and the mode 9 is not read"):
        read(drawn(np.zeros((3, HEIGHT, WIDTH), np.float32), LAB))
    with pytest.raises(ImageFileError, match="colours of the kind 8 is not read"):
        read(tiff(np.zeros((HEIGHT, WIDTH, 3), np.float32), "cielab"))
