"""What tests of the commands on networks share."""

import numpy as np
from commandline import cnnfilter
from PIL import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def net(*arguments, **options):
    return cnnfilter("net", *arguments, **options)


def size(path):
    with Image.open(path) as image:
        return image.size


def bars(folder, count=8, side=32, seed=0):
    """Write images by class: one bar along the rows, or along the columns."""
    random = np.random.default_rng(seed)
    for name in ("across", "down"):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = random.integers(0, 40, (side, side)).astype(np.uint8)
            at = int(random.integers(4, side - 8))
            pixels[
                (slice(at, at + 4), slice(None)) if name == "across" else (slice(None), slice(at, at + 4))
            ] = 250
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    return folder


def prepared_by_pillow(path):
    """Do what torchvision's ImageNet preset does: short side 256, middle 224, mean and deviation."""
    with Image.open(path) as image:
        wide, high = image.size
        short = min(wide, high)
        image = image.convert("RGB").resize(
            (256 * wide // short, 256 * high // short), Image.Resampling.BILINEAR
        )
        left, top = (round((side - 224) / 2) for side in image.size)
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return ((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)[None]
