"""PNG: every colour type and depth, against files laid out by hand and against OpenCV."""

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture
from cnnfilter.files.deflate import png_stream

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@pytest.fixture
def rng():
    return np.random.default_rng(20240)


def chunk(name, content):
    return struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))


def packed_rows(samples, bits):
    """Rows of samples (H, W * channels) as a PNG holds them, each after a filter byte of 0."""
    rows = []
    for row in samples:
        if bits == 16:
            data = row.astype(">u2").tobytes()
        else:
            spread = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
            data = np.packbits(spread.astype(np.uint8).ravel()).tobytes()
        rows.append(b"\0" + data)
    return b"".join(rows)


def handmade(samples, kind, bits, interlaced=False, extra=()):
    """A PNG file of samples (H, W, channels)."""
    height, width, _ = samples.shape
    passes = [(0, 0, 1, 1)] if not interlaced else ADAM7
    stream = b""
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            stream += packed_rows(part.reshape(len(part), -1), bits)
    header = struct.pack(">LLBBBBB", width, height, bits, kind, 0, 0, int(interlaced))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(stream)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*item) for item in chunks)


def written(array, model="rgb", alpha=False, **options):
    file = io.BytesIO()
    imagefile.write(Picture([array], model, alpha), file, form="PNG", **options)
    return file.getvalue()


def test_no_pixels(rng):
    whole = handmade(rng.integers(0, 256, (13, 11, 3)), 2, 8)
    start = whole.index(b"IDAT") - 4
    with pytest.raises(ImageFileError, match=r"damaged PNG file \(no pixels\)"):
        imagefile.read(whole[:start] + chunk(b"IEND", b""))


@pytest.mark.parametrize("name", [b"tEXt", b"iCCP", b"cLLI", b"tRNS", b"IDAT"])
def test_a_wrong_checksum_costs_the_chunk_or_the_file(name, rng):
    samples = rng.integers(0, 256, (13, 11, 3))
    content = {b"tEXt": b"key\0words", b"tRNS": bytes(6)}.get(name, bytes(8))
    whole = handmade(samples, 2, 8, extra=[] if name == b"IDAT" else [(name, content)])
    end = whole.index(name) + 4 + int.from_bytes(whole[whole.index(name) - 4 : whole.index(name)], "big")
    broken = whole[:end] + bytes(4) + whole[end + 4 :]
    if name in (b"tRNS", b"IDAT"):
        with pytest.raises(ImageFileError, match=f"checksum of chunk b'{name.decode()}'"):
            imagefile.read(broken)
        return
    picture = imagefile.read(broken)
    np.testing.assert_array_equal(picture.frames[0], samples)
    assert picture.losses == [f"chunk '{name.decode()}', whose checksum is wrong, left out"]


