"""The command learn, as a process: what it finds, what it refuses, what it leaves behind."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, complaint, names, pixels
from PIL import Image
from scipy import ndimage
from skimage import data

from cnnfilter.learning.learnedfilter import LearnedFilter

pytestmark = pytest.mark.slow

MEAN = np.full((3, 3), 1 / 9)
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float)
PHOTO = data.astronaut()[:240, 100:360]


def filtered(image, *kernels):
    """What another program would do: correlate in float64, round, clip; a kernel for each channel."""
    planes = [
        ndimage.correlate(image[..., c].astype(float), kernels[c % len(kernels)], mode="mirror")
        for c in range(image.shape[2])
    ]
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def save(path, array, **more):
    Image.fromarray(array).save(path, **more)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures that several tests read and none changes."""
    folder = tmp_path_factory.mktemp("pictures")
    save(folder / "before.png", PHOTO)
    save(folder / "mean.png", filtered(PHOTO, MEAN))
    save(folder / "sharp.png", filtered(PHOTO, SHARPEN))
    save(folder / "three.png", filtered(PHOTO, MEAN, SHARPEN, MEAN.T * 0.5))
    save(folder / "turned.png", PHOTO[..., [1, 2, 0]])
    save(folder / "brighter.png", np.clip(0.5 * PHOTO + 40, 0, 255).round().astype(np.uint8))
    return folder


def learned(folder, after, output, *options, before="before.png"):
    run = cnnfilter("learn", folder / before, folder / after, "-o", output, "--json", *options)
    return json.loads(run.stdout), LearnedFilter.load(output)


def test_a_mean_is_learned_and_applied_to_another_photograph(folder, tmp_path):
    found = tmp_path / "mean.json"
    report, _ = learned(folder, "mean.png", found, "--size", 3)
    assert "explains this pair" in report["verdict"]
    record = json.loads(found.read_text())
    assert np.abs(np.array(record["weights"]) - 1 / 9).max() < 1e-3
    assert record["learned"]["size"] == [3, 3] and record["learned"]["ridge"] == 1e-9
    save(tmp_path / "coffee.png", data.coffee())
    for out, *command in (("ours.png", "learned", "--filter", found), ("exact.png", "mean")):
        cnnfilter(*command, tmp_path / "coffee.png", "-o", tmp_path / out)
    ours, exact = (pixels(tmp_path / name).astype(int) for name in ("ours.png", "exact.png"))
    assert np.abs(ours - exact).max() <= 1


def test_the_size_is_chosen_by_held_out_pixels(folder, tmp_path):
    report, found = learned(folder, "sharp.png", tmp_path / "f.json")
    assert set(report["sizes"]) == {"3x3", "5x5", "7x7"}
    assert found.kernel().shape == (3, 3)


def test_symmetric_and_sum_to_one(folder, tmp_path):
    _, free = learned(folder, "mean.png", tmp_path / "f.json", "--size", 5)
    _, bound = learned(folder, "mean.png", tmp_path / "g.json", "--size", 5, "--symmetric", "--sum-to-one")
    weights = bound.kernel().array
    for image in (weights[::-1], weights[:, ::-1], weights.T):
        np.testing.assert_allclose(image, weights, atol=1e-12)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert not np.allclose(free.kernel().array.T, free.kernel().array, atol=1e-12)


def test_the_descent_arrives_at_the_same_kernel(folder, tmp_path):
    _, exact = learned(folder, "sharp.png", tmp_path / "f.json", "--size", 5)
    report, descended = learned(folder, "sharp.png", tmp_path / "g.json", "--size", 5, "--method", "gradient")
    np.testing.assert_allclose(descended.kernel().array, exact.kernel().array, atol=1e-6)
    assert report["curve"][-1] < 1e-2 * report["curve"][0]


