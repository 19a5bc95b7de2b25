"""A save that has been checked and not begun: all that the steps of writing it need to know."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..hdf5.links import Place
from ..protocol.attribute import Attribute
from .compression import Storage
from .region import Region
from .request import SaveMode
from .values import ValueEncoder

__all__ = ["Change", "Growing", "Growth"]


# Whether the first axis counts frames. A dataset of one axis less is one frame of "rows", but of
# "frames" it stands for all frames, as a new one does that is "static".
Growth = Literal["rows", "frames", "static", "none"]


@dataclass(frozen=True, eq=False)
class Change:
    """What a save does to one dataset."""

    attribute: Attribute
    path: str  # the load path, as the protocol writes it
    place: Place  # of the dataset that is there, or is to be: in the file, and by the file's name
    data: NDArray[Any]  # in the unit in which it is kept; with a region, its pixels alone
    mode: SaveMode
    rows: NDArray[np.int64] | None  # where the frames of `data` go, with "insert"
    encoder: ValueEncoder
    growth: Growth
    storage: Storage  # of a dataset that is new or overwritten
    num_threads: int | None = None  # that encode chunks; None is all cores
    region: Region | None = None  # the pixels that are saved, where it is not whole frames
    others: Collection[str] = ()  # the load paths of other attributes: nothing may appear there

    @property
    def by_frame(self) -> bool:
        """Whether the first axis counts frames."""
        return self.growth in ("rows", "frames")

    @property
    def convention(self) -> str | None:
        """Of a mask, what its values mean where it goes."""
        return self.attribute.at(self.path).convention

    def keeps(self, old: Any) -> bool:
        """Tell whether a dataset that is there is stored as was asked for."""
        return not self.storage.is_given or self.storage.is_that_of(old)


@dataclass(frozen=True, eq=False)
class Growing:
    """A dataset after a save, to which a writer adds frames by more of the same.

    Attributes
    ----------
    change : Change
        The save.
    length : int
        How many frames there are.
    depth : int
        How many of them share a chunk.
    dtype : numpy.dtype
        The stored type.
    """

    change: Change
    length: int
    depth: int
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, change: Change, dataset: Any) -> Growing:
        """Return what a save has made of an :class:`h5py.Dataset`."""
        length = dataset.shape[0] if dataset.shape else 1
        depth = dataset.chunks[0] if dataset.chunks else 1
        none = np.empty((0, *change.data.shape[1:]), change.data.dtype)  # the user's may be large
        return cls(replace(change, data=none), length, depth, dataset.dtype)

    def by(self, frames: NDArray[Any]) -> Change:
        """Return the change that adds frames, of the type of those before them."""
        bits = frames.view(self.change.data.dtype)  # of flags, saved as they are
        return replace(self.change, data=bits, mode="append", rows=None)
