"""``--explain``: print the plan of each filter for each input, and do nothing."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import click

from cnnfilter.batch.jobs import STREAM, Source
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, complain
from cnnfilter.cli.options import Settings
from cnnfilter.core.correlate import explain
from cnnfilter.core.geometry import make_geometry
from cnnfilter.errors import ParameterError
from cnnfilter.files import read
from cnnfilter.filters.registry import Step

ASSUMED_SHAPE, ASSUMED_DTYPE = (1024, 1024, 3), "uint8"


def explain_images(steps: Sequence[Step], settings: Settings, sources: Sequence[Source]) -> int:
    """Print what would be computed for each source, or for an assumed image; return the exit status."""
    if not sources:
        _print("(an image that is assumed)", ASSUMED_SHAPE, ASSUMED_DTYPE, steps, settings)
        return DONE
    failed = 0
    for source in sources:
        try:
            stream: str | BinaryIO = sys.stdin.buffer if source.path == STREAM else source.path
            picture = read(stream, max_pixels=settings.max_pixels)
            _print(source.path, picture.frames[0].shape, str(picture.dtype), steps, settings)
        except (OSError, ValueError, TypeError) as error:
            complain(error, about=source.path)
            failed += 1
    return DONE if not failed else SOME_FAILED if failed < len(sources) else NOTHING_DONE


def _print(name: str, shape: tuple[int, ...], dtype: str, steps: Sequence[Step], settings: Settings) -> None:
    plans = list(_plans(shape, dtype, steps))
    if settings.json:
        filters = [{"filter": step.name, **plan} for step, plan, _ in plans]
        click.echo(json.dumps({"input": name, "shape": shape, "dtype": dtype, "filters": filters}))
        return
    click.echo(f"{name}: {'x'.join(map(str, shape))} {dtype}")
    for step, _, text in plans:
        click.echo(f"  {step.name}")
        for line in text.splitlines():
            click.echo(f"    {line}")


def _plans(
    shape: tuple[int, ...], dtype: str, steps: Sequence[Step]
) -> Iterator[tuple[Step, dict[str, Any], str]]:
    """Plan each step for what the one before it gives."""
    for step in steps:
        # Only a lone filter whose results stay in range writes integers: see `batch.process`.
        whole = len(steps) == 1 and step.bounded
        output = dtype if whole or dtype == "float64" else "float32"
        kernel = step.kernel()
        if step.colours_only:
            shape, plan, text = _layers(step, shape, output)
        elif kernel is None:
            shape, plan, text = _pooling(step, shape, output)
        else:
            given = {key: step.arguments[key] for key in _PLANNED if key in step.arguments}
            planned = explain(shape, dtype, kernel, output=output, **given)
            shape, plan, text = planned.output_shape, planned.as_dict(), planned.text()
        yield step, plan, text
        dtype = output


_PLANNED = ("stride", "padding", "boundary", "dilation", "accuracy")


def _layers(step: Step, shape: tuple[int, ...], output: str) -> tuple[tuple[int, ...], dict[str, Any], str]:
    from cnnfilter.learning.application import geometry_of

    learned = step.arguments["filter"]
    channels = shape[2] if len(shape) == 3 else 1
    if not learned.each_channel:
        if channels != learned.inputs:
            raise ParameterError(
                f"the filter takes {learned.inputs} channel(s), but the image has {channels}"
            )
        channels = learned.outputs
    given = {key: step.arguments[key] for key in ("stride", "padding") if key in step.arguments}
    place = geometry_of(learned, (shape[0], shape[1]), **given)
    shape = (*place.output_shape, *((channels,) if len(shape) == 3 or channels > 1 else ()))
    layers = [
        {
            "kernel": "x".join(map(str, layer.weights.shape[2:])),
            "inputs": layer.inputs,
            "outputs": len(layer.weights),
            "activation": layer.activation,
        }
        for layer in learned.layers
    ]
    lines = [f"layer    {k['kernel']}, {k['inputs']} to {k['outputs']}, {k['activation']}" for k in layers]
    text = "\n".join(
        [
            "method   layers",
            *lines,
            f"output   {'x'.join(map(str, shape))} {output}",
            f"reach    {learned.reach}",
        ]
    )
    plan = {
        "method": "layers",
        "output_shape": shape,
        "dtype": output,
        "layers": layers,
        "reach": learned.reach,
    }
    return shape, plan, text


def _pooling(step: Step, shape: tuple[int, ...], dtype: str) -> tuple[tuple[int, ...], dict[str, Any], str]:
    size = step.arguments["size"]
    rows, columns = size if isinstance(size, tuple) else (size, size)
    stride, padding = step.arguments.get("stride", size), step.arguments.get("padding", 0)
    geometry = make_geometry((shape[0], shape[1]), (rows, columns), stride, padding)
    output = (*geometry.output_shape, *shape[2:])
    text = (
        f"method   windows of {rows}x{columns}\n"
        f"output   {'x'.join(map(str, output))} {dtype}\n"
        f"padding  {geometry.padding}\nstride   {geometry.stride}"
    )
    plan = {"method": "windows", "output_shape": output, "padding": geometry.padding, "dtype": dtype}
    return output, plan | {"stride": geometry.stride}, text
