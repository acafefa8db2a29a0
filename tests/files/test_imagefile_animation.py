"""Animations: every frame whole, with its time; GIF, WebP, APNG and AVIF, against Pillow."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, features
from skimage import data
from test_imagefile_png import chunk

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture

DELAYS = [40.0, 250.0, 100.0]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def frames(rng):
    """Three frames of few colours, so that a GIF holds them exactly."""
    colours = rng.integers(0, 256, (40, 3), dtype=np.uint8)
    return [colours[rng.integers(0, 40, (18, 25))] for _ in range(3)]


@pytest.fixture
def translucent(frames):
    alpha = np.where(np.add.outer(np.arange(18), np.arange(25)) % 5 == 0, 0, 255).astype(np.uint8)
    return [np.dstack([frame, np.roll(alpha, shift, 1)]) for shift, frame in enumerate(frames)]


def written(picture, form, **options):
    file = io.BytesIO()
    imagefile.write(picture, file, form=form, **options)
    return file.getvalue()


def shown(data):
    """Frames and their times as Pillow shows them."""
    with Image.open(io.BytesIO(data)) as image:
        result = []
        for index in range(image.n_frames):
            image.seek(index)
            result.append((np.asarray(image.convert("RGBA")), image.info.get("duration")))
        return result


def same_where_seen(first, second):
    np.testing.assert_array_equal(first[..., 3] >= 128, second[..., 3] >= 128)
    seen = first[..., 3] >= 128
    np.testing.assert_array_equal(first[seen], second[seen])


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_frames_and_times(form, frames):
    data = written(Picture(frames, "rgb", form="GIF", delays=DELAYS, loop=0), form)
    witness = shown(data)
    assert [delay for _, delay in witness] == DELAYS
    for (image, _), frame in zip(witness, frames, strict=True):
        np.testing.assert_array_equal(image[..., :3], frame)
    again = imagefile.read(data)
    assert (again.delays, again.loop, again.alpha, again.model) == (DELAYS, 0, False, "rgb")
    for first, second in zip(again.frames, frames, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_transparency(form, translucent):
    data = written(Picture(translucent, "rgb", True, form="GIF", delays=DELAYS), form)
    again = imagefile.read(data)
    assert again.alpha
    assert again.delays == DELAYS
    for (image, _), read, frame in zip(shown(data), again.frames, translucent, strict=True):
        same_where_seen(image, frame)
        same_where_seen(read, frame)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("loop", [0, 1, 3])
def test_the_number_of_plays_is_kept(form, loop, frames):
    data = written(Picture(frames, "rgb", form=form, delays=DELAYS, loop=loop), form)
    assert imagefile.read(data).loop == loop


def test_equal_frames_are_not_joined_in_a_gif(frames):
    data = written(Picture([frames[0]] * 3, "rgb", delays=DELAYS), "GIF")
    assert len(imagefile.read(data).frames) == 3


def test_grey_frames_and_frames_without_times_into_a_gif(rng):
    image = rng.integers(0, 256, (30, 20), dtype=np.uint8)
    again = imagefile.read(written(Picture([image]), "GIF"))
    np.testing.assert_array_equal(again.frames[0], np.dstack([image] * 3))
    alpha = np.dstack([image, np.where(image > 99, 255, 0).astype(np.uint8)])
    again = imagefile.read(written(Picture([alpha], "grey", True), "GIF"))
    same_where_seen(again.frames[0], alpha[..., [0, 0, 0, 1]])


def test_many_colours_in_a_gif_come_close():
    ramp = np.add.outer(np.arange(120) * 2, np.arange(100)) % 256
    image = np.dstack([ramp, ramp[::-1], ramp[:, ::-1]]).astype(np.uint8)
    frame = imagefile.read(written(Picture([image], "rgb"), "GIF")).frames[0]
    assert np.abs(frame.astype(int) - image).mean() < 12


def test_many_colours_in_a_gif_have_the_right_mean_in_every_part():
    """Colours that are not in the table are mixed of neighbours of others: no steps are seen."""
    down, across = np.mgrid[:160, :160]
    image = np.dstack([down, across, (down + across) // 2]).astype(np.uint8)
    frame = imagefile.read(written(Picture([image], "rgb"), "GIF")).frames[0]
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 200

    def parts(values):
        return values.reshape(16, 10, 16, 10, 3).mean(axis=(1, 3))

    assert np.abs(parts(frame) - parts(image)).mean() < 1


@pytest.mark.parametrize("colours", [255, 256, 300])
def test_what_is_not_seen_takes_one_of_the_colours_of_a_gif(colours):
    numbers = np.arange(320).reshape(16, 20) % colours
    frame = np.dstack([numbers % 256, numbers // 256 * 90, numbers * 0 + 40, numbers * 0 + 255]).astype(
        np.uint8
    )
    frame[3, 7, 3] = frame[9, 0, 3] = 0
    result = imagefile.read(written(Picture([frame], "rgb", True), "GIF")).frames[0]
    np.testing.assert_array_equal(result[..., 3], frame[..., 3])
    if colours == 255:
        seen = frame[..., 3] > 0
        np.testing.assert_array_equal(result[seen], frame[seen])


def test_a_gif_of_partial_frames_is_shown_whole(frames):
    """Frames that Pillow stores as differences, with every kind of disposal."""
    images = [Image.fromarray(frame) for frame in frames]
    for disposal in (0, 1, 2):
        file = io.BytesIO()
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], disposal=disposal, duration=70)
        picture = imagefile.read(file.getvalue())
        for (image, _), frame in zip(shown(file.getvalue()), picture.frames, strict=True):
            np.testing.assert_array_equal(frame, image[..., :3])


def test_an_apng_of_partial_frames_is_shown_whole(translucent):
    images = [Image.fromarray(frame) for frame in translucent]
    file = io.BytesIO()
    images[0].save(
        file, "PNG", save_all=True, append_images=images[1:], duration=[10, 20, 30], disposal=1, blend=1
    )
    picture = imagefile.read(file.getvalue())
    assert picture.delays == [10, 20, 30]
    for (image, _), frame in zip(shown(file.getvalue()), picture.frames, strict=True):
        same_where_seen(frame, image)


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_apng_of_small_frames_is_laid_on_its_canvas(dtype, disposal, blend, rng):
    """Frames laid out by hand; 16 bits are the same picture with every value times 257."""
    factor = 257 if dtype == np.uint16 else 1
    small = rng.choice(np.array([0, 255], np.uint8), (3, 4, 5, 4))
    small[0, ..., 3] = 255
    places = [(0, 0), (2, 1), (3, 2)]
    canvas, expected = np.zeros((8, 9, 4), np.uint8), []
    chunks, number = [chunk(b"acTL", struct.pack(">LL", 3, 2))], 0
    for index, ((y, x), frame) in enumerate(zip(places, small, strict=True)):
        here, before = canvas[y : y + 4, x : x + 5], canvas.copy()
        here[...] = np.where(frame[..., 3:] | (here[..., 3:] == 0), frame, here) if blend else frame
        expected.append(canvas.copy())
        if disposal == 1 or (disposal == 2 and index == 0):
            here[...] = 0
        elif disposal == 2:
            canvas = before
        control = struct.pack(">LLLLLHHBB", number, 5, 4, x, y, 7, 100, disposal, blend)
        rows = b"".join(
            b"\0" + (row.astype(int) * factor).astype(f">u{np.dtype(dtype).itemsize}").tobytes()
            for row in frame
        )
        data = zlib.compress(rows)
        chunks.append(chunk(b"fcTL", control))
        if index == 0:  # the first must be as large as the canvas where it is IDAT: so it is none
            still = zlib.compress(bytes(8 * (1 + 9 * 4 * np.dtype(dtype).itemsize)))
            chunks.insert(1, chunk(b"IDAT", still))
        chunks.append(chunk(b"fdAT", struct.pack(">L", number + 1) + data))
        number += 2
    header = struct.pack(">LLBBBBB", 9, 8, 8 * np.dtype(dtype).itemsize, 6, 0, 0, 0)
    picture = imagefile.read(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")
    )
    assert picture.losses == ["the still image beside the animation is left out"]
    assert (picture.delays, picture.loop, picture.dtype) == ([70.0] * 3, 2, dtype)
    for frame, right in zip(picture.frames, expected, strict=True):
        np.testing.assert_array_equal(frame, right.astype(int) * factor)


def apng_of(*chunks, count=2):
    """Return an APNG of 4 x 3 grey pixels: a still picture of 9s, then the chunks."""
    header = struct.pack(">LLBBBBB", 4, 3, 8, 0, 0, 0, 0)
    still = chunk(b"IDAT", zlib.compress(b"\0\x09\x09\x09\x09" * 3))
    parts = [chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">LL", count, 0)), still, *chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def frame_of(number, width=4, data=True):
    """Return control and pixels of a frame."""
    control = struct.pack(">LLLLLHHBB", number, width, 3, 0, 0, 1, 10, 0, 0)
    rows = chunk(b"fdAT", struct.pack(">L", number + 1) + zlib.compress(bytes(width + 1) * 3))
    return chunk(b"fcTL", control) + rows * data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (apng_of(frame_of(2), frame_of(0)), "frames in wrong order"),
        (apng_of(frame_of(0)), "frames are missing"),
        (apng_of(frame_of(0), frame_of(2, data=False)), "a frame without pixels"),
        (apng_of(frame_of(0), frame_of(2, width=5)), "a frame beyond the picture"),
        (apng_of(chunk(b"fcTL", bytes(20)), frame_of(1)), "control of a frame"),
    ],
)
def test_the_still_picture_stands_for_an_animation_that_contradicts_itself(data, why):
    """As the specification of PNG 3, 11.3.6, wants it."""
    assert len(imagefile.read(apng_of(frame_of(0), frame_of(2))).frames) == 2
    picture = imagefile.read(data)
    np.testing.assert_array_equal(picture.frames, np.full((1, 3, 4), 9))
    assert picture.losses == [f"the animation, which is damaged ({why}), is left out"]
    assert (picture.delays, picture.loop) == ([], 0)


def test_lossless_and_lossy_webp_stay_what_they_are(rng):
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for lossless in (True, False):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "WEBP", lossless=lossless)
        picture = imagefile.read(file.getvalue())
        again = imagefile.read(written(picture, "WEBP"))
        assert again.encoding == {"lossless": lossless}
        assert np.array_equal(again.frames[0], picture.frames[0]) == lossless


def test_hidden_colours_survive_a_lossless_webp(translucent):
    again = imagefile.read(written(Picture(translucent[:1], "rgb", True), "WEBP"))
    np.testing.assert_array_equal(again.frames[0], translucent[0])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif(frames):
    smooth = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (1, 48, 3))
    again = imagefile.read(written(Picture([smooth], "rgb"), "AVIF"))
    assert np.abs(again.frames[0].astype(int) - smooth).max() < 12


def test_a_gif_without_its_end_is_refused(frames):
    data = written(Picture(frames, "rgb", delays=DELAYS), "GIF")
    for length in range(13, len(data)):
        with pytest.raises(ImageFileError, match=r"truncated|damaged"):
            imagefile.read(data[:length])


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_an_animation_without_its_end_is_refused(form, frames):
    data = written(Picture(frames, "rgb", delays=DELAYS), form)
    for length in range(16, len(data), 7):
        with pytest.raises(ImageFileError, match=r"truncated|damaged"):
            imagefile.read(data[:length])


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_limit_counts_all_frames(form, frames):
    data = written(Picture(frames, "rgb", delays=DELAYS), form)
    assert len(imagefile.read(data, max_pixels=18 * 25 * 3).frames) == 3
    with pytest.raises(ImageFileError, match=r"3 frames of 25x18 pixels.*--max-pixels"):
        imagefile.read(data, max_pixels=18 * 25 * 3 - 1)


def test_pages_do_not_become_an_animation(frames):
    with pytest.raises(ImageFileError, match=r"3 pages would become an animation in GIF; write \.tif"):
        written(Picture(frames, "rgb"), "GIF")
    with pytest.raises(ImageFileError, match="JPEG holds one image, not 3 frames"):
        written(Picture(frames, "rgb", delays=DELAYS), "JPEG")


def test_a_frame_of_a_gif_does_not_show_through_the_next():
    red, holed = np.full((8, 8, 4), (255, 0, 0, 255), np.uint8), np.zeros((8, 8, 4), np.uint8)
    holed[:2] = 0, 255, 0, 255
    picture = Picture([red, holed, holed[::-1].copy(), red], "rgb", alpha=True, delays=[50] * 4)
    for (image, _), frame in zip(shown(written(picture, "GIF")), picture.frames, strict=True):
        same_where_seen(image, frame)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [3, 4])
def test_avif_of_more_than_8_bits(bits, channels, rng):
    stack = rng.integers(0, 2**bits, (2, 20, 24, channels)).astype(np.uint16)
    for image in (stack[0], stack):
        data = imagecodecs.avif_encode(image, bitspersample=bits, level=None)
        picture = imagefile.read(data)
        assert (len(picture.frames), picture.alpha) == (len(image) if image.ndim == 4 else 1, channels == 4)
        expected = np.rint(image.reshape(-1, 20, 24, channels) * (65535 / (2**bits - 1)))
        np.testing.assert_array_equal(picture.frames, expected)
        with pytest.raises(ImageFileError, match="more than the limit"):
            imagefile.read(data, max_pixels=20 * 24 * len(picture.frames) - 1)


def test_colours_of_a_large_gif_are_as_near_as_those_sought_among_all_its_pixels(tmp_path):
    photograph = data.astronaut()
    imagefile.write(Picture([photograph], "rgb"), tmp_path / "a.gif")
    image = Image.fromarray(photograph)
    few = image.quantize(palette=image.quantize(256, Image.Quantize.MEDIANCUT))

    def error(shown):
        return float(np.sqrt(((np.asarray(shown.convert("RGB"), float) - photograph) ** 2).mean()))

    with Image.open(tmp_path / "a.gif") as written:
        assert error(written) < 1.1 * error(few)


@pytest.mark.parametrize("colours", [200, 60000])
def test_frames_of_a_gif_are_the_same_for_every_number_of_threads(colours):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, colours, (60, 90, 1)) >> np.array([8, 4, 0]) & 255 for _ in range(7)]
    frames = [np.dstack([frame, rng.choice([0, 9, 255], (60, 90))]).astype(np.uint8) for frame in frames]
    frames[0][..., 3] = 255
    found = []
    for threads in (1, 2, 5):
        picture = Picture(list(frames), model="rgb", alpha=True, delays=[50.0] * 7)
        target = io.BytesIO()
        imagefile.write(picture, target, form="GIF", threads=threads)
        found.append((target.getvalue(), picture.losses))
    assert found[0] == found[1] == found[2]
    partial = "GIF holds no partial transparency: such pixels are shown whole or not at all"
    mixed = "GIF holds 256 colours a frame: more are mixed of dots"
    assert found[0][1] == ([mixed, partial] if colours > 256 else [partial])


def with_a_box_for_each_item(data):
    """Part the associations of an AVIF with two items, as early writers did."""
    place = data.index(b"ipma") - 4
    size, name, kind, count = struct.unpack_from(">L4sLL", data, place)
    entries, at = [], place + 16
    for _ in range(count):
        end = at + 3 + data[at + 2]
        entries.append(struct.pack(">L4sLL", 16 + end - at, name, kind, 1) + data[at:end])
        at = end
    more = 16 * (count - 1)
    changed = bytearray(data[:place] + b"".join(entries) + data[place + size :])
    for box in (b"meta", b"iprp"):
        start = changed.index(box) - 4
        changed[start : start + 4] = struct.pack(">L", struct.unpack_from(">L", changed, start)[0] + more)
    start = changed.index(b"iloc") + 4
    assert changed[start : start + 6] == b"\0\0\0\0\x44\0", "offsets and lengths of 4 bytes, none more"
    for number in range(struct.unpack_from(">H", changed, start + 6)[0]):
        offset = start + 8 + 14 * number + 6
        changed[offset : offset + 4] = struct.pack(">L", struct.unpack_from(">L", changed, offset)[0] + more)
    return bytes(changed)


@pytest.mark.parametrize("bits", [8, 10])
def test_associations_of_an_avif_may_lie_in_a_box_for_each_item(bits, rng):
    image = rng.integers(0, 2**bits, (20, 24, 4)).astype(np.uint8 if bits == 8 else np.uint16)
    data = imagecodecs.avif_encode(image, bitspersample=bits, level=None)
    parted = with_a_box_for_each_item(data)
    assert parted.count(b"ipma") == 2
    np.testing.assert_array_equal(imagefile.read(parted).frames, imagefile.read(data).frames)
    for length in range(16, len(parted), 5):
        with pytest.raises(ImageFileError):
            imagefile.read(parted[:length])
