"""Pictures of networks: all is there, nothing lies on something else, colours are those of the scale."""

import itertools
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from cnnfilter.drawing import diagram, figure
from cnnfilter.drawing import networks as draw
from cnnfilter.errors import CnnFilterError, ParameterError
from cnnfilter.nn.layers_normalising import BatchNorm
from cnnfilter.nn.models import MODELS, build

VARIANTS = [*((name, {}) for name in MODELS), ("googlenet", {"aux": True}), ("resnet34", {"shortcut": "A"})]


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_a_drawn_network_can_be_read(monkeypatch, name, options):
    figures = []
    monkeypatch.setattr(diagram, "save_figure", lambda figure, path: figures.append(figure))
    network = build(name, **options)
    diagram.draw_network(network, "unused.png")
    (figure,) = figures
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    words = [text.get_text() for text in texts]
    wide, high = figure.get_size_inches() * figure.dpi
    for word, box in zip(words, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= wide and box.y1 <= high, word
    for (first, one), (second, other) in itertools.combinations(zip(words, boxes, strict=True), 2):
        apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
        assert apart, f"{first!r} lies on {second!r}"
    said = "\n".join(["", *words, ""])
    for stage in network.body.children:
        joined = stage.children or isinstance(stage, BatchNorm)
        assert not stage.name or joined or f"\n{stage.name}\n" in said
    kinds = {type(layer) for _, layer in network.layers()}
    assert all((f"{join}: " in said) == (kind in kinds) for kind, join in diagram._JOINS.items())


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def tile(picture, colour, tolerance=3):
    """Return the height and width of the rectangle of one colour, and check that it is one."""
    rows, columns = np.nonzero((np.abs(picture - colour) <= tolerance).all(axis=2))
    inside = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (np.abs(inside - colour) <= tolerance).all()
    return inside.shape[:2]


def test_a_sheet_has_one_scale(tmp_path):
    tiles = np.zeros((3, 4, 6), np.float32)
    tiles[0], tiles[1] = 0.5, 1.0
    tiles[2, :2] = 1.0
    draw.draw_sheet(tiles, "title", str(tmp_path / "sheet.png"))
    picture = pixels(tmp_path / "sheet.png")
    high, wide = tile(picture[:, :-80], (127, 127, 127))
    assert wide >= 100 and wide * 4 == high * 6
    draw.draw_sheet(tiles - 0.5, "title", str(tmp_path / "signed.png"))
    assert tile(pixels(tmp_path / "signed.png")[:, :-80], (247, 247, 247)) == (high, wide)  # zero is white


def test_kernels_of_three_inputs_are_colours(tmp_path):
    bank = np.zeros((2, 3, 2, 2), np.float32)
    bank[0, 0] = 2.0
    bank[1, 2] = -0.1
    draw.draw_kernels(bank, "title", str(tmp_path / "k.png"))
    picture = pixels(tmp_path / "k.png")
    first, second = tile(picture, (255, 127, 127)), tile(picture, (127, 127, 0))
    assert first == second and min(first) >= 72


@pytest.mark.parametrize(("outputs", "wide"), [(3, False), (33, True)])
def test_kernels_lie_by_input_and_output(tmp_path, outputs, wide):
    bank = np.full((outputs, 2, 2, 2), -1.0, np.float32)
    bank[1] = 1.0
    draw.draw_kernels(bank, "title", str(tmp_path / "k.png"))
    picture = pixels(tmp_path / "k.png")[:, :-80]
    rows, columns = np.nonzero((np.abs(picture - (103, 0, 31)) <= 3).all(axis=2))  # of the second output
    longer, shorter = (np.ptp(columns), np.ptp(rows)) if wide else (np.ptp(rows), np.ptp(columns))
    assert longer > 1.9 * shorter


def test_values_confusion_and_curve(tmp_path):
    draw.draw_values(np.array([1.0, -2.0]), "title", str(tmp_path / "values.svg"))
    draw.draw_confusion(
        np.eye(60, dtype=int), [f"a long name {i}" for i in range(60)], str(tmp_path / "many.png")
    )
    rows = [{"train_loss": 1 / n, "valid_loss": abs(n - 2) + 0.1, "valid_accuracy": 0.5} for n in (1, 2, 3)]
    for best in (False, True):
        draw.draw_curve(rows, str(tmp_path / f"{best}.png"), best=best)
    assert (tmp_path / "True.png").read_bytes() != (tmp_path / "False.png").read_bytes()
    draw.draw_curve(rows[:1], str(tmp_path / "one.pdf"))
    assert len(list(tmp_path.iterdir())) == 5


def test_equal_pictures_are_equal_files(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw.draw_sheet(np.ones((2, 3, 3)), "title", str(tmp_path / name))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_what_cannot_be_drawn(tmp_path, monkeypatch):
    with pytest.raises(ParameterError, match="1025 tiles on one sheet: at most 1024"):
        draw.draw_sheet(np.ones((1025, 1, 1)), "title", str(tmp_path / "a.png"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CnnFilterError, match=r"drawing needs matplotlib: pip install 'cnnfilter\[plot\]'"):
        figure.require_matplotlib()
    assert list(tmp_path.iterdir()) == []
