"""Where an image is transparent: what stands there for filters that cannot weigh pixels by their alpha."""

import math

import numpy as np

from cnnfilter.pixels.kinds import Array


def filled(colours: Array, alpha: Array) -> Array:
    """Give hidden pixels the colour of what is seen around them; all others keep their own.

    Parameters
    ----------
    colours : ndarray of shape (H, W, C)
        Floats that have been multiplied by alpha.
    alpha : ndarray of shape (H, W, 1)
        From 0 to 1.

    Returns
    -------
    ndarray of shape (H, W, C)

    Examples
    --------
    >>> seen = np.array([[[1.0], [0.5], [0.0], [0.0]]])
    >>> filled(np.array([[[0.5], [0.4], [0.0], [0.0]]]), seen)[0, :, 0]
    array([0.5, 0.8, 0.6, 0.6])
    """
    around = np.zeros_like(colours) if alpha.all() else _over_coarser(colours, alpha)
    return np.divide(colours, alpha, out=around, where=alpha > 0)


def _over_coarser(colours: Array, alpha: Array) -> Array:
    """Lay each pixel over a coarser copy that is filled in the same way, down to the mean of all seen."""
    if alpha.shape[:2] == (1, 1):
        return np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
    coarse = _over_coarser(_halved(colours), _halved(alpha))
    rows, columns = alpha.shape[:2]
    behind = coarse.repeat(2, axis=0)[:rows].repeat(2, axis=1)[:, :columns]
    behind *= 1 - alpha
    behind += colours
    return behind


def seen_of(value: float, frame: Array, alpha: bool) -> Array:
    """Tell which colours of a frame are a value, which may be NaN; those of hidden pixels count nothing.

    Parameters
    ----------
    value : float
        One that the frame's type holds.
    frame : ndarray of shape (H, W) or (H, W, C)
    alpha : bool
        Whether its last channel is transparency.

    Examples
    --------
    >>> seen_of(7, np.array([[[7, 255], [7, 0], [3, 7]]], np.uint8), alpha=True)[0, :, 0]
    array([ True, False, False])
    """
    colours = frame[..., :-1] if alpha else frame
    alike = np.isnan(colours) if math.isnan(value) else colours == np.asarray(value).astype(frame.dtype)
    # NaN stays NaN, however little of it is seen.
    return alike & (frame[..., -1:] > 0) if alpha and math.isfinite(value) else alike


def _halved(values: Array) -> Array:
    """Mean over blocks of 2 x 2 pixels, those at the edge perhaps smaller."""
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], 2)
        counts = np.diff(np.append(starts, values.shape[axis])).astype(values.dtype)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        values = np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape)
    return values
