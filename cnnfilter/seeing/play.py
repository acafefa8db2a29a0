"""The page to play with: one HTML file that holds everything it needs."""

import json
import re
from importlib.resources import files

from cnnfilter._version import __version__
from cnnfilter.kernels.named import REGISTRY, named

KERNELS = (
    "identity", "mean", "mean:5", "gaussian:3:0.8:integer", "gaussian:5:1", "gaussian-159", "gaussian-273",
    "binomial:5", "disk", "motion:5:45", "sharpen", "unsharp:5", "emboss",
    "second-derivative:x", "second-derivative:y", "laplacian-4", "laplacian-8", "log:9:1.4", "dog:9",
    "sobel-x", "sobel-y", "scharr-x", "scharr-y", "prewitt-x", "prewitt-y", "roberts-x", "roberts-y",
    "kirsch-n", "kirsch-w",
)  # fmt: skip
"""The named kernels that the page offers: all have at most 9 rows and columns."""


def page() -> str:
    """Return the page, with its style, its scripts and the kernels inside.

    Examples
    --------
    >>> page().startswith("<!DOCTYPE html>")
    True
    """
    style = f"<style>\n{_text('play.css')}</style>"
    html = _text("play.html").replace('<link rel="stylesheet" href="play.css">', style)
    return re.sub(
        r'<script src="(\w+\.js)"></script>', lambda found: f"<script>\n{_script(found[1])}</script>", html
    )


def _script(name: str) -> str:
    return _kernels() if name == "kernels.js" else _text(name)


def _kernels() -> str:
    """Write the version and the kernels as a script."""
    summaries = {entry.name: entry.summary for entry in REGISTRY}
    kernels = [
        {
            "name": name,
            "summary": summaries[name.partition(":")[0]],
            "weights": kernel.weights.tolist(),
            "divisor": kernel.divisor,
        }
        for name in KERNELS
        for kernel in [named(name)]
    ]
    return (
        f'"use strict";\nconst VERSION = {json.dumps(__version__)};\nconst KERNELS = {json.dumps(kernels)};\n'
    )


def _text(name: str) -> str:
    return files("cnnfilter.seeing").joinpath("page", name).read_text(encoding="utf-8")
