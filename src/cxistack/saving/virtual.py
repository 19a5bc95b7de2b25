"""A virtual dataset: one whose pixels are those of datasets in other files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..hdf5.boxes import Box
from ..hdf5.stored import Piece

__all__ = ["VirtualDataset", "source_name"]

_PIECE_BYTES = 512  # of a mapping in the file, at most, but for its names


@dataclass(frozen=True, eq=False)
class VirtualDataset:
    """What a virtual dataset is to have.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        Its type, which is that of all sources.
    fill : ndarray, 0-D
        What HDF5 gives for pixels whose source is not there.
    pieces : tuple of Piece
        Which pixels of which datasets they are. No step is negative.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: NDArray[Any]
    pieces: tuple[Piece, ...]

    @property
    def filenames(self) -> tuple[str, ...]:
        """The files of its sources, each once."""
        return tuple(dict.fromkeys(piece.stored.place.filename for piece in self.pieces))

    def write(
        self, h5: h5py.File, filename: str, path: str, reserve: Callable[[int], None]
    ) -> None:
        """Make the dataset in a file open for writing that will be called `filename`."""
        names = {one: source_name(one, filename) for one in self.filenames}
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_fill_value(self.fill)
        space = h5py.h5s.create_simple(self.shape)
        size = 0
        for piece in self.pieces:
            place = piece.stored.place
            source = h5py.h5s.create_simple(piece.stored.shape)
            _select(space, piece.target)
            _select(source, piece.source)
            # In both names, HDF5 takes a % for a number to be put in.
            name, inner = names[place.filename], os.fsencode(place.path.replace("%", "%%"))
            plist.set_virtual(space, name, inner, source)
            size += _PIECE_BYTES + len(name) + len(inner)
        reserve(size)
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        space.select_all()
        kind = h5py.h5t.py_create(self.dtype, logical=True)
        h5py.h5d.create(h5.id, os.fsencode(path), kind, space, plist, links)


def source_name(source: str, filename: str) -> bytes:
    """Return what a virtual dataset in the file `filename` calls a source.

    The way from its folder, so that both may be moved together; the whole path where they have no
    folder in common.
    """
    folder = os.path.realpath(os.path.dirname(filename))  # noqa: PTH120 (text)
    above, last = os.path.split(source)
    real = os.path.join(os.path.realpath(above), last)  # noqa: PTH118
    is_apart = os.path.commonpath([folder, real]) == os.sep
    name = real if is_apart else os.path.relpath(real, folder)
    return os.fsencode(name.replace("%", "%%"))


def _select(space: Any, box: Box) -> None:
    """Select a box of a dataspace."""
    start, step, count = (tuple(int(n) for n in one) for one in zip(*box, strict=True))
    space.select_hyperslab(start, count, step)
