"""Draw the pictures of these pages again and renew their tables: python docs/networks/make_pages.py."""

import re
from pathlib import Path

import numpy as np

from cnnfilter.drawing.diagram import draw_network
from cnnfilter.drawing.networks import draw_kernels, draw_sheet
from cnnfilter.nn.data import Data, prepare
from cnnfilter.nn.describe import describe, times
from cnnfilter.nn.fit import fit
from cnnfilter.nn.models import MODELS, build
from cnnfilter.nn.models.recipes import recipe

FOLDER = Path(__file__).parent
PICTURES = (
    "lenet5", "alexnet", "googlenet", "resnet18", "resnet50", "highway", "highway-convolutional",
)  # fmt: skip
LEARNED = "lenet5-kernels", "lenet5-maps"
TABLE = re.compile(r"(<!-- table (\S+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def totals() -> str:
    """Return the table of all networks as Markdown."""
    lines = ["| network | image | parameters | multiply-adds |", "|---|---|--:|--:|"]
    for name in MODELS:
        network = build(name)
        sums = describe(network).totals
        lines.append(
            f"| `{name}` | {times(network.shape)} | {sums['parameters']:,} | {sums['multiply_adds']:,} |"
        )
    return "\n".join(lines)


def table(name: str) -> str:
    """Return the table that a marker in a page names: of one network, or of all."""
    return totals() if name == "totals" else describe(build(name)).markdown()


def renewed(page: str) -> str:
    """Return the text of a page with its tables renewed."""
    return TABLE.sub(lambda found: f"{found[1]}{table(found[2])}\n", page)


def draw_learned() -> None:
    """Train LeNet-5 on scikit-learn's digits; draw the kernels of C3 and what they make of a digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    network = build("lenet5").initialise(seed=0)
    images = [
        prepare(image[..., None] / 16, network.shape, network.preprocessing)
        for image in digits.images.astype(np.float32)
    ]
    labelled = Data(np.stack(images), digits.target, [str(name) for name in digits.target_names])
    training, held_out = labelled.split(0.1, seed=0)
    fit(network, training, held_out, recipe("lenet5", epochs=20))
    kernels, maps = (str(FOLDER / f"{name}.png") for name in LEARNED)
    draw_kernels(network.layer("c3").parameters["weight"], "lenet5 c3", kernels)
    three = held_out.images[held_out.labels == 3][:1]
    draw_sheet(network.outputs(three, ["c3"])["c3"][0], "lenet5 c3, 16x10x10: a digit 3", maps)


if __name__ == "__main__":
    for path in FOLDER.glob("*.md"):
        path.write_text(renewed(path.read_text()))
    for name in PICTURES:
        draw_network(build(name), str(FOLDER / f"{name}.png"))
    draw_learned()