def test_a_kernel_for_each_channel_and_all_mixed(folder, tmp_path):
    _, found = learned(folder, "three.png", tmp_path / "f.safetensors", "--size", 3, "--colour", "separate")
    expected = [MEAN, SHARPEN, MEAN * 0.5]
    np.testing.assert_allclose(found.layers[0].weights[:, 0], expected, atol=2e-3)
    _, found = learned(folder, "turned.png", tmp_path / "f.safetensors", "--size", 1, "--colour", "mixed")
    np.testing.assert_allclose(found.layers[0].weights[..., 0, 0], np.eye(3)[[1, 2, 0]], atol=1e-3)
    out = tmp_path / "out.png"
    cnnfilter("learned", "--filter", tmp_path / "f.safetensors", folder / "before.png", "-o", out)
    np.testing.assert_array_equal(pixels(out), PHOTO[..., [1, 2, 0]])


def test_a_bias_is_learned_saved_and_applied(folder, tmp_path):
    _, found = learned(folder, "brighter.png", tmp_path / "f.json", "--size", 3, "--bias")
    assert found.bias * 255 == pytest.approx(40, abs=0.1)
    cnnfilter("learned", "--filter", tmp_path / "f.json", folder / "before.png", "-o", tmp_path / "out.png")
    difference = pixels(tmp_path / "out.png").astype(int) - pixels(folder / "brighter.png")
    assert np.abs(difference).max() <= 1
    run = cnnfilter("correlate", "--kernel", tmp_path / "f.json", folder / "before.png", "-o",
                    tmp_path / "no.png", status=2)  # fmt: skip
    assert "has a bias of 0.15" in complaint(run)


def test_pairs_of_two_folders(folder, tmp_path):
    for name, image in (("a.png", PHOTO), ("b.png", data.coffee()[:200, :300]), ("c.png", data.cat()[:200])):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "y").mkdir(exist_ok=True)
        save(tmp_path / "x" / name, image)
        save(tmp_path / "y" / name, filtered(image, SHARPEN))
    save(tmp_path / "x" / "alone.png", PHOTO)
    (tmp_path / "x" / "notes.txt").write_text("not a picture")
    found = tmp_path / "f.json"
    run = cnnfilter("learn", "--pairs", tmp_path / "x", tmp_path / "y", "-o", found, "--size", 3)
    assert complaint(run).startswith("note: 1 of the files have no partner, alone.png for one")
    np.testing.assert_allclose(LearnedFilter.load(found).kernel().array, SHARPEN, atol=1e-3)
    assert json.loads(found.read_text())["learned"]["pairs"] == 3


def test_frames_are_pairs(tmp_path):
    frames = [PHOTO[:120, :120], PHOTO[100:220, :120], PHOTO[:120, 130:250]]
    for name, images in (("a.tif", frames), ("b.tif", [filtered(x, MEAN) for x in frames])):
        first, *rest = [Image.fromarray(image) for image in images]
        first.save(tmp_path / name, save_all=True, append_images=rest)
    _, found = learned(tmp_path, "b.tif", tmp_path / "f.json", "--size", 3, before="a.tif")
    np.testing.assert_allclose(found.kernel().array, MEAN, atol=2e-3)
    save(tmp_path / "one.tif", frames[0])
    run = cnnfilter("learn", tmp_path / "a.tif", tmp_path / "one.tif", "-o", tmp_path / "g.json", status=1)
    assert "3 and 1 frames" in complaint(run)


def test_pictures_with_alpha_teach_what_the_commands_do_to_them(tmp_path):
    alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
    alpha[50:120, 60:150] = 0
    save(tmp_path / "a.png", np.dstack((PHOTO, alpha)))
    kernel = "1 2 1; 2 4 2; 1 2 1 / 16"
    cnnfilter("correlate", "--kernel", kernel, tmp_path / "a.png", "-o", tmp_path / "b.png")
    _, found = learned(tmp_path, "b.png", tmp_path / "f.json", "--size", 3, before="a.png")
    np.testing.assert_allclose(found.kernel().array * 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]], atol=0.05)
    save(tmp_path / "opaque.png", np.dstack((PHOTO, np.full_like(alpha, 255))))
    save(tmp_path / "c.png", filtered(PHOTO, MEAN))
    _, found = learned(tmp_path, "c.png", tmp_path / "f.json", "--size", 3, before="opaque.png")
    np.testing.assert_allclose(found.kernel().array, MEAN, atol=1e-3)


