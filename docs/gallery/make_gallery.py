"""Make docs/gallery.md, its pictures, and that of the README: python docs/gallery/make_gallery.py.

Every picture is what its commands make of the sample images; given a folder, all is written there instead.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]
GAP = 8
CAPTION = 26
FACE = (120, 8, 320, 208)
"""The part of astronaut.png that is shown: left, top, right, bottom."""
HERO_FACE = (142, 16, 302, 176)
"""The same for the README."""


class Entry(NamedTuple):
    """A picture: the sample and what the last of the commands makes of it, side by side."""

    name: str
    title: str
    words: str
    sample: str
    commands: tuple[str, ...]
    box: tuple[int, int, int, int] | None = None
    zoom: int = 1
    shown: int = 1

    @property
    def results(self) -> list[str]:
        """The files that are shown: what the last command writes, or several."""
        return [shlex.split(command.partition(" -- ")[0])[-1] for command in self.commands[-self.shown :]]


ENTRIES = [
    Entry(
        "mean", "Mean", "A square window lets some high frequencies through, with their sign reversed.",
        "zone_plate.png", ("cnnfilter mean --size 9 sample_images/zone_plate.png -o mean.png",),
        (256, 256, 512, 512),
    ),
    Entry(
        "gaussian", "Gaussian", "A Gaussian does not, and it treats all directions alike.",
        "zone_plate.png", ("cnnfilter gaussian --sigma 2.6 sample_images/zone_plate.png -o gaussian.png",),
        (256, 256, 512, 512),
    ),
    Entry(
        "alpha", "Transparency", "The sample hides magenta around the disc: what is hidden does not bleed.",
        "alpha.png", ("cnnfilter gaussian --sigma 8 sample_images/alpha.png -o alpha.png",),
    ),
    Entry(
        "sharpen", "Sharpen", "A kernel by its name; `cnnfilter kernel list` has them all.",
        "astronaut.png",
        ("cnnfilter convolve --kernel sharpen sample_images/astronaut.png -o sharp.png",), FACE,
    ),
    Entry(
        "slope", "Signed results", "Mid-grey is zero under `--range offset`.",
        "astronaut.png",
        ("cnnfilter correlate --kernel sobel-x --range offset sample_images/astronaut.png -o slope.png",),
        FACE,
    ),
    Entry(
        "edges", "Edges", "Smoothed and differentiated in one command: rounded once, at the end.",
        "astronaut.png",
        ("cnnfilter pipe sample_images/astronaut.png --range stretch -o edges.png"
         " -- gaussian --sigma 1 then second-derivative",), FACE,
    ),
    Entry(
        "derivative", "Second derivative", "1 -2 1 along x, as its absolute value.",
        "text.png", ("cnnfilter second-derivative --axis x sample_images/text.png -o lines.png",),
        (0, 0, 256, 92),
    ),
    Entry(
        "gradient", "Gradient", "The hue is where it grows brighter: red to the right.",
        "astronaut.png",
        ("cnnfilter pipe sample_images/astronaut.png --range stretch -o gradient.png"
         " -- gaussian --sigma 1 then gradient --show colour",), FACE,
    ),
    Entry(
        "direction", "Direction",
        "Mid-grey where it grows brighter to the right, light downwards, dark upwards.", "astronaut.png",
        ("cnnfilter pipe sample_images/astronaut.png -o direction.png"
         " -- gaussian --sigma 2 then gradient --show direction",), FACE,
    ),
    Entry(
        "unsharp", "Unsharp mask", "What a Gaussian takes away is added, where it is more than noise.",
        "astronaut.png",
        ("cnnfilter unsharp --sigma 2 --threshold 4 sample_images/astronaut.png -o unsharp.png",), FACE,
    ),
    Entry(
        "pool", "Pooling", "The brightest of every 8 x 8 pixels, shown 8 times as large.",
        "astronaut.png", ("cnnfilter pool max --size 8 sample_images/astronaut.png -o small.png",), FACE, 8,
    ),
    Entry(
        "motion", "Your own kernel",
        "Typed on the command line: semicolons separate the rows, the divisor comes last.",
        "rocket.jpg",
        ('cnnfilter convolve --kernel "1 0 0 0 0; 0 1 0 0 0; 0 0 1 0 0; 0 0 0 1 0; 0 0 0 0 1 / 5"'
         " sample_images/rocket.jpg -o moved.jpg",),
        (220, 100, 420, 300),
    ),
    Entry(
        "boundary", "Boundaries",
        "Zeros beside the image darken its border (middle); mirrored, as by default, it stays (right).",
        "steps.png",
        ("cnnfilter gaussian --sigma 12 --boundary zero sample_images/steps.png -o dark.png",
         "cnnfilter gaussian --sigma 12 sample_images/steps.png -o mirrored.png"),
        shown=2,
    ),
    Entry(
        "learned", "Learned", "A kernel found from a before/after pair, applied to another picture.",
        "rocket.jpg",
        ("cnnfilter convolve --kernel emboss sample_images/astronaut.png -o after.png",
         "cnnfilter learn sample_images/astronaut.png after.png -o look.json",
         "cnnfilter learned --filter look.json sample_images/rocket.jpg -o look.jpg"),
        (220, 100, 420, 300),
    ),
]  # fmt: skip

HERO = (
    "gaussian --sigma 4",
    "convolve --kernel sharpen",
    "convolve --kernel laplacian-8",
    "convolve --kernel emboss",
)
"""What the README shows of one photograph."""


def main(target: Path) -> None:
    """Write all pictures below `target`, and the page."""
    pictures = target / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sample_images").symlink_to(ROOT / "sample_images")
        for entry in ENTRIES:
            for command in entry.commands:
                run(command, folder)
            before = part(ROOT / "sample_images" / entry.sample, entry.box)
            after = [result_part(Path(folder) / result, entry) for result in entry.results]
            save(side_by_side([before, *after]), pictures / file_name(entry))
        save(hero(folder), pictures / "hero.png")
    (target / "gallery.md").write_text(page())


def page() -> str:
    """Write the page."""
    lines = ["# Gallery", "", "The sample on the left, what the command makes of it on the right."]
    lines += ["`python docs/gallery/make_gallery.py` makes pictures and page again.", ""]
    for entry in ENTRIES:
        lines += [f"## {entry.title}", "", entry.words, "", "```sh", *entry.commands, "```", ""]
        lines += [f"![{entry.title}](gallery/{file_name(entry)})", ""]
    return "\n".join(lines)


def file_name(entry: Entry) -> str:
    """Name an entry's picture: photographs are JPEGs, charts are not."""
    return entry.name + (".jpg" if entry.sample in ("astronaut.png", "rocket.jpg") else ".png")


