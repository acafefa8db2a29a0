"""``cnnfilter net evaluate``: how many labelled images a network tells apart, class by class."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import DONE, SOME_FAILED, note
from cnnfilter.cli.net.training import check_picture, confusion_lines, tell_skipped
from cnnfilter.cli.net.weights import (
    LABELS,
    MAP,
    MEMORY,
    NETWORK,
    SET,
    WEIGHTS,
    load_network,
    names_in,
    read_image,
)
from cnnfilter.errors import ParameterError

if TYPE_CHECKING:
    from cnnfilter.nn.functional.windows import Array


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net evaluate --weights lenet5.safetensors --data held-out/",
        "cnnfilter net evaluate --weights resnet18.pth --data photos.npz --json",
    ],
)
@WEIGHTS
@click.option("--data", required=True, metavar="DATA", help="A folder for each class, .npz, or IDX files.")
@NETWORK
@SET
@MAP
@LABELS
@MEMORY
@click.option("--batch", type=click.IntRange(1, 1024), default=64, metavar="N", help="Images at a time. [64]")
@click.option("--confusion", metavar="FILE", help="Draw the confusion matrix: .png, .svg or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and the result.")
def evaluate(
    weights: str, data: str, *, network: str | None, options: dict[str, Any],
    layers: dict[str, str], labels: str | None, memory: int | None, batch: int,
    confusion: str | None, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Count how many images of DATA a network gets right, of every class.

    Folders are matched with the classes by name; labels that are numbers count the classes from 0.
    """
    import numpy as np

    from cnnfilter.nn.data import MEMORY as USUAL
    from cnnfilter.nn.data import read_data
    from cnnfilter.nn.fit import confusion as counted
    from cnnfilter.nn.fit import predict
    from cnnfilter.nn.network import frozen

    if confusion:
        check_picture(confusion)
    loaded, names = load_network(weights, network, options, layers)
    names = names_in(labels, loaded.classes) if labels else names
    found = read_data(
        data, read_image, loaded.shape, loaded.preprocessing, USUAL if memory is None else memory
    )
    if not quiet:
        tell_skipped(found)
    true = np.array(_matched(found.names, names, data))[found.labels]
    with np.errstate(all="ignore"):  # scores that are no numbers are told below
        scores = predict(frozen(loaded), found.images, batch)
    if not np.isfinite(scores).all():
        raise ParameterError(f"{weights}: scores are NaN or infinite: the weights are too large")
    table = counted(scores, true)
    if confusion:
        from cnnfilter.drawing.networks import draw_confusion

        draw_confusion(table, names, confusion)
    facts = {"network": loaded.name, "images": len(true), "skipped": found.skipped}
    click.echo(json.dumps(facts | _figures(table, names)) if as_json else _text(table, names))
    return SOME_FAILED if found.skipped else DONE


def _matched(found: Sequence[str], names: Sequence[str], data: str) -> list[int]:
    """Return the network's class of each class of the data."""
    if set(found) <= set(names):
        return [names.index(name) for name in found]
    numbers = [str(i) for i in range(len(found))]
    if found == numbers and len(found) <= len(names):
        return list(range(len(found)))
    if len(found) == len(names) and list(names) == [str(i) for i in range(len(names))]:
        note("the weights name no classes: the folders are taken in the order of their names")
        return list(range(len(found)))
    strange = next(name for name in found if name not in names)
    known = ", ".join(names[:10]) + ("…" if len(names) > 10 else "")
    raise ParameterError(f"{data}: class {strange!r} is none of the network's {len(names)}: {known}")


def _figures(table: "Array", names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, and of each class its images, and the shares found and rightly said; None of nothing."""

    def share(part: int, whole: int) -> float | None:
        return round(part / whole, 6) if whole else None

    right, true, said = (side.tolist() for side in (table.diagonal(), table.sum(axis=1), table.sum(axis=0)))
    classes = [
        {
            "class": name,
            "images": true[i],
            "recall": share(right[i], true[i]),
            "precision": share(right[i], said[i]),
        }
        for i, name in enumerate(names)
    ]
    accuracy = share(sum(right), sum(true))
    return {"accuracy": accuracy, "right": sum(right), "classes": classes, "confusion": table.tolist()}


def _text(table: "Array", names: Sequence[str]) -> str:
    figures = _figures(table, names)
    width = max(5, *(len(name) for name in names))
    lines = [
        f"accuracy on {int(table.sum())} images: {figures['accuracy']:.4f} ({figures['right']} right)",
        f"{'class':>{width}} images  recall  precision",
    ]
    for row in figures["classes"]:
        recall, precision = (
            "-" if row[key] is None else f"{row[key]:.4f}" for key in ("recall", "precision")
        )
        lines.append(f"{row['class']:>{width}} {row['images']:6} {recall:>7} {precision:>10}")
    return "\n".join([*lines, *confusion_lines(table, names)])
