"""What the site is built with, beside the pages of this folder: the pages of the root, and the equations.

mkdocs calls the functions named ``on_...``.
"""

import html
import re
from functools import cache
from pathlib import Path
from typing import Any

import ziafont
import ziamath
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

PAGES = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "ARCHITECTURE.md": "ARCHITECTURE.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
    "LICENSE": "licence.md",
}
"""Files of the root, and what they are called on the site, beside the pages of this folder."""

_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
# As the Markdown extension leaves an equation of a page, and as a docstring's ``.. math::`` comes out.
_EQUATION = re.compile(
    r'<(?:span|div) class="arithmatex">\\(?P<bracket>[(\[])(?P<inner>.*?)\\[)\]]</(?:span|div)>'
    r"|<p>\.\. math:: (?P<display>.*?)</p>",
    re.DOTALL,
)

ziafont.config.svg2 = False  # every equation has its own outlines: those of another one may have another size


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_moved(name)))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Draw the equations, which are written as LaTeX: outlines look the same without any font or script."""
    # reStructuredText announces a block of code by two colons.
    return _EQUATION.sub(_equation, content).replace("::</p>", ":</p>")


def _moved(name: str) -> str:
    """Return the text of a file of the root with its links as they are from this folder."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name == "LICENSE":
        return f"# Licence\n\n{text}"
    return _LINK.sub(lambda link: f"]({PAGES.get(link[1], link[1].removeprefix('docs/'))}", text)


def _equation(found: re.Match[str]) -> str:
    display = found["display"] is not None or found["bracket"] == "["
    return _drawn(html.unescape(found["display"] or found["inner"]), display)


@cache
def _drawn(latex: str, display: bool) -> str:
    """Return the SVG of an equation, standing on the line of the text around it."""
    equation = ziamath.Latex(latex, inline=not display, size=18, color="currentColor")
    style = "" if display else f' style="vertical-align: {equation.getyofst():.1f}px"'
    name = html.escape(latex.strip(), quote=True)
    drawn = equation.svg().replace("<svg ", f'<svg role="img" aria-label="{name}"{style} ', 1)
    return f'<div class="equation">{drawn}</div>' if display else drawn
