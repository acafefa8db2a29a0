"""Kernels as JSON: weights, divisor, name, notes and bias."""

from __future__ import annotations

import json
import math
from typing import Any

from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.kerneltext import number_text
from cnnfilter.kernels.weights import refuse_ragged

_RESERVED = ("cnnfilter", "version", "name", "weights", "divisor", "bias")


def json_text(kernel: Kernel, bias: float = 0.0) -> str:
    """Write a kernel, with its name, notes and bias, such that it is read as exactly the same.

    Raises
    ------
    ParameterError
        Notes that are no JSON, or have the name of a field.
    """
    taken = [key for key in kernel.meta if key in _RESERVED]
    if taken:
        raise ParameterError(
            f"the note {taken[0]!r} has the name of a field; fields are {', '.join(_RESERVED)}"
        )
    # The shorter way of writing whole numbers; float() gives back the same.
    rows = ",\n  ".join(f"[{', '.join(map(number_text, row))}]" for row in kernel.weights.tolist())
    head = json.dumps({"cnnfilter": "kernel", "version": 1, "name": kernel.name}, ensure_ascii=False)
    try:
        notes = json.dumps(dict(kernel.meta), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the notes of the kernel cannot be written as JSON: {error}") from error
    parts = [head[1:-1], f'"weights": [\n  {rows}\n ]', f'"divisor": {number_text(kernel.divisor)}']
    if bias:
        parts.append(f'"bias": {number_text(bias)}')
    if kernel.meta:
        parts.append(notes[1:-1])
    return "{" + ",\n ".join(parts) + "}\n"


def kernel_of_json(text: str) -> tuple[Kernel, float]:
    """Read a kernel and its bias, which is 0 if there is none.

    Raises
    ------
    ParameterError
        What is not JSON, or no kernel, or one of another version.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"not JSON: {error}") from error
    if isinstance(content, list):
        content = {"cnnfilter": "kernel", "version": 1, "weights": content}
    if not isinstance(content, dict) or content.get("cnnfilter") != "kernel" or "weights" not in content:
        raise ParameterError('no kernel: expected an object with "cnnfilter": "kernel" and "weights"')
    if content.get("version") != 1:
        raise ParameterError(
            f"version {content.get('version')!r} of the form is not known; this reads version 1"
        )
    name, divisor, bias = content.get("name", ""), content.get("divisor", 1), content.get("bias", 0)
    if not isinstance(name, str) or not _is_number(divisor) or not _is_number(bias):
        raise ParameterError(
            f"name {name!r} must be text, divisor {divisor!r} and bias {bias!r} must be numbers"
        )
    notes = {key: value for key, value in content.items() if key not in _RESERVED}
    return Kernel(_json_weights(content["weights"]), divisor, name, notes), float(bias)


def _json_weights(rows: Any) -> list[list[float]]:
    if not isinstance(rows, list) or not rows:
        raise ParameterError("the weights must be a list of rows, each a list of numbers")
    if not isinstance(rows[0], list):
        rows = [rows]
    for u, row in enumerate(rows, 1):
        if not isinstance(row, list):
            raise ParameterError(f"row {u} of the weights is {row!r}; it must be a list of numbers")
        for v, value in enumerate(row, 1):
            if not _is_number(value):
                raise ParameterError(f"at row {u}, column {v}: {value!r} is not a number")
    refuse_ragged(rows)
    return [[float(value) for value in row] for row in rows]


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
