"""State dicts of PyTorch. A .pth is a pickle: only PyTorch's own reader, told to take weights, opens it."""

import os
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from cnnfilter.errors import FilterFileError

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

_KEYS = ("state_dict", "model_state_dict", "model")
_REMEDY = "torch.save(model.state_dict(), FILE) where it was made"


def read(file: IO[bytes], path: str | os.PathLike[str], size: int, max_bytes: int) -> dict[str, Array]:
    """Read a state dict, or a checkpoint that holds one, by PyTorch; numbers become float32.

    Parameters
    ----------
    file : binary file
    path : path
        What the file is called.
    size : int
        Bytes that it takes unpacked.
    max_bytes : int
        Most that it, and its numbers, may take.

    Raises
    ------
    FilterFileError
        If PyTorch is not installed, refuses the file, or finds anything but one state dict of real numbers.
    """
    _refuse_large(size, max_bytes)
    try:
        import torch
    except ImportError:
        raise FilterFileError(_how_to_convert(path)) from None
    file.seek(0)
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # its unpickler raises whatever it meets
        reason = str(error).partition(". ")[0].partition("\n")[0]
        raise FilterFileError(f"PyTorch cannot read its weights ({reason}); {_REMEDY}") from error
    state = _state(held)
    # A tensor may show a few numbers of the file many times.
    _refuse_large(sum(4 * tensor.numel() for tensor in state.values()), max_bytes)
    return {str(name): _numbers(str(name), tensor) for name, tensor in state.items()}


def _refuse_large(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise FilterFileError(f"it takes {size} bytes, more than the limit of {max_bytes}")


def _how_to_convert(path: str | os.PathLike[str]) -> str:
    name = os.path.basename(os.fspath(path))
    command = (
        "import numpy, torch; numpy.savez("
        f"{os.path.splitext(name)[0] + '.npz'!r}, **{{k: v.detach().float().numpy() for k, v in "
        f"torch.load({name!r}, map_location='cpu', weights_only=True).items()}})"
    )
    return f'a file of PyTorch, which is not installed; convert it where it is: python -c "{command}"'


def _state(held: Any) -> Mapping[Any, Any]:
    """Find the state dict: the whole, what has a usual name, or the only one that a checkpoint holds."""
    if _is_state(held):
        return held  # type: ignore[no-any-return]
    if not isinstance(held, Mapping):
        raise FilterFileError(f"holds a {type(held).__name__}: a state dict is needed; {_REMEDY}")
    states = {key: value for key, value in held.items() if isinstance(value, Mapping) and _is_state(value)}
    named = [key for key in _KEYS if key in states] or list(states)
    if len(named) == 1 or (named and named[0] in _KEYS):
        return states[named[0]]
    if named:
        raise FilterFileError(f"holds several state dicts ({', '.join(map(str, named))}); save the one meant")
    inner = next((held[key] for key in _KEYS if isinstance(held.get(key), Mapping)), None)
    if inner is not None:
        return _state(inner)
    strange = ", ".join(
        f"{name} ({type(value).__name__})" for name, value in held.items() if not _is_tensor(value)
    )
    raise FilterFileError(f"holds {strange}: a state dict of nothing but tensors is needed; {_REMEDY}")


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_tensor(tensor) for tensor in value.values())


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach")


def _numbers(name: str, tensor: Any) -> Array:
    if tensor.is_complex():
        raise FilterFileError(f"tensor {name!r} is complex: real numbers only")
    try:
        return np.array(tensor.detach().float().numpy())
    except (RuntimeError, TypeError) as error:  # sparse, or without values at all
        reason = str(error).partition(". ")[0]
        raise FilterFileError(f"tensor {name!r} is no plain array of numbers ({reason})") from error
