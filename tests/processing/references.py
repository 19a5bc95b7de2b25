"""The documented definitions in plain NumPy and SciPy, and stacks to try them on."""

import numpy as np
import scipy.ndimage
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from cxistack.processing.stacks import ComputedStack

DTYPES = ["u1", "i1", "u2", "i2", ">u2", "u4", "i4", "u8", "i8", "f4", "f8", ">f4"]


def pixels(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return some.floats(-1000, 1000, width=32)
    info = np.iinfo(dtype)
    low, high = max(info.min, -(1 << 40)), min(info.max, 1 << 40)
    return some.one_of(some.integers(low, high), some.integers(max(low, -3), 5))


@some.composite
def stacks(draw, dtypes=DTYPES, frames=(1, 6), most=6):
    """Draw (data, mask): the mask may be None, one for all frames, or one for each."""
    dtype = draw(some.sampled_from(dtypes))
    shape = (
        draw(some.integers(*frames)),
        draw(some.integers(1, most)),
        draw(some.integers(1, most)),
    )
    data = draw(arrays.arrays(dtype, shape, elements=pixels(dtype)))
    mask = draw(some.one_of(some.none(), arrays.arrays(bool, shape)))
    return data, mask


def unread(stack):
    """Return a stack that gives only the frames and rows that it is asked for."""
    if stack is None:
        return None
    return ComputedStack(stack.shape, stack.dtype, lambda n, rows: stack[n][..., rows, :])


def lower_median(values):
    """Median of a list: the lower of two in the middle; 0 of none."""
    ordered = np.sort(values)
    return ordered[(len(ordered) - 1) // 2] if len(ordered) else ordered.dtype.type(0)


def whitefield(data, mask, good_frames):
    mask = np.ones(data.shape, bool) if mask is None else mask
    out = np.zeros(data.shape[1:], data.dtype.newbyteorder("="))
    for pixel in np.ndindex(out.shape):
        at = (good_frames, *pixel)
        out[pixel] = lower_median(data[at][mask[at]])
    return out


def moving_medians(data, mask, white, size):
    mask = np.ones(data.shape, bool) if mask is None else mask
    usual = mask & (np.abs(data.astype("f8") - white) < 3 * np.sqrt(np.maximum(white, 0.0)))
    before, after = size // 2, size - size // 2 - 1
    out = np.zeros(data.shape, data.dtype.newbyteorder("="))
    for at in np.ndindex(data.shape):
        if usual[at]:
            n, *pixel = at
            values, good = (
                np.pad(one[(slice(None), *pixel)], (before, after), mode="symmetric")
                for one in (data, usual)
            )
            out[at] = lower_median(values[n : n + size][good[n : n + size]])
    return out


def offsets(data):
    """How far pixels are off the median of the 3 x 3 pixels around them, by exact numbers."""
    native = data.astype(data.dtype.newbyteorder("="))
    centre = scipy.ndimage.median_filter(native, (1, 3, 3), mode="reflect")
    exact = "f8" if data.dtype.kind == "f" else "i8"
    return native.astype(exact) - centre.astype(exact)


def percentile_mask(data, pmin, pmax):
    differences = offsets(data)
    low, high = np.percentile(differences, pmin), np.percentile(differences, pmax)
    return (differences >= low) & (differences <= high)
