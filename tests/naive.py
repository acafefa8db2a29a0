"""The slow, readable reference: correlation as the notes write it, in float64."""

import numpy as np


def padded(image, before, after, boundary, constant=0.0):
    """Pad the first axis of a float64 array by the picture in `core.boundary`."""
    length = image.shape[0]
    rows = []
    for place in range(-before, length + after):
        if 0 <= place < length:
            rows.append(image[place])
        elif boundary in ("zero", "constant"):
            rows.append(np.full_like(image[0], constant if boundary == "constant" else 0.0))
        elif boundary == "edge":
            rows.append(image[0 if place < 0 else length - 1])
        elif boundary == "wrap":
            rows.append(image[place % length])
        else:
            # Walk step by step and turn round at the edges.
            here = place
            while not 0 <= here < length:
                if length == 1:
                    here = 0
                elif boundary == "reflect":
                    here = -here if here < 0 else 2 * (length - 1) - here
                else:
                    here = -1 - here if here < 0 else 2 * length - 1 - here
            rows.append(image[here])
    return np.stack(rows)


def correlate(
    image, weights, stride=(1, 1), padding=((0, 0), (0, 0)), boundary="zero", constant=0.0, dilation=(1, 1)
):
    """Equation 13 with stride, padding and dilation; `image` is (H, W) or (H, W, C), the result float64."""
    image = np.asarray(image, np.float64)
    weights = np.asarray(weights, np.float64)
    inside = np.ones(image.shape[:2])
    outside = "zero" if boundary == "renormalize" else boundary
    for axis in (0, 1):
        image = np.moveaxis(padded(np.moveaxis(image, axis, 0), *padding[axis], outside, constant), 0, axis)
        inside = np.moveaxis(padded(np.moveaxis(inside, axis, 0), *padding[axis], "zero"), 0, axis)
    rows, columns = (
        (size - (taps - 1) * apart - 1) // step + 1
        for size, taps, apart, step in zip(image.shape, weights.shape, dilation, stride, strict=False)
    )
    out = np.zeros((rows, columns, *image.shape[2:]))
    norm = np.zeros((rows, columns))
    for u in range(weights.shape[0]):
        for v in range(weights.shape[1]):
            if weights[u, v] == 0:
                continue
            there = (
                slice(u * dilation[0], u * dilation[0] + (rows - 1) * stride[0] + 1, stride[0]),
                slice(v * dilation[1], v * dilation[1] + (columns - 1) * stride[1] + 1, stride[1]),
            )
            out += weights[u, v] * image[there]
            norm += weights[u, v] * inside[there]
    if boundary == "renormalize":
        scale = weights.sum() / norm
        out = out * (scale[..., None] if out.ndim == 3 else scale)
    return out
