"""``cnnfilter net train``: epochs with their lines, checkpoints, and what was learned in the end."""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import Interrupted, note, show_lines
from cnnfilter.cli.net.weights import MAP, MEMORY, METADATA, SET, built, complete_networks, read_image
from cnnfilter.cli.types import OneOf
from cnnfilter.errors import FilterFileError, ParameterError

if TYPE_CHECKING:
    from cnnfilter.nn.data import Data
    from cnnfilter.nn.fit import Training
    from cnnfilter.nn.functional.windows import Array
    from cnnfilter.nn.network import Network

_HEADINGS = {
    "Training": (
        "epochs", "batch", "optimiser", "rate", "momentum", "decay", "schedule", "patience", "validation",
        "seed", "weights", "layers", "freeze", "resume",
    ),
    "Images turned a little": ("shift", "angle", "scale"),
    "Result": ("curve", "confusion", "as_json", "quiet"),
}  # fmt: skip

_MOST_ROWS = 40  # of a table in a terminal


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net train lenet5 --data digits/ -o lenet5.safetensors",
        "cnnfilter net train resnet20 --data photos.npz -o net.safetensors --resume",
    ],
    headings=_HEADINGS,
    often=("epochs", "rate", "resume", "curve"),
)
@click.argument("name", shell_complete=complete_networks)
@click.option("--data", required=True, metavar="DATA", help="A folder for each class, .npz, or IDX files.")
@click.option("-o", "--output", required=True, metavar="FILE", help="The weights, .safetensors.")
@SET
@MEMORY
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Times through the data.")
@click.option("--batch", type=click.IntRange(1), metavar="N", help="Images a step. [32]")
@click.option("--optimiser", type=OneOf(["adam", "sgd"]), metavar="adam|sgd", help="[adam]")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="X", help="Learning rate at first.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), metavar="X", help="Of sgd. [0.9]")
@click.option("--decay", type=click.FloatRange(0), metavar="X", help="Weight decay. [0]")
@click.option(
    "--schedule", type=OneOf(["cosine", "step", "constant"]), metavar="cosine|step|constant",
    help="How the rate falls. [cosine]",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Random seed. [0]")
@click.option("--shift", type=click.FloatRange(0), metavar="X", help="Shift by up to X pixels.")
@click.option("--angle", type=click.FloatRange(0, 180), metavar="X", help="Turn by up to X degrees.")
@click.option("--scale", type=click.FloatRange(0, 1), metavar="X", help="Scale by up to this share.")
@click.option(
    "--patience", type=click.IntRange(0), metavar="N", help="Stop after N epochs without gain; 0 never. [0]"
)
@click.option(
    "--validation", type=click.FloatRange(0, 0.9, min_open=True), default=0.1, metavar="X",
    help="Share held out of each class. [0.1]",
)  # fmt: skip
@click.option("--weights", metavar="FILE", help="Begin with these; layers that do not fit begin anew.")
@MAP
@click.option("--freeze", multiple=True, metavar="LAYER", help="Stays as it is; * is any. May be repeated.")
@click.option("--resume", is_flag=True, help="Go on from FILE.checkpoint, to more --epochs if told.")
@click.option("--curve", metavar="FILE", help="Draw the learning curve: .png, .svg or .pdf.")
@click.option("--confusion", metavar="FILE", help="Draw the confusion matrix: .png, .svg or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and the result.")
def train(
    name: str, *, data: str, output: str, options: dict[str, Any], memory: int | None, validation: float,
    weights: str | None, layers: dict[str, str], freeze: tuple[str, ...], resume: bool,
    curve: str | None, confusion: str | None, as_json: bool, quiet: bool, **settings: Any,
) -> None:  # fmt: skip
    """Train a network; FILE holds the last epoch, with --patience the best one.

    Where DATA is parted already, into train/ and val/ (or test/), the second one is held out.
    FILE.checkpoint holds where to go on. What is not said, of epochs, rate, shift, angle and scale, is the
    network's own.
    """
    from cnnfilter.nn.fit import Training
    from cnnfilter.nn.fit import confusion as counted
    from cnnfilter.nn.fit import predict as scores_of
    from cnnfilter.nn.models.recipes import recipe

    _check_outputs(output, curve, confusion)
    rules = recipe(name, **settings)
    labelled, rest, valid, network = _read(name, data, options, memory, quiet, validation, rules.seed)
    network.initialise(rules.seed)
    if weights:
        _begin_with(network, weights, layers)
    training = Training(network, rules, freeze)
    _take_up(training, f"{output}.checkpoint", resume)
    _run(training, rest, valid, output, labelled.names, quiet)
    network.load(training.best)
    table = counted(scores_of(network, valid.images), valid.labels)
    if curve or confusion:
        from cnnfilter.drawing import networks as draw

        if curve:
            draw.draw_curve(training.history, curve, best=rules.patience > 0)
        if confusion:
            draw.draw_confusion(table, labelled.names, confusion)
    show_lines((_json if as_json else _text)(table, labelled, training))


def _check_outputs(output: str, *pictures: str | None) -> None:
    """See before hours of training that what they give can be written."""
    if not output.endswith(".safetensors"):
        raise ParameterError(f"{output}: weights are written as .safetensors")
    _check_folder(output)
    for path in pictures:
        if path:
            check_picture(path)


def check_picture(path: str) -> None:
    """See that a picture can be drawn there."""
    from cnnfilter.drawing.figure import SUFFIXES, require_matplotlib

    _check_folder(path)
    if not path.endswith(SUFFIXES):
        raise ParameterError(f"{path}: pictures are drawn as {', '.join(SUFFIXES)}")
    require_matplotlib()


def _check_folder(path: str) -> None:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ParameterError(f"{path}: there is no folder {folder}")


def _read(
    name: str, data: str, options: dict[str, Any], memory: int | None, quiet: bool, share: float, seed: int
) -> tuple["Data", "Data", "Data", "Network"]:
    """Read images as the network wants them: all, to learn from, held out; and build it for their classes."""
    from cnnfilter.nn.data import MEMORY as USUAL
    from cnnfilter.nn.data import parts, read_data

    network, most = built(name, options), USUAL if memory is None else memory
    sets = parts(data) or (data,)
    read = [
        read_data(place, read_image, network.shape, network.preprocessing, most // len(sets))
        for place in sets
    ]
    labelled = read[0]
    if not quiet:
        for one in read:
            tell_skipped(one)
    count = len(labelled.names)
    if count < 2:
        raise ParameterError(f"{data}: one class, {labelled.names[0]!r}; give at least two to tell apart")
    network = built(name, {"classes": count, **options})
    if network.classes != count:
        raise ParameterError(f"{data}: {count} classes, but {name} is to tell {network.classes} apart")
    if len(sets) == 1:
        return labelled, *_split(labelled, data, share, seed), network
    held = _with_classes(read[1], labelled.names, sets[1])
    labelled.skipped += held.skipped
    if not quiet:
        note(f"{sets[1]} is held out, {len(held)} images")
    return labelled, labelled, held, network


def _with_classes(data: "Data", names: list[str], place: str) -> "Data":
    """Give the classes of held-out images the numbers of those that are learned."""
    import numpy as np

    from cnnfilter.nn.data import Data

    if strange := [name for name in data.names if name not in names]:
        raise ParameterError(f"{place}: class {strange[0]!r} is not among those to learn: {', '.join(names)}")
    numbers = np.array([names.index(name) for name in data.names])
    return Data(data.images, numbers[data.labels], names, data.skipped)


def tell_skipped(data: "Data") -> None:
    """Say which files could not be read, and how many."""
    for why in data.skipped:
        note(f"skipped {why}")
    if data.skipped:
        count = len(data.skipped)
        note(f"{count} of {count + len(data)} files skipped")


def _split(labelled: "Data", data: str, share: float, seed: int) -> tuple["Data", "Data"]:
    rest, valid = labelled.split(share, seed)
    if not len(rest) or not len(valid):
        raise ParameterError(
            f"{data}: {len(labelled)} images of {len(labelled.names)} classes; "
            "one of a class is learned from, another held out: give at least two"
        )
    return rest, valid


def _begin_with(network: "Network", path: str, layers: dict[str, str]) -> None:
    """Take up the weights of a file, and say which layers it does not fit."""
    from cnnfilter.files.weightsfile import read_tensors
    from cnnfilter.nn.network import plain_names, renamed

    try:
        anew = network.load_fitting(renamed(plain_names(read_tensors(path)[0]), layers))
    except ParameterError as error:
        raise FilterFileError(f"{path}: {error}") from error
    if anew:
        note(f"{path} does not fit {', '.join(anew)}, which begin anew")


def _take_up(training: "Training", checkpoint: str, resume: bool) -> None:
    if resume and os.path.exists(checkpoint):
        training.restore(checkpoint)
    elif resume:
        note(f"there is no {checkpoint} yet: training begins")


def _run(
    training: "Training", rest: "Data", valid: "Data", output: str, names: list[str], quiet: bool
) -> None:
    """Train to the end; after every epoch the weights and the checkpoint are on disk, each whole."""
    from cnnfilter.nn.fit import DivergenceError

    try:
        while not training.finished:
            _run_epoch(training, rest, valid, output, names, quiet)
    except DivergenceError as error:
        kept = f"{output} holds the {training.epoch} epochs before" if training.epoch else "nothing kept"
        raise DivergenceError(f"{error}; {kept}") from None
    except Interrupted:
        if training.epoch:
            note(f"interrupted in epoch {training.epoch + 1}; --resume goes on from {output}.checkpoint")
        raise


def _run_epoch(
    training: "Training", rest: "Data", valid: "Data", output: str, names: list[str], quiet: bool
) -> None:
    import numpy as np
    from tqdm import tqdm

    title = f"epoch {training.epoch + 1}/{training.settings.epochs}"
    silent = quiet or not sys.stderr.isatty()
    with tqdm(total=len(rest), desc=title, unit="image", leave=False, disable=silent) as bar:
        with np.errstate(all="ignore"):  # a loss that is no number ends the training, with one line
            training.run_epoch(rest, valid, bar.update)
        _save(output, training, names)
        training.save(f"{output}.checkpoint")
    if not quiet:
        row = training.history[-1]
        click.echo(
            f"{title}: loss {row['train_loss']:.4g}, held out {row['valid_loss']:.4g}, "
            f"accuracy {100 * row['valid_accuracy']:.1f} %",
            err=True,
        )


def _save(path: str, training: "Training", names: list[str]) -> None:
    from cnnfilter.files.weightsfile import write_tensors

    network = training.network
    facts = {"network": network.name, "options": network.options, "classes": names}
    write_tensors(path, training.best, {METADATA: json.dumps(facts)})


def _text(table: "Array", labelled: "Data", training: "Training") -> str:
    """Say how many were right, and count true classes by row, predicted ones by column."""
    right, total = int(table.trace()), int(table.sum())
    said = f"accuracy on the {total} images held out: {right / total:.4f} ({right} right)"
    return "\n".join([said, *confusion_lines(table, labelled.names)])


def confusion_lines(table: "Array", names: Sequence[str]) -> list[str]:
    """Write the table of true and predicted classes, or how to see it where it is large."""
    if len(table) > _MOST_ROWS:
        return [f"--confusion FILE draws the table of {len(table)} classes"]
    width = max(5, *(len(name) for name in names))
    return [
        "rows are true classes, columns in the same order what they were taken for:",
        *(
            f"{name:>{width}} " + " ".join(f"{count:4}" for count in row)
            for name, row in zip(names, table, strict=True)
        ),
    ]


def _json(table: "Array", labelled: "Data", training: "Training") -> str:
    result = {
        "network": training.network.name, "classes": labelled.names, "epochs": training.epoch,
        "accuracy": float(table.trace() / table.sum()), "confusion": table.tolist(),
        "history": training.history, "skipped": labelled.skipped,
    }  # fmt: skip
    return json.dumps(result)
