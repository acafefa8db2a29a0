"""Draw the pictures of these pages again and renew their tables: python docs/networks/make_pages.py."""

import re
from pathlib import Path

from cnnfilter.nn.describe import describe, times
from cnnfilter.nn.diagram import draw_network
from cnnfilter.nn.models import MODELS, build

FOLDER = Path(__file__).parent
PICTURES = (
    "lenet5", "alexnet", "googlenet", "resnet18", "resnet50", "highway", "highway-convolutional",
)  # fmt: skip
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


if __name__ == "__main__":
    for path in FOLDER.glob("*.md"):
        path.write_text(renewed(path.read_text()))
    for name in PICTURES:
        draw_network(build(name), str(FOLDER / f"{name}.png"))
