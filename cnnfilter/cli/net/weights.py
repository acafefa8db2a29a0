"""What the commands on networks share: their options, reading images, and a network with its weights."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.main import note
from cnnfilter.cli.types import Memory
from cnnfilter.errors import FilterFileError, ParameterError

if TYPE_CHECKING:
    from cnnfilter.nn.functional.windows import Array
    from cnnfilter.nn.network import Network

METADATA = "cnnfilter_network"
"""Key of a weights file's metadata: network, options and names of the classes, as JSON."""

_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
_LEAST_AGREEMENT = 0.5
_MOST_ELONGATED = 100


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


def _names(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return our names of layers by those of a file."""
    pairs = [pair.strip().partition("=") for value in values for pair in value.split(",")]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0] and pair[2])]:
        raise click.BadParameter(f"{wrong[0]!r}: give OURS=THEIRS, as c1=conv1")
    for side in (0, 2):
        told = [pair[side] for pair in pairs]
        if twice := [name for name in told if told.count(name) > 1]:
            raise click.BadParameter(f"{twice[0]} stands twice")
    return {theirs: ours for ours, _, theirs in pairs}


def complete_networks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer a shell the networks' names."""
    from cnnfilter.nn.models import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


SET = click.option(
    "--set", "options", multiple=True, callback=_options, metavar="NAME=VALUE",
    help="Of the network, as classes=10, shortcut=A.",
)  # fmt: skip
WEIGHTS = click.option("--weights", metavar="FILE", required=True, help="A .safetensors, .npz or .pth.")
NETWORK = click.option(
    "--network", metavar="NAME", shell_complete=complete_networks,
    help="What FILE holds. [as it says or its names tell]",
)  # fmt: skip
MAP = click.option(
    "--map", "layers", multiple=True, callback=_names, metavar="OURS=THEIRS",
    help="Names of layers in FILE, as c1=conv1,c3=conv2.",
)  # fmt: skip
LABELS = click.option("--labels", metavar="FILE", help="Names of the classes, one a line.")
MEMORY = click.option(
    "--memory", type=Memory(), metavar="SIZE",
    help="Most memory for images of folders, as 1GiB; those beyond are read again. [512MiB]",
)  # fmt: skip
LAYER = click.option("--layer", metavar="NAME", help="Its name in 'net describe'. [the first convolution]")


def built(name: str, options: Mapping[str, Any]) -> "Network":
    """Describe a network with options from outside, each held against the description's default first."""
    from inspect import signature

    from cnnfilter.nn.models import MODELS, build

    if name not in MODELS:
        return build(name)  # which names those that are known
    known = {key: param.default for key, param in signature(MODELS[name]).parameters.items()}
    for key, value in options.items():
        if key not in known:
            raise ParameterError(f"{name} has no option {key!r}: it has {', '.join(known)}")
        wanted = type(known[key])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ParameterError(f"{key} is {value!r}: give {_TYPES.get(wanted, 'another value')}")
        if wanted is int and value < 1:
            raise ParameterError(f"{key} is {value!r}: give a whole number from 1")
    return build(name, **options)


def load_network(
    path: str, name: str | None, options: Mapping[str, Any], layers: Mapping[str, str]
) -> tuple["Network", list[str]]:
    """Build and fill the network of a file: as it is asked, as the file says, or as its names tell.

    Parameters
    ----------
    path : str
        The weights.
    name : str or None
        Of the network; None lets the file decide.
    options : mapping
        Of the description, before those that the file holds.
    layers : mapping
        Our names of layers by those that the file has.

    Returns
    -------
    Network
    list of str
        Names of its classes: those in the file, or their numbers.
    """
    with _told_of(path):
        network, tensors, names = _described(path, name, options, layers)
        try:
            network.load(tensors)
        except ParameterError as error:
            hint = "" if layers else "; --map OURS=THEIRS tells names that differ"
            raise ParameterError(f"{error}{hint if '; unexpected' in str(error) else ''}") from error
    return network, names if len(names) == network.classes else [str(i) for i in range(network.classes)]


def load_layers(
    path: str, name: str | None, options: Mapping[str, Any], layers: Mapping[str, str], until: str | None
) -> tuple["Network", str]:
    """Build and fill a network as far as a layer, of a file that need not hold what comes after it.

    Parameters
    ----------
    path, name, options, layers
        As those of `load_network`.
    until : str or None
        The layer; None is the first convolution.

    Returns
    -------
    Network
        Without a use for its scores where the file lacks layers, which are told.
    str
        The layer's name.
    """
    with _told_of(path):
        network, tensors, _ = _described(path, name, options, layers)
    until = until or first_convolution(network)
    network.layer(until)
    with _told_of(path):
        lacking = network.initialise().load_fitting(tensors)
        names = [full for full, _ in network.layers()]
        last = max(k for k, full in enumerate(names) if f"{full}.".startswith(f"{until}."))
        if not set(lacking).isdisjoint(names[: last + 1]):
            network.load(tensors)  # which says what is wrong
    if lacking:
        note(f"{path} has no {', '.join(lacking)}: what comes before is shown")
    return network, until


@contextmanager
def _told_of(path: str) -> Iterator[None]:
    """Name the file in what is said of its weights."""
    try:
        yield
    except ParameterError as error:
        raise FilterFileError(f"{path}: {error}") from error


def _described(
    path: str, name: str | None, options: Mapping[str, Any], layers: Mapping[str, str]
) -> tuple["Network", dict[str, "Array"], list[str]]:
    """Build the network of a file; return it without values, the tensors and the names of the classes."""
    from cnnfilter.files.weightsfile import read_tensors
    from cnnfilter.nn.network import plain_names, renamed

    tensors, metadata = read_tensors(path)
    tensors = renamed(plain_names(tensors), layers)
    facts = _facts(metadata, tensors)
    kept = facts["options"] if name in (None, facts["network"]) else {}
    name = name or facts["network"] or _recognised(tensors)
    given = {**kept, **options}
    network = built(name, given)
    if "classes" not in given:
        network = built(name, {**given, "classes": _classes(network, tensors)})
    return network, tensors, facts["classes"]


def names_in(path: str, classes: int) -> list[str]:
    """Return the names of the classes that a text file holds, one a line."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise FilterFileError(f"{path}: labels are UTF-8 text, one a line ({error})") from error
    while names and not names[-1]:
        names.pop()
    if len(names) != classes:
        raise ParameterError(f"{path}: names {len(names)} classes, but the network tells {classes} apart")
    return names


def read_image(
    path: str, max_pixels: int | None = None, remark: Callable[[str], object] | None = None
) -> "Array":
    """Read an image file, or ``-``, as float32 (H, W, C) from 0 to 1, C 1 or 3, without its alpha.

    `remark` is told of what is left out: alpha, and frames after the first.
    """
    import numpy as np

    from cnnfilter.batch.missing import refuse_missing
    from cnnfilter.files import MAX_PIXELS, read

    source, name = (sys.stdin.buffer, "standard input") if path == "-" else (path, path)
    picture = read(source, max_pixels=max_pixels or MAX_PIXELS, name=name)
    refuse_missing(picture, name)
    frame = np.asarray(picture.frames[0])
    full = float(np.iinfo(frame.dtype).max) if frame.dtype.kind in "iu" else 1.0
    frame = frame if frame.ndim == 3 else frame[..., None]
    if remark and len(picture.frames) > 1:
        remark(f"{name}: the first of {len(picture.frames)} frames is taken")
    if remark and picture.alpha and frame[..., -1].min() < full:
        remark(f"{name}: transparency is left out, and colours are taken as they stand under it")
    frame = frame[..., : frame.shape[-1] - picture.alpha]
    if picture.model == "cmyk":
        frame = full - np.minimum(full, frame[..., :3].astype(np.float32) + frame[..., 3:])
    height, width, channels = frame.shape
    if channels not in (1, 3):
        raise ParameterError(f"{name}: {channels} channels; give grey or RGB")
    if max(height, width) > _MOST_ELONGATED * min(height, width):
        raise ParameterError(f"{name}: {height} x {width} pixels are too elongated to take the middle of")
    if not np.isfinite(frame).all():
        raise ParameterError(f"{name}: holds NaN or infinite values")
    return frame.astype(np.float32) / np.float32(full)


def first_convolution(network: "Network") -> str:
    """Name the first convolution."""
    from cnnfilter.nn.layers import Convolution

    for name, layer in network.layers():
        if isinstance(layer, Convolution):
            return name
    raise ParameterError(f"{network.name} has no convolution; name a layer by --layer")


def _facts(metadata: Mapping[str, str], tensors: Mapping[str, "Array"]) -> dict[str, Any]:
    """Network, options and classes that a file names; nothing it says may cost more than it holds."""
    if METADATA not in metadata:
        return {"network": None, "options": {}, "classes": []}
    try:
        facts = json.loads(metadata[METADATA])
        network, options, classes = facts["network"], facts["options"], facts["classes"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ParameterError(f"what it says of its network is damaged ({error!r})") from error
    well_formed = isinstance(network, str) and isinstance(options, dict) and isinstance(classes, list)
    if not well_formed or not all(isinstance(label, str) for label in classes):
        raise ParameterError("what it says of its network is not of the known form")
    held = [tensor for tensor in tensors.values() if tensor.size]  # an empty one may have any sides
    most = max([len(held), *(side for tensor in held for side in tensor.shape)])
    for key, value in options.items():
        if not isinstance(value, str | int | float) or (not isinstance(value, str) and abs(value) > most):
            raise ParameterError(f"it says {key} is {value!r}, which its tensors do not bear out")
    return {"network": network, "options": options, "classes": classes}


def _recognised(tensors: Mapping[str, "Array"]) -> str:
    """Find the network whose tensors' names and shapes agree best, but for a different number of classes."""
    from cnnfilter.nn.models import MODELS, build

    def agreement(name: str) -> float:
        shapes = build(name).shapes()
        same = sum(tensors[key].shape[1:] == shape[1:] for key, shape in shapes.items() if key in tensors)
        return same / max(len(shapes), len(tensors))

    best = max(MODELS, key=agreement)
    if agreement(best) < _LEAST_AGREEMENT:
        raise ParameterError(
            f"its tensors ({', '.join([*tensors][:3])}…) are of none of the known networks; "
            f"--network NAME says of which: {', '.join(MODELS)}"
        )
    return best


def _classes(network: "Network", tensors: Mapping[str, "Array"]) -> int:
    """Count the classes of the weights: rows of the last tensor of which the network knows the columns."""
    for name, shape in reversed(network.shapes().items()):
        if shape[:1] == (network.classes,) and len(shape) == 2 and not name.startswith("aux"):
            found = tensors[name].shape if name in tensors else ()
            return int(found[0]) if found[1:] == shape[1:] and found[0] else network.classes
    return network.classes
