"""What is kept beside the pixels: profile, resolution, EXIF; the orientation is applied, once."""

import io
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from cnnfilter import files as imagefile
from cnnfilter.files import Picture

FORMS = ("JPEG", "PNG", "WEBP", "TIFF")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>"
ORIENTATION, MAKE, EXPOSURE, ARTIST = 0x0112, 0x010F, 0x829A, 0x013B


@pytest.fixture
def picture():
    """An image whose quarters tell how it stands."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24], image[:16, 24:], image[16:, :24] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return Image.fromarray(image)


def block(orientation):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif[ARTIST] = orientation, "A maker", "An artist"
    exif.get_ifd(0x8769)[EXPOSURE] = 0.005
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def file_of(image, form, **options):
    file = io.BytesIO()
    if form in ("JPEG", "WEBP"):
        options.setdefault("quality", 95)
    image.save(file, form, **options)
    return file.getvalue()


def copy_of(data, form=None):
    file = io.BytesIO()
    imagefile.write(imagefile.read(data), file, form=form)
    return file.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_image_stands_as_the_viewer_sees_it(form, orientation, picture):
    data = file_of(picture, form, exif=block(orientation))
    with Image.open(io.BytesIO(data)) as image:
        seen = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    frame = imagefile.read(data).frames[0]
    assert frame.shape == seen.shape
    assert np.abs(frame.astype(int) - seen).max() <= (40 if form == "JPEG" else 0 if form != "WEBP" else 60)
    with Image.open(io.BytesIO(copy_of(data))) as image:
        assert image.getexif().get(ORIENTATION, 1) == 1
        assert image.size == seen.shape[1::-1]
        assert image.getexif()[MAKE] == "A maker"


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("target", FORMS)
def test_profile_resolution_and_exif_go_from_form_to_form(source, target, picture):
    options = {"icc_profile": PROFILE, "exif": block(6)} | ({"dpi": (200, 100)} if source != "WEBP" else {})
    copy = copy_of(file_of(picture, source, **options), target)
    with Image.open(io.BytesIO(copy)) as image:
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[ARTIST] == "An artist"
        assert image.getexif().get(ORIENTATION, 1) == 1
        if source != "TIFF":  # Pillow does not write these directories into a TIFF
            assert image.getexif().get_ifd(0x8769)[EXPOSURE] == 0.005
            assert image.getexif().get_ifd(0x8825)[1] == "N"
        if "WEBP" not in (source, target):
            assert image.info["dpi"] == pytest.approx((100, 200), abs=0.02)  # turned with the pixels


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_within_xmp_is_reset(form, picture):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options = {"TIFF": {"tiffinfo": {700: XMP}}, "PNG": {"pnginfo": text}}.get(form, {"xmp": XMP})
    data = file_of(picture, form, **options)
    copy = imagefile.read(copy_of(data))
    assert copy.metadata.xmp == XMP.replace(b'"6"', b'"1"')


def test_the_thumbnail_of_the_unfiltered_image_is_erased(picture):
    thumbnail = file_of(picture.rotate(30), "JPEG")
    exif = block(3)
    plain = exif.tobytes()[6:]
    # a second directory with the two tags that point to the thumbnail
    end = len(plain) + len(plain) % 2
    order = "little" if plain[:2] == b"II" else "big"
    first = int.from_bytes(plain[4:8], order)
    link = first + 2 + 12 * int.from_bytes(plain[first : first + 2], order)
    second = (2).to_bytes(2, order)
    for tag, value in ((0x0201, end + 30), (0x0202, len(thumbnail))):
        entry = ((tag, 2), (4, 2), (1, 4), (value, 4))
        second += b"".join(number.to_bytes(size, order) for number, size in entry)
    whole = plain[:link] + end.to_bytes(4, order) + plain[link + 4 :].ljust(end - link - 4, b"\0")
    whole += second + bytes(4) + thumbnail
    data = file_of(picture, "JPEG", exif=b"Exif\0\0" + whole)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(thumbnail)
    copy = copy_of(data)
    assert thumbnail[-60:-4] in data
    assert thumbnail[-60:-4] not in copy
    with Image.open(io.BytesIO(copy)) as image:
        assert not image.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert image.getexif()[MAKE] == "A maker"


@pytest.mark.parametrize(
    "rubbish", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"x" * 40]
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_that_is_rubbish_does_no_harm(rubbish, form, picture):
    data = file_of(picture, form, exif=b"Exif\0\0" + rubbish)
    assert imagefile.read(copy_of(data)).frames[0].shape == (32, 48, 3)


def test_exif_within_a_text_of_a_png(picture):
    """As ImageMagick wrote it before PNG had a chunk for EXIF."""
    whole = block(6).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(whole):8}\n{whole.hex()}\n", zip=True)
    copy = imagefile.read(copy_of(file_of(picture, "PNG", pnginfo=text)))
    assert copy.frames[0].shape == (48, 32, 3)
    assert copy.metadata.text == {}
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + copy.metadata.exif)
    assert (exif[ORIENTATION], exif[MAKE]) == (1, "A maker")


KEYWORDS = (
    "comment", "dpi", "icc_profile", "exif", "xmp", "interlace", "transparency", "bbox", "duration", "loop",
    "blend", "disposal", "default_image", "gamma", "aspect", "srgb",
)  # fmt: skip


@pytest.mark.parametrize("animated", [False, True])
def test_any_keyword_of_a_text_is_but_text(animated, picture):
    text = PngImagePlugin.PngInfo()
    for number, keyword in enumerate(KEYWORDS):
        add = text.add_itxt if number % 3 == 0 else text.add_text
        add(keyword, f"words about {keyword}", zip=number % 2 == 1)
    options = {"save_all": True, "append_images": [picture.rotate(180)], "duration": 70} if animated else {}
    copy = copy_of(file_of(picture, "PNG", pnginfo=text, **options))
    kept = imagefile.read(copy)
    assert kept.metadata.text == {keyword: f"words about {keyword}" for keyword in KEYWORDS}
    assert (kept.metadata.dpi, kept.metadata.icc, kept.metadata.exif, kept.metadata.xmp) == (None,) * 4
    assert (len(kept.frames), kept.frames[0].shape, kept.alpha) == (1 + animated, (32, 48, 3), False)
    np.testing.assert_array_equal(kept.frames[0], np.asarray(picture))


def test_texts_beside_the_chunks_that_their_keywords_name(picture):
    text = PngImagePlugin.PngInfo()
    for keyword in ("dpi", "exif", "icc_profile"):
        text.add_text(keyword, "words")
    data = file_of(picture, "PNG", pnginfo=text, dpi=(200, 100), icc_profile=PROFILE, exif=block(1))
    kept = imagefile.read(copy_of(data)).metadata
    assert kept.text == {"dpi": "words", "exif": "words", "icc_profile": "words"}
    assert kept.dpi == pytest.approx((200, 100), abs=0.02)
    assert kept.icc == PROFILE
    assert ARTIST.to_bytes(2, "little") in kept.exif or ARTIST.to_bytes(2, "big") in kept.exif


def test_a_profile_of_megabytes_is_kept(picture):
    profile = np.random.default_rng(0).integers(0, 4, 2_500_000, np.uint8).tobytes()
    assert imagefile.read(copy_of(file_of(picture, "PNG", icc_profile=profile))).metadata.icc == profile


@pytest.mark.parametrize("chunk", ["zTXt", "iTXt", "iCCP"])
def test_text_and_profile_that_would_fill_the_memory_are_left_out(chunk, picture):
    packed = zlib.compress(bytes(100 << 20))
    content = {"zTXt": b"a\0\0", "iTXt": b"a\0\1\0\0\0", "iCCP": b"a\0\0"}[chunk] + packed
    whole = len(content).to_bytes(4, "big") + chunk.encode() + content
    whole += zlib.crc32(whole[4:]).to_bytes(4, "big")
    data = file_of(picture, "PNG")
    read = imagefile.read(data[:33] + whole + data[33:])
    assert len(read.losses) == 1
    assert "of more than 64 MiB left out" in read.losses[0]
    assert (read.metadata.text, read.metadata.icc) == ({}, None)


def test_comments_and_texts_are_kept(picture):
    jpeg = copy_of(file_of(picture, "JPEG", comment="Grüße".encode()))
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.info["comment"].decode() == "Grüße"
    tiff = copy_of(file_of(picture, "TIFF", description="A description", artist="Somebody"))
    with Image.open(io.BytesIO(tiff)) as image:
        assert (image.tag_v2[270], image.tag_v2[315]) == ("A description", "Somebody")


def test_nothing_is_made_up(picture):
    plain = Picture([np.asarray(picture)], "rgb")
    for form in FORMS:
        file = io.BytesIO()
        imagefile.write(plain, file, form=form)
        kept = imagefile.read(file.getvalue()).metadata
        assert (kept.icc, kept.exif, kept.xmp, kept.dpi, kept.text) == (None, None, None, None, {})