ALLOWED = [(0, b) for b in (1, 2, 4, 8, 16)] + [(k, b) for k in (2, 4, 6) for b in (8, 16)]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "bits"), ALLOWED)
def test_reads_every_kind_and_depth(kind, bits, interlaced, rng):
    samples = rng.integers(0, 2**bits, (13, 11, CHANNELS[kind]))
    picture = imagefile.read(handmade(samples, kind, bits, interlaced))
    white = 65535 if bits == 16 else 255
    expected = (samples * (white // (2**bits - 1))).astype(np.uint16 if bits == 16 else np.uint8)
    (frame,) = picture.frames
    assert frame.dtype == expected.dtype
    np.testing.assert_array_equal(frame.reshape(expected.shape), expected)
    assert frame.ndim == (2 if kind == 0 else 3)
    assert (picture.model, picture.alpha) == ("grey" if kind in (0, 4) else "rgb", kind in (4, 6))


@pytest.mark.parametrize(("kind", "bits"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)])
def test_the_transparent_colour_becomes_alpha(kind, bits, rng):
    samples = rng.integers(0, min(4, 2**bits), (12, 10, CHANNELS[kind]))
    key = samples[3, 4]
    data = handmade(samples, kind, bits, extra=[(b"tRNS", key.astype(">u2").tobytes())])
    picture = imagefile.read(data)
    white = 65535 if bits == 16 else 255
    assert picture.alpha
    hidden = (samples == key).all(-1)
    np.testing.assert_array_equal(picture.frames[0][..., -1], np.where(hidden, 0, white))
    np.testing.assert_array_equal(picture.frames[0][..., :-1], samples * (white // (2**bits - 1)))


@pytest.mark.parametrize("transparency", [None, bytes([0, 128, 255])])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_becomes_colours(bits, transparency, rng):
    palette = rng.integers(0, 256, (2**bits, 3), dtype=np.uint8)
    samples = rng.integers(0, 2**bits, (9, 14, 1))
    extra = [(b"PLTE", palette.tobytes())]
    if transparency:
        extra.append((b"tRNS", transparency[: 2**bits]))
    picture = imagefile.read(handmade(samples, 3, bits, extra=extra))
    np.testing.assert_array_equal(picture.frames[0][..., :3], palette[samples[..., 0]])
    assert picture.alpha == bool(transparency)
    if transparency:
        alpha = np.full(2**bits, 255)
        alpha[: len(transparency)] = list(transparency)[: 2**bits]
        np.testing.assert_array_equal(picture.frames[0][..., 3], alpha[samples[..., 0]])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("content", ["noise", "smooth", "repeats"])
@pytest.mark.parametrize("compression", [None, 0, 1, 6, 9])
def test_opencv_reads_what_is_written(channels, dtype, content, compression, rng):
    shape = (700, 450, channels)
    white = np.iinfo(dtype).max
    if content == "noise":
        image = rng.integers(0, white + 1, shape).astype(dtype)
    elif content == "smooth":
        ramp = np.add.outer(np.arange(700), np.arange(450)) * (white // 1200)
        image = np.stack([(ramp * (c + 1)) // 4 for c in range(channels)], -1).astype(dtype)
    else:
        image = np.tile(rng.integers(0, white + 1, (7, 9, channels)).astype(dtype), (100, 50, 1))
    if compression in (6, 9) and content == "noise":
        image = image[:90]
    model = "grey" if channels == 1 else "rgb"
    data = written(image, model, channels == 4, compression=compression, threads=2)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if channels > 1:
        decoded = decoded[..., [2, 1, 0, 3][:channels]]
    np.testing.assert_array_equal(decoded.reshape(image.shape), image)
    again = imagefile.read(data)
    np.testing.assert_array_equal(again.frames[0].reshape(image.shape), image)
    assert again.frames[0].dtype == dtype


def test_a_stream_is_the_same_for_any_number_of_threads(rng):
    image = rng.integers(0, 256, (900, 700, 3), dtype=np.uint8)
    streams = [b"".join(png_stream(image, 1, threads)) for threads in (1, 2, 5)]
    assert streams[0] == streams[1] == streams[2]
    assert len(zlib.decompress(streams[0])) == 900 * 2101


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 500, 4), (500, 1, 2), (2, 1)])
def test_the_smallest_images(shape, rng):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    alpha = image.ndim == 3 and shape[-1] in (2, 4)
    model = "grey" if image.ndim == 2 or shape[-1] == 2 else "rgb"
    np.testing.assert_array_equal(imagefile.read(written(image, model, alpha)).frames[0], image)


def test_a_view_of_four_channels_is_written_as_three(rng):
    image = rng.integers(0, 256, (50, 60, 4), dtype=np.uint8)[..., :3]
    np.testing.assert_array_equal(imagefile.read(written(image)).frames[0], image)


def test_what_beside_the_pixels_is_kept(rng):
    samples = rng.integers(0, 256, (4, 4, 3))
    extra = [
        (b"gAMA", struct.pack(">L", 45455)),
        (b"sRGB", b"\1"),
        (b"pHYs", struct.pack(">LLB", 3780, 5906, 1)),
        (b"tEXt", b"Title\0A title"),
        (b"zTXt", b"Author\0\0" + zlib.compress(b"Somebody")),
        (b"iTXt", "Comment\0\0\0\0\0Grüße 你好".encode()),
    ]
    first = imagefile.read(handmade(samples, 2, 8, extra=extra))
    file = io.BytesIO()
    imagefile.write(first, file)
    second = imagefile.read(file.getvalue())
    assert second.metadata == first.metadata
    assert first.metadata.text == {"Title": "A title", "Author": "Somebody", "Comment": "Grüße 你好"}
    assert first.metadata.chunks == {b"gAMA": struct.pack(">L", 45455), b"sRGB": b"\1"}
    with Image.open(file) as witness:
        assert witness.info["dpi"] == pytest.approx((96.012, 150.0124), abs=1e-3)
        assert witness.text["Comment"] == "Grüße 你好"


def test_chunks_that_are_safe_to_copy_are_copied_and_the_others_told(rng):
    samples = rng.integers(0, 256, (4, 4, 3))
    extra = [
        (b"zzZz", b"safe"),
        (b"zzZZ", b"not"),
        (b"tIME", bytes(7)),
        (b"tEXt", b"Title\0one"),
        (b"tEXt", b"Title\0two"),
    ]
    picture = imagefile.read(handmade(samples, 2, 8, extra=extra))
    assert picture.metadata.chunks == {b"zzZz": b"safe"}
    assert picture.losses == ["chunk 'zzZZ' left out", "a second text 'Title' left out"]
    file = io.BytesIO()
    imagefile.write(picture, file)
    assert chunk(b"zzZz", b"safe") in file.getvalue()


# Kind and bits of the file, what bKGD holds, and 16 bits of it.
BACKGROUNDS = [
    (0, 8, ">H", (7,), (7 * 257,)),
    (0, 2, ">H", (2,), (43690,)),
    (4, 16, ">H", (700,), (700,)),
    (2, 8, ">HHH", (1, 2, 255), (257, 514, 65535)),
    (6, 16, ">HHH", (1, 2, 65535), (1, 2, 65535)),
    (2, 8, ">HHH", (0x101, 2, 3), (257, 514, 771)),
    (3, 4, ">B", (1,), (3 * 257, 4 * 257, 5 * 257)),
]


@pytest.mark.parametrize(("kind", "bits", "layout", "values", "full"), BACKGROUNDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [True, False])
def test_the_background_stays_the_same_colour(kind, bits, layout, values, full, dtype, grey, rng):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    extra = [(b"PLTE", bytes(range(48)))] * (kind == 3) + [(b"bKGD", struct.pack(layout, *values))]
    picture = imagefile.read(handmade(np.ones((4, 4, channels), int), kind, bits, extra=extra))
    picture.frames = [np.ones((4, 4) if grey else (4, 4, 3), dtype)]
    picture.model, picture.alpha = "grey" if grey else "rgb", False
    file = io.BytesIO()
    imagefile.write(picture, file)
    shown = np.array(full) // (257 if dtype == np.uint8 else 1)
    if grey and len(full) == 3:
        assert b"bKGD" not in file.getvalue()
        assert picture.losses == ["the background colour is left out, for the image is grey"]
    else:
        shown = shown if grey else np.broadcast_to(shown, 3)
        assert chunk(b"bKGD", shown.astype(">u2").tobytes()) in file.getvalue()
        assert picture.losses == []


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ((b"sBIT", bytes((5, 6, 5))), ["significant bits (5 6 5) left out"]),
        ((b"sBIT", bytes((8, 8, 8))), []),
        ((b"sPLT", b"six\0\x08" + bytes(6)), ["a suggested palette left out"]),
        ((b"bKGD", b"\0\1\0"), ["a damaged background colour left out"]),
        ((b"bKGD", b""), ["a damaged background colour left out"]),
    ],
)
def test_chunks_that_are_not_true_of_filtered_pixels_are_told(extra, told, rng):
    picture = imagefile.read(handmade(rng.integers(0, 256, (4, 4, 3)), 2, 8, extra=[extra]))
    assert (picture.losses, picture.metadata.chunks) == (told, {})


def test_the_bits_above_those_of_a_key_do_not_count(rng):
    samples = rng.integers(0, 2, (3, 8, 1))
    picture = imagefile.read(handmade(samples, 0, 1, extra=[(b"tRNS", b"\x00\xff")]))
    np.testing.assert_array_equal(picture.frames[0][..., 1], 255 - 255 * samples[..., 0])


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"tRNS"])
def test_a_second_header_is_refused(name, rng):
    data = handmade(rng.integers(0, 4, (4, 4, 1)), 3, 2, extra=[(b"PLTE", bytes(12)), (b"tRNS", bytes(4))])
    again = chunk(name, struct.pack(">LLBBBBB", 2, 2, 8, 0, 0, 0, 0) if name == b"IHDR" else bytes(3))
    with pytest.raises(ImageFileError, match="a second chunk"):
        imagefile.read(data[:-12] + again + data[-12:])


def test_what_follows_the_image_is_told(rng):
    data = written(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    assert imagefile.read(data).losses == []
    assert imagefile.read(data + b"more").losses == ["4 bytes that follow the image are left out"]
    assert imagefile.read(data * 2).losses == [
        "another image follows the first one and is left out; split the file"
    ]


def test_every_damaged_byte_is_found_or_harmless(rng):
    image = rng.integers(0, 256, (20, 16, 3), dtype=np.uint8)
    data = written(image)
    for place, bit in itertools.product(range(8, len(data), 3), (0, 7)):
        broken = bytearray(data)
        broken[place] ^= 1 << bit
        try:
            frame = imagefile.read(bytes(broken)).frames[0]
        except ImageFileError:
            continue
        np.testing.assert_array_equal(frame, image)


def test_every_truncation_is_found(rng):
    data = written(rng.integers(0, 256, (20, 16, 3), dtype=np.uint8))
    for length in range(8, len(data)):
        with pytest.raises(ImageFileError, match=r"truncated|damaged|no header"):
            imagefile.read(data[:length])
