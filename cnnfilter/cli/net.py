"""``cnnfilter net``: list, describe, train and run networks, and look into them."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples, LazyGroup
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, complain, note
from cnnfilter.errors import CnnFilterError, FilterFileError, ParameterError

if TYPE_CHECKING:
    from cnnfilter.nn.functional.windows import Array
    from cnnfilter.nn.network import Network


@click.group(
    cls=LazyGroup,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net describe lenet5",
        "cnnfilter net train lenet5 --data digits/ -o lenet5.safetensors",
    ],
)
def net() -> None:
    """Train, run and look into networks."""


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except ValueError:
        return text


def _options(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    wrong = [value for value in values if "=" not in value]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r}: give NAME=VALUE, as output=softmax")
    return {name: _value(text) for name, _, text in (value.partition("=") for value in values)}


_SET = click.option(
    "--set", "options", multiple=True, callback=_options, metavar="NAME=VALUE",
    help="Of the description, as output=softmax, shortcut=A.",
)  # fmt: skip
_WEIGHTS = click.option("--weights", metavar="FILE", required=True, help="A .safetensors, .npz or .pth.")
_NETWORK = click.option("--network", metavar="NAME", help="What FILE holds. [as it says or its names tell]")
_LAYER = click.option("--layer", metavar="NAME", help="Its name in 'net describe'. [the first convolution]")


@net.command(
    "list",
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter net list", "cnnfilter net list --json"],
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_networks(as_json: bool) -> None:
    """List the networks."""
    from cnnfilter.nn.models import MODELS

    for name, description in MODELS.items():
        line = (description.__doc__ or "").splitlines()[0]
        click.echo(json.dumps({"name": name, "about": line}) if as_json else f"{name:22} {line}")


@net.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter net describe lenet5", "cnnfilter net describe resnet18 --plot resnet18.png"],
)
@click.argument("name")
@_SET
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--markdown", is_flag=True, help="A table for a page.")
@click.option("--plot", metavar="FILE", help="Draw it: .png, .svg or .pdf.")
def describe(name: str, options: dict[str, Any], as_json: bool, markdown: bool, plot: str | None) -> None:
    """Show the layers with sizes, parameters and costs."""
    from cnnfilter.nn.describe import describe as described
    from cnnfilter.nn.models import build

    description = described(build(name, **options))
    if plot:
        from cnnfilter.nn.draw import draw_network

        draw_network(description, plot)
        return
    click.echo(description.json() if as_json else description.markdown() if markdown else description.text())


@net.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net predict --weights lenet5.safetensors digit.png",
        "cnnfilter net predict --weights resnet18.pth --labels names.txt cat.jpg",
    ],
)
@click.argument("inputs", nargs=-1, required=True, metavar="IMAGE...")
@_WEIGHTS
@_NETWORK
@click.option("--labels", metavar="FILE", help="Names of the classes, one a line.")
@click.option("--top", type=click.IntRange(1), default=5, metavar="K", help="So many classes. [5]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each image.")
def predict(
    inputs: tuple[str, ...], weights: str, network: str | None, labels: str | None, top: int, as_json: bool
) -> int:
    """Say what images show."""
    from cnnfilter.nn.data import prepare
    from cnnfilter.nn.functional import softmax
    from cnnfilter.nn.network import frozen

    loaded, names = _loaded(weights, network)
    names = _labels(labels, loaded.classes) if labels else names
    loaded = frozen(loaded)
    failed = 0
    for path in inputs:
        try:
            image = prepare(_pixels(path), loaded.shape, loaded.preprocessing)
        except (CnnFilterError, OSError) as error:
            complain(error, path)
            failed += 1
            continue
        shares = softmax(loaded.forward(image[None]))[0]
        best = [int(i) for i in shares.argsort()[::-1][:top]]
        if as_json:
            classes = [{"class": i, "label": names[i], "probability": float(shares[i])} for i in best]
            click.echo(json.dumps({"input": path, "top": classes}))
        else:
            click.echo(f"{path}: " + ", ".join(f"{names[i]} {100 * shares[i]:.1f} %" for i in best))
    return NOTHING_DONE if failed == len(inputs) else SOME_FAILED if failed else DONE


@net.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net features --weights lenet5.safetensors digit.png -o maps.png",
        "cnnfilter net features --weights F.safetensors --layer c3 D.png -o m.npy",
    ],
)
@click.argument("image")
@_WEIGHTS
@_NETWORK
@_LAYER
@click.option("-o", "--output", metavar="FILE", required=True, help="A sheet .png, .svg, .pdf; or .npy.")
def features(image: str, weights: str, network: str | None, layer: str | None, output: str) -> None:
    """Draw what a layer makes of an image."""
    from cnnfilter.nn.data import prepare

    loaded, _ = _loaded(weights, network)
    layer = layer or _first_convolution(loaded)
    loaded.layer(layer)
    x = prepare(_pixels(image), loaded.shape, loaded.preprocessing)[None]
    maps = loaded.outputs(x, [layer])[layer][0]
    _write_sheet(maps if maps.ndim == 3 else maps[:, None, None], f"{loaded.name} {layer}", output)


@net.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net kernels --weights lenet5.safetensors -o kernels.png",
        "cnnfilter net kernels --weights resnet18.safetensors -o bank.safetensors",
    ],
)
@_WEIGHTS
@_NETWORK
@_LAYER
@click.option(
    "-o", "--output", metavar="FILE", required=True,
    help="A sheet .png, .svg, .pdf; .npy; or .safetensors for 'cnnfilter learned'.",
)  # fmt: skip
def kernels(weights: str, network: str | None, layer: str | None, output: str) -> None:
    """Draw the kernels of a layer, or write them as a bank of filters."""
    from cnnfilter.nn.draw import as_colours

    loaded, _ = _loaded(weights, network)
    layer = layer or _first_convolution(loaded)
    bank = loaded.layer(layer).parameters.get("weight")
    if bank is None or bank.ndim != 4:
        raise ParameterError(f"layer {layer!r} has no kernels: it is no convolution")
    if output.endswith(".safetensors"):
        from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter

        LearnedFilter((ConvolutionLayer(bank),), notes={"network": loaded.name, "layer": layer}).save(output)
        return
    if output.endswith(".npy"):
        _write_sheet(bank, "", output)
        return
    tiles = as_colours(bank) if bank.shape[1] == 3 else bank.reshape(-1, *bank.shape[2:])
    _write_sheet(tiles, f"{loaded.name} {layer}: {len(bank)} kernels {bank.shape[1:]}", output)


@net.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net train lenet5 --data digits/ -o lenet5.safetensors",
        "cnnfilter net train resnet20 --data photos.npz -o net.safetensors --resume",
    ],
)
@click.argument("name")
@click.option("--data", required=True, metavar="DATA", help="Folders by class, .npz, or IDX files.")
@click.option("-o", "--output", required=True, metavar="FILE", help="The weights, .safetensors.")
@_SET
@click.option("--epochs", type=click.IntRange(1), default=20, help="Times through the data. [20]")
@click.option("--batch", type=click.IntRange(1), default=32, help="Images a step. [32]")
@click.option("--optimiser", type=click.Choice(["adam", "sgd"]), default="adam", help="[adam]")
@click.option("--rate", type=float, default=0.002, help="Learning rate at the start. [0.002]")
@click.option("--momentum", type=float, default=0.9, help="Of sgd. [0.9]")
@click.option("--decay", type=float, default=0.0, help="Weight decay. [0]")
@click.option(
    "--schedule", type=click.Choice(["cosine", "step", "constant"]), default="cosine", help="[cosine]"
)
@click.option("--seed", type=int, default=0, help="Of all that is random. [0]")
@click.option("--shift", type=float, default=0.0, help="Shift by up to so many pixels. [0]")
@click.option("--angle", type=float, default=0.0, help="Turn by up to so many degrees. [0]")
@click.option("--scale", type=float, default=0.0, help="Scale by up to this share. [0]")
@click.option(
    "--patience", type=click.IntRange(0), default=0, help="Epochs without gain to stop at; 0 never. [0]"
)
@click.option(
    "--validation", type=click.FloatRange(0, 0.9, min_open=True), default=0.1, help="Share held out. [0.1]"
)
@click.option("--resume", is_flag=True, help="Go on from FILE.checkpoint.")
@click.option("--curve", metavar="FILE", help="Draw the learning curve.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def train(
    name: str, data: str, output: str, options: dict[str, Any], validation: float, resume: bool,
    curve: str | None, quiet: bool, **settings: Any,
) -> None:  # fmt: skip
    """Train a network; FILE always holds the best so far, FILE.checkpoint where to go on."""
    from cnnfilter.nn.data import read_data
    from cnnfilter.nn.fit import DivergenceError, Settings, Training, confusion
    from cnnfilter.nn.fit import predict as scores_of
    from cnnfilter.nn.models import build

    rules = Settings(**settings)
    described = build(name, **options)
    labelled = read_data(data, _pixels, described.shape, described.preprocessing)
    for reason in labelled.skipped:
        note(f"skipped {reason}")
    if labelled.skipped:
        note(f"{len(labelled.skipped)} files skipped, {len(labelled)} images read")
    network = build(name, **{"classes": len(labelled.names), **options}).initialise(rules.seed)
    if network.classes != len(labelled.names):
        raise ParameterError(
            f"{name} tells {network.classes} classes apart, but {data} has {len(labelled.names)}"
        )
    rest, valid = labelled.split(validation, rules.seed)
    training = Training(network, rules)
    checkpoint = f"{output}.checkpoint"
    if resume and os.path.exists(checkpoint):
        training.restore(checkpoint)
    elif resume:
        note(f"no {checkpoint}: training begins")
    while not training.finished:
        bar = _bar(len(rest), f"epoch {training.epoch + 1}/{rules.epochs}", quiet)
        try:
            training.run_epoch(rest, valid, bar.update)
        except DivergenceError as error:
            kept = f"{output} holds the best of {training.epoch} epochs" if training.epoch else "nothing kept"
            raise DivergenceError(f"{error}; {kept}") from None
        finally:
            bar.close()
        _save(output, training.best, network, labelled.names)
        training.save(checkpoint)
        row = training.history[-1]
        if not quiet:
            told = ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in row.items())
            click.echo(f"epoch {training.epoch}: {told}", err=True)
    network.load(training.best)
    if curve:
        from cnnfilter.nn.draw import draw_curve

        draw_curve(training.history, curve)
    table = confusion(scores_of(network, valid.images), valid.labels)
    right = int(table.trace())
    click.echo(f"validation accuracy {right / len(valid):.4f} ({right} of {len(valid)}); true class by row:")
    for label, row in zip(labelled.names, table, strict=True):
        click.echo(f"{label:>12} " + " ".join(f"{count:5}" for count in row))


def _pixels(path: str) -> "Array":
    """Read an image as float32 (H, W, C) from 0 to 1, without its alpha."""
    import numpy as np

    from cnnfilter.imagefile import read

    picture = read(path)
    frame = np.asarray(picture.frames[0])
    full = float(np.iinfo(frame.dtype).max) if frame.dtype.kind in "iu" else 1.0
    frame = frame if frame.ndim == 3 else frame[..., None]
    frame = frame[..., : frame.shape[-1] - picture.alpha]
    if frame.shape[-1] not in (1, 3):
        raise ParameterError(f"{path} has {frame.shape[-1]} channels: give grey or RGB")
    return frame.astype(np.float32) / np.float32(full)


def _tensors(path: str) -> tuple[dict[str, "Array"], dict[str, str]]:
    """Read weights; a .pth by PyTorch alone, and there only its tensors."""
    from cnnfilter.weightsfile import read_tensors

    if not path.endswith((".pth", ".pt")):
        return read_tensors(path)
    try:
        import torch
    except ImportError:
        raise FilterFileError(
            f'{path}: reading it needs PyTorch; where that is installed convert it by: python -c "import '
            "torch, safetensors.torch as s; s.save_file(torch.load('IN.pth', weights_only=True), "
            "'OUT.safetensors')\""
        ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises whatever its unpickler meets
        raise FilterFileError(f"{path}: {error}") from error
    return {name: tensor.float().numpy() for name, tensor in state.items()}, {}


def _loaded(path: str, name: str | None) -> tuple["Network", list[str]]:
    """Build and fill the network of a file: as it is asked, as the file says, or as its names tell."""
    from cnnfilter.nn.models import build

    tensors, metadata = _tensors(path)
    facts = json.loads(metadata.get("cnnfilter_network", "{}"))
    options = facts.get("options", {}) if name in (None, facts.get("network")) else {}
    network = build(name or facts.get("network") or _recognised(tensors), **options).load(tensors)
    return network, facts.get("classes") or [str(i) for i in range(network.classes)]


def _recognised(tensors: dict[str, "Array"]) -> str:
    """Find the network whose tensors' names and shapes agree best."""
    from cnnfilter.nn.models import MODELS, build

    def agreement(name: str) -> float:
        shapes = build(name).shapes()
        same = sum(tensors[key].shape == shape for key, shape in shapes.items() if key in tensors)
        return same / max(len(shapes), 1)

    return max(MODELS, key=agreement)


