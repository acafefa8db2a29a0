"""Networks against the published counts, sizes and names of tensors."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from cnnfilter.errors import ParameterError
from cnnfilter.nn.describe import describe
from cnnfilter.nn.models import MODELS, build
from cnnfilter.nn.models.googlenet import MODULES
from cnnfilter.nn.models.lenet import CONNECTION_TABLE

PAGES = Path(__file__).parents[2] / "docs" / "networks"
KEYS = json.loads((Path(__file__).parents[1] / "data" / "torchvision_keys.json").read_text())

COUNTS = [
    ("lenet5", {}, 60_000),
    ("lenet5", {"output": "softmax"}, 60_850),
    ("lenet5-modern", {}, 61_706),
    ("alexnet", {}, 60_965_224),
    ("alexnet-torchvision", {}, 61_100_840),
    ("googlenet", {}, 6_998_552),
    ("googlenet", {"aux": True}, 13_378_280),
    ("googlenet-torchvision", {}, 6_624_904),
    ("googlenet-torchvision", {"aux": True}, 13_004_888),
    ("resnet18", {}, 11_689_512),
    ("resnet34", {}, 21_797_672),
    ("resnet50", {}, 25_557_032),
    ("resnet18", {"shortcut": "A"}, 11_515_688),
    ("resnet34", {"shortcut": "A"}, 21_623_848),
    ("resnet20", {}, 269_722),
]

# Notes, section 3: parameters of each inception module of the paper.
INCEPTION = (163_696, 388_736, 376_176, 449_160, 510_104, 605_376, 868_352, 1_043_456, 1_444_080)


@pytest.mark.parametrize(("name", "options", "parameters"), COUNTS)
def test_totals_are_the_published_ones(name, options, parameters):
    assert describe(build(name, **options)).totals["parameters"] == parameters


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("alexnet-torchvision", 0.71), ("googlenet-torchvision", 1.50), ("resnet18", 1.81),
        ("resnet34", 3.66), ("resnet50", 4.09),
    ],
)  # fmt: skip
def test_multiply_adds_are_those_that_torchvision_states(name, billions):
    assert round(describe(build(name)).totals["multiply_adds"] / 1e9, 2) == billions


def test_lenet5_is_table_1():
    description = describe(build("lenet5"))
    rows = {row.name: (row.parameters, row.connections, row.output) for row in description.rows}
    assert rows == {
        "c1": (156, 122_304, (6, 28, 28)), "s2": (12, 5_880, (6, 14, 14)),
        "c3": (1_516, 151_600, (16, 10, 10)), "s4": (32, 2_000, (16, 5, 5)),
        "c5": (48_120, 48_120, (120, 1, 1)), "f6": (10_164, 10_164, (84,)),
        "output": (0, 840, (10,)),
    }  # fmt: skip
    assert description.totals["connections"] == 340_908


def test_the_connection_table_is_figure_11():
    assert CONNECTION_TABLE.sum() == 60
    assert (CONNECTION_TABLE.sum(axis=0) == 10).all()
    assert CONNECTION_TABLE.sum(axis=1).tolist() == [3] * 6 + [4] * 9 + [6]
    for first in range(6):  # six contiguous triples, then six contiguous quadruples, wrapping round
        assert set(np.flatnonzero(CONNECTION_TABLE[first])) == {(first + i) % 6 for i in range(3)}
        assert set(np.flatnonzero(CONNECTION_TABLE[6 + first])) == {(first + i) % 6 for i in range(4)}


def test_alexnet_layers():
    rows = [row.parameters for row in describe(build("alexnet")).rows if row.parameters]
    assert rows == [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]


def test_googlenet_modules():
    rows = describe(build("googlenet", aux=True)).rows
    counted = [sum(r.parameters for r in rows if r.name.startswith(f"inception{m}")) for m in MODULES]
    assert counted == list(INCEPTION)
    heads = [sum(r.parameters for r in rows if r.name.startswith(head)) for head in ("aux1", "aux2")]
    assert heads == [3_188_840, 3_190_888]


@pytest.mark.parametrize(
    ("key", "name", "options"),
    [
        ("alexnet", "alexnet-torchvision", {}),
        ("googlenet", "googlenet-torchvision", {}),
        ("googlenet_aux", "googlenet-torchvision", {"aux": True}),
        ("resnet18", "resnet18", {}),
        ("resnet34", "resnet34", {}),
        ("resnet50", "resnet50", {}),
    ],
)
def test_tensors_are_named_and_shaped_as_torchvision_does(key, name, options):
    wanted = {k: tuple(s) for k, s in KEYS[key].items() if not k.endswith("num_batches_tracked")}
    assert build(name, **options).shapes() == wanted


def test_receptive_fields():
    seen = {row.name: row.receptive_field for row in describe(build("resnet18")).rows}
    assert seen["conv1"] == (7, 7)
    assert seen["layer1.1"] == (43, 43)
    assert seen["layer4.1"] == (435, 435)


@pytest.mark.parametrize("name", MODELS)
def test_json_and_text_agree(name):
    description = describe(build(name))
    whole = json.loads(description.json())
    assert whole["totals"] == description.totals
    assert f"{description.totals['parameters']:,}" in description.text().splitlines()[-1]
    assert len(description.text().splitlines()) == len(whole["layers"]) + 2


def test_what_is_not_there_is_said_with_what_is():
    with pytest.raises(ParameterError, match="no network 'vgg': choose one of lenet5, "):
        build("vgg")
    with pytest.raises(ParameterError, match="no layer 'c9' in lenet5: choose one of c1, s2, "):
        build("lenet5").layer("c9")
    with pytest.raises(ParameterError, match="resnet18: got an unexpected keyword argument 'depth'"):
        build("resnet18", depth=1)


def test_pages_of_the_networks_have_the_tables_of_the_command():
    file = PAGES / "make_pages.py"
    spec = importlib.util.spec_from_file_location("make_pages", file)
    make_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_pages)
    tables = {}
    for page in PAGES.glob("*.md"):
        text = page.read_text()
        assert make_pages.renewed(text) == text, f"{page.name} is old: run {file.name}"
        tables[page.stem] = [found[2] for found in make_pages.TABLE.finditer(text)]
    assert tables["README"] == ["totals"]
    assert {name for names in tables.values() for name in names} >= {
        "lenet5",
        "alexnet",
        "googlenet",
        "resnet18",
    }
    pictures = {path.stem: path.stat().st_size for path in PAGES.glob("*.png")}
    assert pictures.keys() == {*make_pages.PICTURES, *make_pages.LEARNED} and max(pictures.values()) < 150_000
    shown = {
        name
        for page in PAGES.glob("*.md")
        for name in re.findall(r"!\[.*?\]\((\S+)\.png\)", page.read_text())
    }
    assert shown == {*make_pages.PICTURES, *make_pages.LEARNED}