def run(command: str, folder: str) -> None:
    """Run a command of this Python's cnnfilter."""
    program, *arguments = shlex.split(command)
    assert program == "cnnfilter"
    subprocess.run(
        [sys.executable, "-m", "cnnfilter", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )


def part(path: Path, box: tuple[int, int, int, int] | None) -> Image.Image:
    """Cut the part of a picture that is shown; what is transparent shows white."""
    with Image.open(path) as image:
        shown = image.crop(box) if box else image.copy()
    if shown.mode == "RGBA":
        paper = Image.new("RGBA", shown.size, "white")
        shown = Image.alpha_composite(paper, shown)
    return shown.convert("RGB")


def result_part(path: Path, entry: Entry) -> Image.Image:
    """Cut the same part of a result, which may be smaller by the entry's zoom."""
    box = entry.box and tuple(side // entry.zoom for side in entry.box)
    shown = part(path, box)  # type: ignore[arg-type]
    return shown.resize((shown.width * entry.zoom, shown.height * entry.zoom), Image.Resampling.NEAREST)


def hero(folder: str) -> Image.Image:
    """Lay the photograph and its filters in a row, each with its command below."""
    tiles = [part(ROOT / "sample_images" / "astronaut.png", HERO_FACE)]
    for arguments in HERO:
        run(f"cnnfilter {arguments} sample_images/astronaut.png -o hero.png", folder)
        tiles.append(part(Path(folder) / "hero.png", HERO_FACE))
    row = side_by_side(tiles)
    sheet = Image.new("RGB", (row.width, row.height + CAPTION), "white")
    sheet.paste(row)
    draw = ImageDraw.Draw(sheet)
    for index, words in enumerate(("the photograph", *HERO)):
        middle = index * (tiles[0].width + GAP) + tiles[0].width // 2
        draw.text(
            (middle, row.height + CAPTION // 2), words, "black", ImageFont.load_default(12), anchor="mm"
        )
    return sheet


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """Lay images of one height in a row."""
    width = sum(image.width + GAP for image in images) - GAP
    row = Image.new("RGB", (width, max(image.height for image in images)), "white")
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width + GAP
    return row


def save(image: Image.Image, path: Path) -> None:
    """Save it small: grey where there is no colour, JPEG where the name says so."""
    grey = image.convert("L")
    if grey.convert("RGB").tobytes() == image.tobytes():
        image = grey
    image.save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