def test_reports_are_drawn(folder, tmp_path):
    for k, options in enumerate((["--size", 3], ["--size", 5, "--method", "gradient"])):
        learned(folder, "sharp.png", tmp_path / "f.json", *options, "--report", tmp_path / f"{k}.png")
        shown = pixels(tmp_path / f"{k}.png")
        assert shown.shape[0] > 600 and shown.shape[1] > 1000
        assert len(np.unique(shown.reshape(-1, shown.shape[2]), axis=0)) > 1000


def test_the_first_line_names_what_explains_the_pair_and_its_command_does(folder, tmp_path):
    pair = folder / "before.png", folder / "turned.png"
    run = cnnfilter("learn", *pair, "-o", tmp_path / "f.json", "--size", 3)
    first = run.stdout.decode().splitlines()[0]
    said = "A linear filter that mixes the channels explains this pair"
    assert first.startswith(f"{said} (a matrix of colours)")
    command = shlex.split(first.partition("Learn it with: ")[2])
    assert command[-2:] == ["--colour", "mixed"]
    again = cnnfilter(*command[1:])
    assert again.stdout.decode().startswith(said)
    cnnfilter("learned", "--filter", tmp_path / "f.safetensors", pair[0], "-o", tmp_path / "out.png")
    np.testing.assert_array_equal(pixels(tmp_path / "out.png"), pixels(pair[1]))


def test_a_curve_is_learned_and_applied_beside_transparency(folder, tmp_path):
    bright = np.clip(np.rint(255 * (PHOTO / 255) ** (1 / 2.2)), 0, 255).astype(np.uint8)
    save(tmp_path / "bright.png", bright)
    found = tmp_path / "f.safetensors"
    run = cnnfilter("learn", folder / "before.png", tmp_path / "bright.png", "-o", found, "--curve")
    assert "explains this pair (a gamma curve: values to the power 0.45" in run.stdout.decode()
    alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
    alpha[50:120, 60:150] = 0
    save(tmp_path / "a.png", np.dstack((PHOTO, alpha)))
    cnnfilter("learned", "--filter", found, tmp_path / "a.png", "-o", tmp_path / "out.png")
    out = pixels(tmp_path / "out.png").astype(int)
    np.testing.assert_array_equal(out[..., 3], alpha)
    assert np.abs(out[..., :3] - bright)[alpha > 0].max() <= 2
    run = cnnfilter("learned", "--filter", found, tmp_path / "a.png", "--explain")
    assert b"a tone curve after them" in run.stdout


def test_a_stride_is_said_and_applied(folder, tmp_path):
    save(tmp_path / "half.png", filtered(PHOTO, MEAN)[::2, ::2])
    options = "-o", tmp_path / "f.json", "--size", 3
    run = cnnfilter("learn", folder / "before.png", tmp_path / "half.png", *options, "--stride", 2)
    assert b"apply it with --stride 2" in run.stdout
    out = tmp_path / "out.png"
    cnnfilter("learned", "--filter", tmp_path / "f.json", folder / "before.png", "--stride", 2, "-o", out)
    assert np.abs(pixels(out).astype(int) - pixels(tmp_path / "half.png")).max() <= 1


def test_names_that_differ_in_the_suffix_are_pairs(tmp_path):
    for side in ("x", "y"):
        (tmp_path / side).mkdir()
    save(tmp_path / "x" / "a.png", PHOTO)
    save(tmp_path / "y" / "a.bmp", filtered(PHOTO, MEAN))
    for name in ("b.png", "b.bmp"):  # which of the two?
        save(tmp_path / "x" / name, PHOTO)
    save(tmp_path / "y" / "b.tif", PHOTO)
    options = "-o", tmp_path / "f.json", "--size", 3
    run = cnnfilter("learn", "--pairs", tmp_path / "x", tmp_path / "y", *options)
    assert complaint(run).startswith("note: 3 of the files have no partner")
    np.testing.assert_allclose(LearnedFilter.load(tmp_path / "f.json").kernel().array, MEAN, atol=2e-3)


