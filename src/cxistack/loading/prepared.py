"""PreparedLoad: a load that C and Cython code opens, and reads on its own threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import LayoutError
from ..hdf5._descriptor import Descriptor
from ._prepared import LoadHandle, PreparedFrames
from .few import whole_ways
from .load import Load

__all__ = ["PreparedLoad"]


class PreparedLoad:
    """A load for code without Python, made by :meth:`cxistack.CXIStore.prepared`.

    Parameters
    ----------
    load : Load
        What is loaded, and how.

    Attributes
    ----------
    frame_count : int
        How many frames there are.
    frame_shape : tuple of int
        Shape of one.
    dtype : numpy.dtype
        Type of their pixels.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self.frame_count = load.count
        self.frame_shape = load.frame_shape
        self.dtype = load.dtype
        self._handle = LoadHandle(self._opened)

    def capsule(self) -> object:
        """Return a capsule named "cxistack.load", which `open` of ``cxistack/capi.h`` takes.

        Returns
        -------
        PyCapsule
            It keeps what it points to. It may be opened many times; what is opened stays open when
            the capsule, this object and the store are gone.
        """
        return self._handle.capsule()

    def __repr__(self) -> str:
        shape = (self.frame_count, *self.frame_shape)
        return f"<PreparedLoad of {self._load.attr!r}: {shape} {self.dtype}>"

    def _opened(self) -> PreparedFrames:
        """Look up all that a read without Python needs; what is wrong is told by what is raised."""
        load = self._load
        obstacle = _obstacle(load)
        if obstacle is not None:
            raise LayoutError(f"{load.attr!r} cannot be read without Python: {obstacle}")
        ways = whole_ways(load.files, load.index, load.recipes, load.dtype)
        opened: dict[str, Descriptor] = {}
        for way in ways:
            if way.path not in opened:
                opened[way.path] = load.files.open_descriptor(way.path, way.stamp)
        descriptors = [opened[way.path] for way in ways]
        offsets = np.ascontiguousarray(load.index.offsets, np.int64)
        return PreparedFrames(offsets, ways, descriptors, load.frame_shape)


def _obstacle(load: Load) -> str | None:
    """Return what of a load takes more than its stored pixels, or None."""
    if load.conversions:
        return "its values change their unit, or are converted, when they are read"
    if load.layers or load.checks or not load.recipes:
        return "it is a mask that is put together of several, or made of limits"
    if not load.attribute.has_pixels:
        return "it has no frames of pixels"
    if load.frame_shape != load.grid:
        return "its pixels are picked one by one"
    return None if _is_plain(load.dtype) else f"{load.dtype} is no type of the C interface"


def _is_plain(dtype: np.dtype[Any]) -> bool:
    return dtype.isnative and dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.str[1:] != "f2"