def _save(path: str, tensors: dict[str, "Array"], network: "Network", names: list[str]) -> None:
    from cnnfilter.weightsfile import write_tensors

    facts = {"network": network.name, "options": network.options, "classes": names}
    write_tensors(path, tensors, {"cnnfilter_network": json.dumps(facts)})


def _labels(path: str, classes: int) -> list[str]:
    with open(path, encoding="utf-8") as file:
        names = [line.strip() for line in file if line.strip()]
    if len(names) != classes:
        raise ParameterError(f"{path} names {len(names)} classes, but the network tells {classes} apart")
    return names


def _first_convolution(network: "Network") -> str:
    from cnnfilter.nn.layers import Convolution

    for name, layer in network.layers():
        if isinstance(layer, Convolution):
            return name
    raise ParameterError(f"{network.name} has no convolution; name a layer by --layer")


def _write_sheet(tiles: "Array", title: str, output: str) -> None:
    import numpy as np

    if output.endswith(".npy"):
        from cnnfilter.wholefile import whole_file

        with whole_file(output) as file:
            np.save(file, tiles)
        return
    from cnnfilter.nn.draw import draw_sheet

    draw_sheet(tiles, title, output)


def _bar(total: int, title: str, quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=title, leave=False, disable=quiet or not sys.stderr.isatty())
