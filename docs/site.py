"""What the site is built with, beside the pages of this folder: the pages of the root, and the equations.

mkdocs calls the functions named ``on_...``.
"""

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
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
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_moved(name)))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Turn the equations, which are written as LaTeX, into MathML, which browsers set by themselves."""
    return _EQUATION.sub(_mathml, content)


def _moved(name: str) -> str:
    """Return the text of a file of the root with its links as they are from this folder."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name == "LICENSE":
        return f"# Licence\n\n{text}"
    return _LINK.sub(lambda link: f"]({PAGES.get(link[1], link[1].removeprefix('docs/'))}", text)


def _mathml(equation: re.Match[str]) -> str:
    display = "inline" if equation[2] == "(" else "block"
    return str(convert(html.unescape(equation[3]), display=display))