def test_an_opaque_result_of_a_transparent_picture_is_refused(folder, tmp_path):
    alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
    alpha[:10, :10] = 0
    save(tmp_path / "a.png", np.dstack((PHOTO, alpha)))
    run = cnnfilter("learn", tmp_path / "a.png", folder / "mean.png", "-o", tmp_path / "f.json", status=1)
    assert "before is transparent in 100 pixels, after is opaque: flatten before" in complaint(run)


class TestStack:
    def test_is_trained_on_clean_pictures(self, tmp_path):
        (tmp_path / "clean").mkdir()
        for k in range(3):
            save(tmp_path / "clean" / f"{k}.png", PHOTO[40 * k :, 40 * k :])
        found = tmp_path / "s.safetensors"
        run = cnnfilter(
            "learn", "--clean", tmp_path / "clean", "--degrade", "noise:30", *self.OPTIONS, "--augment",
            "--average", "0.9", "--rate", "0.01", "--patch", 16, "--memory", "100KiB", "-o", found, "--json",
        )  # fmt: skip
        report = json.loads(run.stdout)
        assert report["options"]["augment"] is True and report["options"]["average"] == 0.9
        assert report["psnr"] > report["psnr_identity"] and names(tmp_path) == ["clean", "s.safetensors"]
        run = cnnfilter(
            "learn", "--clean", tmp_path, "--degrade", "fog:3", "--layers", 2, "-o", found, status=2
        )
        assert "--degrade 'fog:3' is not noise:5-50" in complaint(run)

    OPTIONS = ("--layers", "2", "--channels", "2", "--steps", "40")

    def test_is_trained_applied_and_leaves_no_checkpoint(self, folder, tmp_path):
        found = tmp_path / "stack.safetensors"
        report = tmp_path / "r.png"
        run = cnnfilter(
            "learn",
            folder / "sharp.png",
            folder / "before.png",
            "-o",
            found,
            *self.OPTIONS,
            "--report",
            report,
        )
        assert b"single kernel" in run.stdout
        assert names(tmp_path) == ["r.png", "stack.safetensors"]
        out = tmp_path / "out.png"
        cnnfilter("learned", "--filter", found, folder / "sharp.png", "-o", out)
        assert pixels(out).shape == PHOTO.shape

    def test_goes_on_after_an_interruption(self, folder, tmp_path):
        pair = folder / "sharp.png", folder / "before.png"
        options = ("--layers", "2", "--channels", "2", "--steps", "400", "--json")
        whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
        cnnfilter("learn", *pair, "-o", whole, *options)
        process = subprocess.Popen(
            [*COMMAND, "learn", *map(str, pair), "-o", str(broken), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not (tmp_path / "broken.safetensors.checkpoint").exists() and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM, said
        assert b"--resume goes on from" in said
        assert not broken.exists()
        cnnfilter("learn", *pair, "-o", broken, *options, "--resume")
        assert broken.read_bytes() == whole.read_bytes()
        assert names(tmp_path) == ["broken.safetensors", "whole.safetensors"]

    def test_resume_without_a_checkpoint_begins(self, folder, tmp_path):
        found = tmp_path / "s.safetensors"
        run = cnnfilter(
            "learn", folder / "sharp.png", folder / "before.png", "-o", found, *self.OPTIONS, "--resume"
        )
        assert complaint(run).endswith("training begins") and found.exists()


def noisy(array):
    broken = array.astype(np.float32) / 255
    broken[3, 4] = np.nan
    return broken


BAD_PAIRS = {
    "size": (PHOTO, PHOTO[:100], "before has 240x260 pixels, after 100x260: give equal sizes"),
    "depth": (PHOTO.astype(np.uint16), PHOTO, "before is uint16, after is uint8, and the one of 16 bits"),
    "types": (PHOTO.astype(np.float32), PHOTO, "before is float32, after is uint8: give equal depths"),
    "channels": (PHOTO[..., 0], PHOTO, "before has 1 channels, after 3: convert before"),
    "half the size": (PHOTO, PHOTO[::2, ::2], "--stride 2 learns what makes it smaller"),
    "identical": (PHOTO, PHOTO, "before and after are identical"),
    "flat before": (np.full_like(PHOTO, 9), PHOTO, "before is flat, every value is 9"),
    "flat after": (PHOTO, np.full_like(PHOTO, 255), "after is flat, every value is 255"),
    "too few": (PHOTO[:9, :9], PHOTO[1:10, 1:10], "too few pixels: 9x9 leaves 49 targets"),
    "one row": (PHOTO[:1], PHOTO[1:2], "too few pixels: 1x260 leaves 0 targets"),
    "saturated": (PHOTO, np.where(PHOTO > 250, 254, 255).astype(np.uint8), "too few usable pixels"),
    "NaN": (noisy(PHOTO), PHOTO.astype(np.float32) / 255, "before holds NaN or infinite values"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_pairs_that_teach_nothing_are_refused(tmp_path, case):
    before, after, said = BAD_PAIRS[case]
    np.save(tmp_path / "before.npy", before)
    np.save(tmp_path / "after.npy", after)
    run = cnnfilter(
        "learn", tmp_path / "before.npy", tmp_path / "after.npy", "-o", tmp_path / "f.json",
        "--report", tmp_path / "r.png", status=1,
    )  # fmt: skip
    assert not run.stdout
    line = complaint(run)
    assert line.startswith("too few") or "before.npy and" in line
    assert re.search(said, line), line
    assert names(tmp_path) == ["after.npy", "before.npy"]


@pytest.mark.parametrize("options", [(), ("--layers", "2")])
def test_pictures_that_cannot_be_read(folder, tmp_path, options):
    whole = (folder / "before.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for path, said in ((tmp_path / "cut.png", "cut.png: truncated"), (tmp_path / "no.png", "no.png")):
        run = cnnfilter(
            "learn", path, folder / "mean.png", "-o", tmp_path / "f.safetensors", *options, status=1
        )
        assert said in complaint(run)
    assert names(tmp_path) == ["cut.png"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "f.pkl"], "saved as .json or .safetensors"),
        (["-o", "f.json", "--colour", "mixed"], "give a name that ends in .safetensors"),
        (["-o", "f.json", "--layers", "2"], "give a name that ends in .safetensors"),
        (["-o", "f.json", "--steps", "9"], "--steps needs --layers"),
        (["-o", "f.safetensors", "--layers", "2", "--bias"], "--bias is for one kernel"),
        (["-o", "f.safetensors", "--layers", "2", "--colour", "separate"], "shared or mixed"),
        (["-o", "f.json", "--size", "0"], "'0' is not auto or a number of pixels"),
        (["-o", "f.json", "--size", "huge"], "'huge' is not auto"),
        (["-o", "f.json", "--size", "4", "--symmetric"], "a symmetric kernel has a middle"),
        (["-o", "f.json", "--ridge", "nan"], "nan is not a number of 0 or more"),
        (["-o", "f.json", "--ridge", "-1"], "-1.0 is not a number of 0 or more"),
        (["-o", "f.json", "--report", "r.doc"], "give a name that ends in .png"),
        (["-o", "f.json", "--pairs", ".", "."], "not both"),
        (["-o", "f.json", "--linear"], "give a name that ends in .safetensors"),
        (["-o", "f.json", "--curve"], "give a name that ends in .safetensors"),
        (["-o", "f.safetensors", "--curve", "--bias"], "--bias is for a kernel alone, not with --curve"),
        (["-o", "f.safetensors", "--curve", "--colour", "mixed"], "not with --colour mixed"),
        (["-o", "f.safetensors", "--curve", "--layers", "2"], "not with --layers"),
        (["-o", "f.json", "--stride", "0"], "0 is not in the range"),
        (["-o", "f.json", "--patience", "9"], "--patience needs --layers"),
        (["-o", "f.safetensors", "--layers", "2", "--linear"], "--linear is for one kernel"),
        (["-o", "f.safetensors", "--layers", "2", "--clean", ".", "--degrade", "noise:9"], "makes the pairs"),
        (["-o", "f.safetensors", "--layers", "2", "--degrade", "noise:9"], "go together"),
    ],
)
def test_usage(folder, tmp_path, options, said):
    run = cnnfilter("learn", folder / "before.png", folder / "mean.png", *options, cwd=tmp_path, status=2)
    assert said in complaint(run)
    assert names(tmp_path) == []


def test_pictures_are_not_written_over(tmp_path):
    for name, image in (("a.png", PHOTO), ("b.png", filtered(PHOTO, MEAN))):
        save(tmp_path / name, image)
    kept = (tmp_path / "a.png").read_bytes()
    run = cnnfilter("learn", "a.png", "b.png", "-o", "f.json", "--report", "./a.png", cwd=tmp_path, status=2)
    assert "./a.png is one of the pictures" in complaint(run)
    cnnfilter("learn", "a.png", "b.png", "-o", "f.json", cwd=tmp_path)
    run = cnnfilter("learned", "--filter", "f.json", "a.png", "--maps", "a.png", cwd=tmp_path, status=2)
    assert "is the input itself" in complaint(run)
    assert (tmp_path / "a.png").read_bytes() == kept


def test_places_that_cannot_be_written_are_seen_before_the_work(folder, tmp_path):
    pair = folder / "before.png", folder / "mean.png"
    run = cnnfilter("learn", *pair, "-o", "none/f.json", cwd=tmp_path, status=1)
    assert complaint(run) == "none/f.json: there is no folder none"
    run = cnnfilter("learn", *pair, "-o", "f.json", "--report", "none/r.png", cwd=tmp_path, status=1)
    assert complaint(run) == "none/r.png: there is no folder none"
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    run = cnnfilter("learn", "--pairs", "x", "y", "-o", "f.json", cwd=tmp_path, status=1)
    assert "share no file name" in complaint(run)
    run = cnnfilter("learn", "--pairs", "x", "z", "-o", "f.json", cwd=tmp_path, status=1)
    assert "z" in complaint(run)
    assert names(tmp_path) == ["x", "y"]


def image_magick():
    """Find a real ImageMagick: other programs go by the name of convert, too."""
    for name in ("/usr/bin/convert", "magick", "convert"):
        program = shutil.which(name)
        if program:
            told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
            if told.returncode == 0 and "ImageMagick Studio" in told.stdout:
                return program
    return None


@pytest.mark.skipif(image_magick() is None, reason="ImageMagick is not installed")
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["-unsharp", "0x1.5+0.8+0"], ["--size", "13"]),
        (["-unsharp", "0x1+1+0"], []),
        (["-morphology", "Convolve", "3: -2,-1,0 -1,1,1 0,1,2"], []),
        (["-bias", "50%", "-morphology", "Convolve", "3: -1,-0.5,0 -0.5,0,0.5 0,0.5,1"], ["--bias"]),
        (["-gaussian-blur", "0x1.2"], ["--size", "9"]),
    ],
    ids=["unsharp 1.5", "unsharp 1", "emboss", "relief", "gaussian"],
)
def test_filters_of_imagemagick_are_cloned(tmp_path, arguments, options):
    for name, image in (("seen", data.astronaut()), ("unseen", data.coffee())):
        save(tmp_path / f"{name}.png", image)
        command = [image_magick(), f"{name}.png", *arguments, "-depth", "8", f"PNG24:{name}-after.png"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    learned(tmp_path, "seen-after.png", tmp_path / "f.json", *options, before="seen.png")
    cnnfilter(
        "learned", "--filter", tmp_path / "f.json", tmp_path / "unseen.png", "-o", tmp_path / "ours.png"
    )
    inner = (slice(16, -16), slice(16, -16))
    ours, wanted = (pixels(tmp_path / n)[inner].astype(float) for n in ("ours.png", "unseen-after.png"))
    free = (wanted > 0) & (wanted < 255)
    error = np.mean(np.square(ours - wanted)[free])
    assert 10 * np.log10(255**2 / max(error, 1e-9)) >= 45
