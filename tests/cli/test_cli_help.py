"""What the help of every command says: its length, its options, its examples, the manual made of it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, picture

from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.core.jit import objectcache
from cnnfilter.registry import FILTERS


def image_commands() -> list[str]:
    return [*(name for name in FILTERS if name != "learned"), "pipe"]


def all_commands() -> list[tuple[str, ...]]:
    """List every command that is here, with the commands of its group."""
    found: list[tuple[str, ...]] = []
    context = click.Context(root)
    for name in root.list_commands(context):
        try:
            command = root.get_command(context, name)
        except ImportError:
            continue
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.list_commands(context)]
    return found


class TestHelp:
    @pytest.mark.parametrize("command", all_commands(), ids=" ".join)
    @pytest.mark.parametrize(("option", "most"), [("-h", 29), ("--help", 66)])
    def test_fits_a_screen_and_ends_with_two_examples(self, command, option, most):
        lines = cnnfilter(*command, option).stdout.decode().splitlines()
        assert len(lines) <= most
        assert max(map(len, lines)) <= 80
        place = lines.index("Examples:")
        assert len(lines) - place == 3, "two examples, a line each"

    @pytest.mark.parametrize("command", all_commands(), ids=" ".join)
    def test_the_short_one_shows_some_options_and_the_long_one_all_of_them_once(self, command):
        def shown(option):
            text = cnnfilter(*command, option).stdout.decode().split("Examples:")[0]
            return re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.M), re.findall(r"^(\w.*):$", text, re.M)

        (short, _), (long, headings) = shown("-h"), shown("--help")
        known, context = root, click.Context(root)
        for name in command:
            known = known.get_command(context, name)
        options = [max(param.opts, key=len) for param in known.params if isinstance(param, click.Option)]
        assert sorted(long) == sorted([*options, "--help"])
        assert set(short) <= set(long)
        hidden = re.search(r"--help +Show all options: (\d+) more", cnnfilter(*command, "-h").stdout.decode())
        assert len(long) - len(short) == (int(hidden[1]) if hidden else 0)
        assert len(options) < 12 or len(headings) > 2

    def test_every_heading_has_options(self):
        """A name in no command would be a slip."""
        from cnnfilter.cli.animate import animate
        from cnnfilter.cli.options import HEADINGS, OFTEN

        images = {
            param.name
            for name in image_commands()
            for param in root.get_command(click.Context(root), name).params
        }
        assert {name for names in HEADINGS.values() for name in names} <= images
        for command in (
            root.get_command(click.Context(root), "learn"),
            root.get_command(click.Context(root), "net").get_command(click.Context(root), "train"),
            animate.get_command(click.Context(root), "convolve"),
        ):
            headed = {name for names in command.headings.values() for name in names}
            assert headed <= {param.name for param in command.params}
            assert set(command.often) <= headed
        assert set(OFTEN) <= {name for names in HEADINGS.values() for name in names}

    @pytest.mark.parametrize("command", [[], ["kernel"], ["net"], ["cache"], ["animate"]])
    def test_no_summary_is_cut(self, command):
        assert b"..." not in cnnfilter(*command, "--help").stdout.split(b"Commands:")[1]

    def test_every_shared_option_states_its_default_once(self):
        for command in image_commands():
            for param in root.get_command(click.Context(root), command).params:
                if isinstance(param, click.Option) and not param.is_flag and param.name not in (
                    "name", "files_from", "kernel", "matrix", "at",
                ):  # fmt: skip
                    assert re.search(r"\[.+\]$", param.help or ""), (command, param.name, param.help)


def examples() -> list[str]:
    """List the examples of all commands, each once."""
    found: dict[str, None] = {}
    for names in [(), *all_commands()]:
        command, context = root, click.Context(root)
        for name in names:
            command = command.get_command(context, name)
        found |= dict.fromkeys(command.examples)
    return list(found)


@pytest.fixture(scope="module")
def examples_world(tmp_path_factory):
    """A folder with all that the examples name, and the environment of its owner."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("photo.png", "photo.jpg", "photos/a.png", "photos/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        picture(folder / name, (96, 96, 3))
    for number, name in enumerate(("noisy/a.png", "noisy/b.png", "clean/a.png", "clean/b.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        picture(folder / name, (96, 96, 3), seed=number)
    for number in range(12):
        (folder / f"digits/{number % 2}").mkdir(parents=True, exist_ok=True)
        picture(folder / f"digits/{number % 2}/{number}.png", (28, 28), seed=number)
    for number in range(2):
        (folder / f"held-out/{number}").mkdir(parents=True)
        picture(folder / f"held-out/{number}/{number}.png", (28, 28), seed=20 + number)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (12, 32, 32, 3), np.uint8)
    np.savez(folder / "photos.npz", images=images, labels=np.arange(12) % 10)
    np.save(folder / "bank.npy", random.normal(size=(3, 3, 3, 4)))
    picture(folder / "digit.png", (28, 28))
    (folder / "names.txt").write_text("".join(f"class {number}\n" for number in range(1000)))
    (folder / "bin").mkdir()
    (folder / "bin" / "cnnfilter").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (folder / "bin" / "cnnfilter").chmod(0o755)
    (folder / ".config/fish/completions").mkdir(parents=True)
    environment = {**os.environ, "HOME": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    environment.setdefault("CNNFILTER_CACHE_DIR", os.path.dirname(objectcache.folder()))
    for line in (
        "cnnfilter convolve --kernel sharpen photo.png -o sharpened.png",
        "cnnfilter kernel convert sharpen -o sharp.json",
        "cnnfilter net train lenet5 --data digits/ --epochs 1 -o lenet5.safetensors",
        "cp lenet5.safetensors F.safetensors; cp digit.png D.png",
    ):
        subprocess.run(["sh", "-c", line], cwd=folder, env=environment, check=True, capture_output=True)
    return folder, environment


class TestExamples:
    """Those of every --help, as typed into a shell."""

    @pytest.mark.parametrize("example", examples())
    def test_run(self, example, examples_world, tmp_path):
        folder, environment = examples_world
        if "resnet18." in example:
            pytest.skip("names the weights of a network that takes minutes to train")
        if "--layers" in example:
            example += " --steps 2"
        if "cache clear" in example:
            environment = {**environment, "CNNFILTER_CACHE_DIR": str(tmp_path)}
        process = subprocess.run(
            ["bash", "-c", example],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        words = shlex.split(example)
        for option in ("-o", ">", "--plot", "--maps"):
            if option in words:
                written = Path(words[words.index(option) + 1].replace("~", str(folder)))
                assert (folder / written).exists(), "what the example names was made"

    @pytest.mark.parametrize("example", [line for line in examples() if "resnet18." in line])
    def test_are_understood(self, example):
        """Those that cannot be run here."""
        words = shlex.split(example)[1:]
        command, context = root, click.Context(root, info_name="cnnfilter")
        while isinstance(command, click.Group):
            command = command.get_command(context, words.pop(0))
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known


class TestManual:
    def test_is_made_from_every_command_and_is_good_roff(self):
        script = Path(__file__).parents[2] / "docs" / "man" / "make_manual.py"
        process = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
        for command in image_commands():
            assert f".SS cnnfilter {command}".replace("-", "\\-") in process.stdout
        assert "\\-\\-files\\-from" in process.stdout
        if shutil.which("groff") is None:
            pytest.skip("groff is not installed")
        checked = subprocess.run(
            ["groff", "-man", "-ww", "-z", "-Tascii"], input=process.stdout, capture_output=True, text=True
        )
        assert checked.returncode == 0
        assert checked.stderr == ""
