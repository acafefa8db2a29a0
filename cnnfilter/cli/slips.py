"""What people type who know another program, and the word for it here. Imported once something went wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "average": "'mean'",
        "blur": "'gaussian', or 'mean'",
        "box": "'mean'",
        "boxblur": "'mean'",
        "canny": "'gradient', whose edges are not thinned",
        "conv": "'convolve', or 'correlate'",
        "conv2d": "'correlate', which is what networks call convolution",
        "edge": "'gradient', or 'second-derivative'",
        "edges": "'gradient', or 'second-derivative'",
        "filter": "'convolve --kernel K', or a filter by its name",
        "find-edges": "'gradient', or 'second-derivative'",
        "gaussian-blur": "'gaussian'",
        "gaussianblur": "'gaussian'",
        "laplace": "'second-derivative', or 'convolve --kernel laplacian-8'",
        "laplacian": "'second-derivative', or 'convolve --kernel laplacian-8'",
        "max": "'pool max'",
        "max-pool": "'pool max'",
        "maxpool": "'pool max'",
        "mean-pool": "'pool mean'",
        "average-pool": "'pool mean'",
        "pooling": "'pool max', or 'pool mean'",
        "prewitt": "'gradient --operator prewitt'",
        "scharr": "'gradient --operator scharr'",
        "sharpen": "'unsharp', or 'convolve --kernel sharpen'",
        "sobel": "'gradient --operator sobel', or 'convolve --kernel sobel-x'",
        "smooth": "'gaussian', or 'mean'",
        "unsharp-mask": "'unsharp'",
        "usm": "'unsharp'",
        "train": "'net train', or 'learn' for one filter",
        "predict": "'net predict'",
        "version": "'--version'",
    }
)
"""The commands that do what others call otherwise."""

NO_SUMS = frozenset(
    {"median", "bilateral", "dilate", "erode", "min", "minimum", "mode", "morphology", "rank"}
)
"""Filters that are no sums of weighted pixels."""

OPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "radius": ("sigma", "the standard deviation in pixels, not a radius; --size cuts it off"),
        "std": ("sigma", ""),
        "stddev": ("sigma", ""),
        "ksize": ("size", ""),
        "kernel-size": ("size", ""),
        "window": ("size", ""),
        "border": ("boundary", ""),
        "edge": ("boundary", ""),
        "mode": ("boundary", ""),
        "padding-mode": ("boundary", ""),
        "pad": ("padding", ""),
        "bits": ("depth", ""),
        "dtype": ("depth", ""),
        "force": ("overwrite", ""),
        "out": ("output", ""),
        "weights": ("kernel", ""),
        "direction": ("axis", ""),
    }
)
"""What others call an option, and what there is to say of it."""

QUOTES = "numbers that belong together are put in quotes"

VALUES: Mapping[str, str] = MappingProxyType(
    {
        "32": "f32", "float": "f32", "float32": "f32", "f16": "f32", "half": "f32", "f64": "f32",
        "float64": "f32", "double": "f32", "uint8": "8", "byte": "8", "uint16": "16",
        "normalize": "stretch", "normalise": "stretch", "minmax": "stretch", "auto": "stretch",
        "absolute": "abs", "clamp": "clip", "saturate": "clip", "signed": "offset", "grey": "offset",
        "avg": "mean", "average": "mean", "maximum": "max", "int": "integer", "truncate": "floor",
        "h": "x", "horizontal": "x", "columns": "x", "v": "y", "vertical": "y", "rows": "y", "xy": "both",
        "color": "colour", "hue": "colour", "angle": "direction", "orientation": "direction",
        "norm": "magnitude", "strength": "magnitude",
    }
)  # fmt: skip
"""The value of an option that others call so."""


def command_meant(name: str, known: Collection[str]) -> str:
    """Say which of the `known` commands may have been meant, if any.

    Examples
    --------
    >>> command_meant("blur", ["gaussian"]), command_meant("gausian", ["gaussian"]), command_meant("x", [])
    ("; use 'gaussian', or 'mean'", "; did you mean 'gaussian'?", '')
    """
    word = name.lower().replace("_", "-")
    filters = "gaussian" in known
    if filters and word in NO_SUMS:
        return ", which is no sum of weighted pixels; of such filters only the maximum is here, 'pool max'"
    if filters and os.path.isfile(name):
        return f", which is an input; a command comes before it: mean {name}"
    if filters and word in COMMANDS:
        return f"; use {COMMANDS[word]}"
    if near := get_close_matches(word, known, n=1, cutoff=0.7):
        return f"; did you mean {near[0]!r}?"
    if filters and word in _kernels():
        return f"; use 'convolve --kernel {word}'"
    return ""


def value_meant(value: str, choices: Iterable[str]) -> str:
    """Say which of some values may have been meant, if any.

    Examples
    --------
    >>> value_meant("avg", ["max", "mean"]), value_meant("strech", ["stretch"]), value_meant("z", ["x", "y"])
    ("; did you mean 'mean'?", "; did you mean 'stretch'?", '')
    """
    known, word = list(choices), value.lower()
    found = [VALUES[word]] if VALUES.get(word) in known else get_close_matches(word, known, n=1)
    found = found or [choice for choice in known if choice.startswith(word) and word][:1]
    return f"; did you mean {found[0]!r}?" if found else ""


def option_meant(option: str, words: Sequence[str], known: Collection[str]) -> str:
    """Say what an option that is none may have been meant for.

    Parameters
    ----------
    option : str
        With its hyphens.
    words : sequence of str
        The command line it was found in.
    known : collection of str
        The options there are, with their hyphens.

    Examples
    --------
    >>> option_meant("--ksize", ["--ksize", "2"], ["--size"])
    "no option '--ksize'; use --size"
    >>> option_meant("-1", ["--kernel", "0", "-1", "0"], ["--kernel"])
    "no option '-1'; numbers that belong together are put in quotes: --kernel '0 -1 0'"
    """
    if re.fullmatch(r"-[\d.]", option):
        return f"no option {option!r}; {QUOTES}{_quoted(words, known)}"
    word = option.lstrip("-").lower().replace("_", "-")
    target, about = OPTIONS.get(word, ("", ""))
    if f"--{target}" in known:
        return f"no option {option!r}; use --{target}" + (f", {about}" if about else "")
    near = [f"--{word}"] if f"--{word}" in known else get_close_matches(f"--{word}", known, n=1, cutoff=0.75)
    return f"no option {option!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _quoted(words: Sequence[str], known: Collection[str]) -> str:
    """Show the numbers after an option as they should have been written."""
    for place, word in enumerate(words[:-1]):
        if word not in known:
            continue
        numbers = []
        for number in words[place + 1 :]:
            if not is_number(number.rstrip(",;")):
                break
            numbers.append(number)
        if len(numbers) > 1:
            return f": {word} '{' '.join(numbers)}'"
    return ""


def beside_matrix(matrix: str, inputs: Sequence[str]) -> str:
    """Say what is wrong with inputs beside a typed matrix, which may be the rest of it.

    Examples
    --------
    >>> beside_matrix("1", ["2", "3"])
    "--matrix is the input; numbers that belong together are put in quotes: --matrix '1 2 3'"
    >>> beside_matrix("1 2", ["a.png"])
    '--matrix is the input; name no file beside it'
    """
    rest = all(is_number(path.rstrip(",;")) for path in inputs) and inputs
    words = f"{QUOTES}: --matrix '{' '.join([matrix, *inputs])}'" if rest else "name no file beside it"
    return f"--matrix is the input; {words}"


def numbers_meant(words: Iterable[str]) -> str:
    """Say what words too many have in common, if it is that they are numbers.

    Examples
    --------
    >>> numbers_meant(["0", "1"]), numbers_meant(["a.png"])
    ('; numbers that belong together are put in quotes', '')
    """
    return f"; {QUOTES}" if all(map(is_number, words)) else ""


def inputs_meant(inputs: Sequence[str], option: str | None, *, unnamed_output: bool) -> str | None:
    """Say what inputs that are no files may have been meant for, or None.

    Parameters
    ----------
    inputs : sequence of str
    option : str or None
        The option of the command whose value is a plain number, if it has one.
    unnamed_output : bool
        Whether something is to be written, and no name was given for it.
    """
    missing = [path for path in inputs if path != "-" and not os.path.lexists(path)]
    for path in missing:
        if is_number(path):
            return f"{path}: no such file; " + (f"did you mean {option} {path}?" if option else QUOTES)
    if unnamed_output and len(inputs) > 1 and missing == [inputs[-1]]:
        return f"{missing[0]}: no such file; a file to be written is named by -o {missing[0]}"
    return None


def is_number(word: str) -> bool:
    """Tell whether a word is a number, or two with an x between them."""
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(x[\d.]+)?", word))


def _kernels() -> tuple[str, ...]:
    from cnnfilter.kernels.named import names

    return names()
