"""The reader that napari finds by the manifest ``napari.yaml``: frames, bad pixels, whitefield."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.others import speaks_for
from ..errors import CXIError
from ..protocol.units import conversion
from ..store.lazy import LazyArray
from ..store.store import CXIStore

__all__ = ["BadPixels", "layers_of", "reader_of"]

Paths = str | Sequence[str]
Layer = tuple[Any, dict[str, Any], str]

# Of protocols that find as much, the first: those that know units come before the default one.
_ORDER = ("cxi", "nxmx", "cheetah", "euxfel", "default")
_LENGTH = "mm"  # of pixels on the screen
_PERCENTILES = (0.5, 99.9)  # of the good pixels of a frame that are black and white


def reader_of(path: Paths) -> Callable[[Paths], list[Layer]] | None:
    """Return what reads a path for napari, or None where there are no frames that we know.

    Parameters
    ----------
    path : str or list of str
        A file, or the files of a run that are opened as one stack.
    """
    return layers_of if _protocol(path) is not None else None


def layers_of(path: Paths) -> list[Layer]:
    """Return napari's layers of a run: (array, words, kind) each.

    Of the frames, one is read for the contrast; the others when they are shown. Bad pixels are
    labelled 1. A scale is in millimetres where the files say in which unit a pixel's size is, or
    the protocol does.

    Parameters
    ----------
    path : str or list of str
        A file, or the files of a run that are opened as one stack.

    Raises
    ------
    ValueError
        There are no frames that a built-in protocol knows.
    CXIError
        What is there cannot be read.

    Examples
    --------
    >>> for array, words, kind in layers_of(example_run):
    ...     print(kind, words["name"], array.shape, words["axis_labels"])
    image data (6, 16, 20) ('frame', 'ss', 'fs')
    """
    protocol = _protocol(path)
    if protocol is None:
        raise ValueError(f"{path}: no built-in protocol finds frames there")
    store = CXIStore(path, "r", protocol)
    data = store["data"]
    layers: list[Layer] = []
    words: dict[str, Any] = {"metadata": {"protocol": protocol, "files": store.filenames()}}
    middle = len(data) // 2
    bad = _bad_pixels(store)
    shown = None if bad is None else np.asarray(bad[middle] if bad.ndim == data.ndim else bad)
    limits = _contrast(data[middle], shown)
    layers.append((data, {"name": "data", "contrast_limits": limits, **words}, "image"))
    if "whitefield" in store and len(store["whitefield"].shape) == 2:
        white = np.asarray(store["whitefield"])
        limits = _contrast(white, shown)
        hidden = {"name": "whitefield", "contrast_limits": limits, "visible": False}
        layers.append((white, {**hidden, **words}, "image"))
    if bad is not None:
        layers.append((bad, {"name": "bad pixels", "opacity": 0.5, **words}, "labels"))
    scale = _scale(store)
    return [(array, {**told, **scale(array.ndim)}, kind) for array, told, kind in layers]


def _protocol(path: Paths) -> str | None:
    """Return which built-in protocol finds most in the first file, frames among it; None: none."""
    names = [path] if isinstance(path, str) else list(path)
    if not names or not Path(names[0]).is_file():
        return None
    found: dict[str, int] = {}
    for name in _ORDER:
        try:
            with CXIStore(names[0], "r", name) as store:
                if "data" in store and speaks_for(name, lambda path: path in store.file):
                    found[name] = len(store)
        except (CXIError, OSError):
            continue
    return max(found, key=lambda name: found[name], default=None)


class BadPixels:
    """The bad pixels of each frame, as labels: 1 where the mask is False. Read when it is indexed.

    Parameters
    ----------
    mask : LazyArray
        True where a pixel is good.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, mask: LazyArray) -> None:
        self._mask, self.shape, self.ndim, self.size = mask, mask.shape, mask.ndim, mask.size

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        return np.asarray(np.logical_not(self._mask[key]), np.uint8)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)


def _bad_pixels(store: CXIStore) -> Any:
    """Return the bad pixels of one frame, where it stands for all, or of each; None: no mask."""
    if "mask" not in store:
        return None
    mask = store["mask"]
    return np.logical_not(mask[0]).astype(np.uint8) if store.is_static("mask") else BadPixels(mask)


def _contrast(frame: NDArray[Any], bad: NDArray[Any] | None) -> tuple[float, float]:
    """Return the values that are black and white, which a few hot pixels or gaps do not move."""
    good = np.isfinite(frame)
    if frame.dtype.kind == "u":  # of a gap, by DECTRIS
        good &= frame != np.iinfo(frame.dtype).max
    if bad is not None:
        good &= np.broadcast_to(bad, frame.shape) == 0
    values = frame[good]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values[:: 1 + values.size // 1_000_000], _PERCENTILES).tolist()
    return low, high if high > low else low + 1


def _scale(store: CXIStore) -> Callable[[int], dict[str, Any]]:
    """Return what tells the scale of an array by its number of axes."""
    sizes = [_millimetres(store, name) for name in ("y_pixel_size", "x_pixel_size")]
    rows, columns = sizes
    unit = _LENGTH
    if rows is None or columns is None:
        rows, columns, unit = 1.0, 1.0, "pixel"

    def words(ndim: int) -> dict[str, Any]:
        others = ndim - 2
        labels = ["frame", "module", *(f"axis {axis}" for axis in range(2, others))][:others]
        return {
            "scale": (*[1.0] * others, rows, columns),
            "units": (*["pixel"] * others, unit, unit),
            "axis_labels": (*labels, "ss", "fs"),
        }

    return words


def _millimetres(store: CXIStore, name: str) -> float | None:
    """Return the size of a pixel, or None where there is none or its unit is not known."""
    if name not in store or store[name].shape or store[name].units is None:
        return None
    change = conversion(str(store[name].units), _LENGTH)
    value = np.asarray(store[name])
    return float(value if change is None else change.apply(value))
