"""Documentation: its commands run, its links lead somewhere, its functions and tests exist."""

import ast
import importlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnfilter
from cnnfilter.batch.process import Outcome
from cnnfilter.cli.doctor import ENVIRONMENT

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sample_images/*.md")])

SET_UP = re.compile(r"python3 -m venv \.venv && \.venv/bin/pip install -e (\S+) && ")


def page_name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    """Return the commands of the page, one a line, in their order."""
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with the sample images and a `cnnfilter` that is this Python's."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "sample_images", folder / "sample_images")
    shutil.copytree(ROOT / "docs" / "learning", folder / "docs" / "learning")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    program = programs / "cnnfilter"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cnnfilter "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": python_path}

    def run(command):
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


SHOWN = ("notes-at-the-shell", "equations")
"""Pages whose commands are followed by what they say."""


def both(name):
    """Return a page and its Chinese twin."""
    return tuple(ROOT / "docs" / f"{name}{language}.md" for language in ("", ".zh-CN"))


RUN_ELSEWHERE = {page for name in SHOWN for page in both(name)} | {
    page for page in PAGES if page.name.endswith(".zh-CN.md") and page.parent != ROOT
}
"""Twins in Chinese have the same commands, and the answers of two pages are compared."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if commands(page) and page not in RUN_ELSEWHERE],
    ids=page_name,
)
def test_commands_run(page, shell, tmp_path_factory):
    """Every command of a page, in order; what a set-up installs is taken as installed."""
    for command in commands(page):
        command = SET_UP.sub("", command)
        if command == ".venv/bin/python -m pytest":
            continue
        done = shell(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_the_first_command_makes_the_picture_it_names(shell):
    command = SET_UP.sub("", commands(ROOT / "README.md")[0])
    assert command.startswith(".venv/bin/cnnfilter ")
    output = command.split()[-1]
    done = shell(f"{command} && test -s {output}")
    assert done.returncode == 0, done.stderr


def test_continuous_integration_runs_the_test_command_of_the_readme():
    set_up, tests = commands(ROOT / "README.md")[1].rsplit(" && ", 1)
    script = (ROOT / ".ci" / "run").read_text().replace('"$environment"', ".venv")
    assert f"\n{set_up}\n" in script
    assert f"\n{tests}\n" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=page_name)
def test_python_examples(page, tmp_path):
    """In a process of its own, as a reader runs them: a bound of memory counts all that a process holds."""
    examples = tmp_path / "examples.txt"
    examples.write_text("\n".join(blocks(page, "python")))
    assert ">>> " in examples.read_text()
    command = [sys.executable, "-m", "doctest", "-o", "NORMALIZE_WHITESPACE", str(examples)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name in cnnfilter.__all__ if name != "__version__"])
def test_every_public_name_is_listed_and_has_its_reference(name):
    assert re.search(rf"\b{name}\b", cnnfilter.__doc__)
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    assert re.search(rf"^::: cnnfilter\.{name}\b", pages, re.MULTILINE)


def test_the_rooms_of_the_house_exist():
    rows = re.findall(r"^\| \d+ \| (.*?) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    rooms = {room for row in rows for room in re.findall(r"`([\w/]+?)/?`", row)}
    package = ROOT / "cnnfilter"
    assert all((package / room).is_dir() or (package / f"{room}.py").is_file() for room in rooms), rooms
    named = {
        path.stem for path in package.iterdir() if not path.name.startswith("_") and path.suffix != ".typed"
    }
    assert named - rooms == {"imagefile"}  # the old name of `files`


def test_fields_and_variables_are_written_down():
    page = (ROOT / "docs" / "formats.md").read_text()
    for name in {*Outcome._fields, *ENVIRONMENT} - {"losses"}:  # the notes hold those too
        assert f"`{name}`" in page, name


def script(name):
    """Import a script of the documentation."""
    specification = importlib.util.spec_from_file_location(Path(name).stem, ROOT / "docs" / name)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_reference_of_commands_is_what_they_say():
    """`python docs/make_commands.py` writes it anew."""
    made = script("make_commands.py")
    assert made.PAGE.read_text() == made.reference()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_shows_what_its_commands_say(name):
    """`python docs/make_shown.py` writes it anew."""
    page = both(name)[0].read_text()
    assert script("make_shown.py").made(page) == page


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_in_chinese_shows_the_same(name):
    page, chinese = both(name)
    for language in ("sh", "text", "python"):
        assert blocks(page, language) == blocks(chinese, language)
    for one, other in ((page, chinese), (chinese, page)):
        assert f"]({other.name})" in one.read_text()


NETWORKS = [path.stem for path in (ROOT / "docs" / "networks").glob("*.md") if "." not in path.stem]


@pytest.mark.parametrize("name", ["learning", *(f"networks/{name}" for name in NETWORKS)])
def test_a_twin_in_chinese_has_the_same_commands_tables_and_pictures(name):
    page, chinese = both(name)

    def parts(path):
        text = path.read_text()
        tables = re.findall(r"<!-- table (\S+) -->", text)
        headings = re.findall(r"^#+(?= )", text, re.MULTILINE)
        return (
            blocks(path, "sh"),
            blocks(path, "text"),
            tables,
            re.findall(r"!\[.*?\]\((.*?)\)", text),
            headings,
        )

    assert parts(page) == parts(chinese)
    for one, other in ((page, chinese), (chinese, page)):
        assert f"]({other.name})" in one.read_text()
        links = re.findall(r"\]\((\w+)(?:\.zh-CN)?\.md\)", one.read_text())
        assert set(links) == set(re.findall(r"\]\((\w+)(?:\.zh-CN)?\.md\)", other.read_text()))


def test_the_equations_in_chinese_are_the_same():
    """Their formulas, functions and tests; and as many sections."""
    page, chinese = both("equations")
    assert named_in(page) == named_in(chinese)
    for pattern in (r"^\$\$.*\$\$$", r"^#+(?= )"):
        found = [re.findall(pattern, one.read_text(), re.MULTILINE) for one in (page, chinese)]
        assert found[0] == found[1]


LEARNING = ROOT / "docs" / "learning.md"


@pytest.mark.slow
def test_the_page_on_learning_shows_what_the_commands_say(shell):
    """What follows a command as text is in its output, line by line."""
    found = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```", LEARNING.read_text(), re.M | re.S)
    assert len(found) == 4
    for block, shown in found:
        said = "".join(shell(command).stdout for command in block.splitlines())
        for line in shown.splitlines():
            assert any(alike(line, one) for one in said.splitlines()), f"{block}{line}"


def alike(line, other):
    """The same words, and dB within 0.02: another LAPACK rounds a system of such condition otherwise."""
    decibels = re.compile(r"[0-9.]+(?= dB)")
    if decibels.sub("", line) != decibels.sub("", other):
        return False
    pairs = zip(decibels.findall(line), decibels.findall(other), strict=True)
    return all(abs(float(one) - float(two)) < 0.021 for one, two in pairs)


def anchors(page):
    """Return the names that a page's headings can be linked by."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path) if path else page
        assert other.exists(), f"{page_name(page)} links to {target}"
        assert not anchor or anchor in anchors(other), f"{page_name(page)} links to {target}"


def named_in(page):
    """Return the functions and the tests that a page names."""
    quoted = re.findall(r"`([^`\n]+)`", page.read_text())
    functions = [name for name in quoted if re.fullmatch(r"cnnfilter(\.\w+)+", name)]
    tests = [name for name in quoted if re.fullmatch(r"test_\w+\.py::\w+", name)]
    return functions, tests


def test_equations_name_what_exists():
    functions, tests = named_in(ROOT / "docs" / "equations.md")
    assert len(functions) > 20 and len(tests) > 20
    for name in functions:
        parts = name.split(".")
        found = importlib.import_module("cnnfilter")
        for count, part in enumerate(parts[1:], 2):
            if not hasattr(found, part):
                importlib.import_module(".".join(parts[:count]))
            found = getattr(found, part)
        assert callable(found), name
    for name in tests:
        file, function = name.split("::")
        (path,) = (ROOT / "tests").rglob(file)
        tree = ast.parse(path.read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in defined, name


def test_every_equation_has_a_formula_an_example_a_function_and_a_test():
    sections = re.split(r"^### ", both("equations")[0].read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        assert re.search(r"^\$\$.+\$\$$", section, re.MULTILINE), section
        assert re.search(r"^```text\n|^>>> ", section, re.MULTILINE), section
        last = re.split(r"\n## ", section)[0].rstrip().splitlines()[-1]
        assert re.fullmatch(r"`cnnfilter\.[\w.]+`, `test_\w+\.py::test_\w+`", last), section
    titles = " ".join(section.splitlines()[0] for section in sections)
    ranges = re.findall(r"(\d+)(?: to (\d+))?", titles)
    numbers = {number for first, last in ranges for number in range(int(first), int(last or first) + 1)}
    assert numbers >= set(range(1, 52)), "each has its section"


@pytest.mark.slow
def test_the_gallery_is_what_its_script_makes(tmp_path):
    script("gallery/make_gallery.py").main(tmp_path)
    assert (tmp_path / "gallery.md").read_text() == (ROOT / "docs" / "gallery.md").read_text()
    made = {path.name: path for path in (tmp_path / "gallery").iterdir()}
    kept = {
        path.name: path for path in (ROOT / "docs" / "gallery").iterdir() if path.suffix in (".png", ".jpg")
    }
    assert made.keys() == kept.keys()
    for name, path in made.items():
        with Image.open(path) as new, Image.open(kept[name]) as old:
            assert (new.size, new.mode) == (old.size, old.mode)
            distance = np.abs(np.asarray(new, np.int16) - np.asarray(old, np.int16))
        # Coding and decoding a JPEG differ a little from one version of the library to the next.
        assert distance.mean() < (1 if name.endswith(".jpg") else 0.01), name
        assert kept[name].stat().st_size < 300_000


def test_both_readmes_give_the_same_recipes():
    """What the quick start in Chinese runs, the README explains: filters, pipes, kernels, learning."""
    words = [
        {command.split()[1] for command in commands(ROOT / name) if command.startswith("cnnfilter ")}
        for name in ("README.md", "README.zh-CN.md")
    ]
    assert words[0] <= words[1]


def test_both_readmes_hold_the_same_figures_and_examples():
    """The figures of the comparison with others, and the first lines of Python."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")]
    rows = [re.findall(r"^\|.*\d.*\|$", text, re.M) for text in texts]
    figures = [
        list(filter(None, (re.findall(r"\| ([\d.]+)(?= \|)", row) for row in found))) for found in rows
    ]
    assert figures[0] == figures[1] and len(figures[0]) == 16
    examples = [
        {line.partition("  #")[0].rstrip() for line in re.findall(r"^>>> .*", text, re.M)} for text in texts
    ]
    assert examples[0] <= examples[1]
