"""Attribute: all that a protocol says of one name, and what some names mean by themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CastError
from .fields import DEFAULTS, DETECTOR, FAMILIES, RANKS
from .limits import Limit

__all__ = ["Attribute", "LoadPath", "Trait"]


_DETECTOR = re.compile(f"{DETECTOR}(?=/)")


class Trait(Flag):
    """What an attribute is by its name alone."""

    NONE = 0
    DATA = auto()  # the frames that all others go with; two axes are one frame of it
    COUNTS = auto()  # photons, or means of them: bins add up, and where nothing is known is 0
    FRAME_NUMBERS = auto()  # a list of frames, which are not numbered themselves
    PIXEL_VECTORS = auto()  # from a pixel to the next; two axes hold for all frames
    PIXEL_PLACE = auto()  # a place among the pixels
    POINT = auto()  # its values are coordinates, and never one a frame
    OWN_GRID = auto()  # an image of the sample, whose pixels are not the detector's
    SLOW_PITCH = auto()  # from a pixel to the next, along the slow axis
    FAST_PITCH = auto()


_TRAITS = {
    "data": Trait.DATA | Trait.COUNTS,
    "whitefield": Trait.COUNTS,
    "whitefields": Trait.COUNTS,
    "dataset": Trait.COUNTS,  # what a Reader reads, of which nothing is known: bins do as they say
    "image": Trait.OWN_GRID,
    "image_mask": Trait.OWN_GRID,
    "good_frames": Trait.FRAME_NUMBERS,
    "basis_vectors": Trait.PIXEL_VECTORS,
    "beam_center_x": Trait.PIXEL_PLACE,
    "beam_center_y": Trait.PIXEL_PLACE,
    "corner_position": Trait.PIXEL_PLACE | Trait.POINT,
    "y_pixel_size": Trait.SLOW_PITCH,
    "x_pixel_size": Trait.FAST_PITCH,
}


@dataclass(frozen=True)
class LoadPath:
    """Where an attribute may be, and what its values are there."""

    path: str
    convention: str | None = None  # of a mask: what its values mean
    unit: str | None = None  # of numbers: the unit of a dataset that states none

    @property
    def plain(self) -> str:
        """The path with its detector as it is called by default, not in braces."""
        return _DETECTOR.sub(r"\1", self.path)

    def means(self, path: str) -> bool:
        """Tell whether a path in a file is this one, whatever its detector is called."""
        if path == self.path or "{" not in self.path:  # asked for each dataset of each load
            return path == self.path
        pieces = _DETECTOR.split(self.path)
        pattern = "[^/]+".join(re.escape(piece) for piece in pieces[::2])
        return re.fullmatch(pattern, path) is not None


@dataclass(frozen=True)
class Attribute:
    """All that a protocol says of one name.

    Attributes
    ----------
    name, datatype, kind : str
        As in :class:`CXIProtocol`.
    places : tuple of LoadPath
        Where it may be; the first that is there counts.
    flags : tuple of str or None
        The flags that make a pixel of a mask bad; None: those of its convention.
    limits : tuple of Limit
        What holds of a good pixel of another stack.
    """

    name: str
    datatype: str
    kind: str
    places: tuple[LoadPath, ...]
    flags: tuple[str, ...] | None = None
    limits: tuple[Limit, ...] = ()

    @property
    def traits(self) -> Trait:
        """What it is by its name."""
        return _TRAITS.get(self.name, Trait.NONE)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths at which it may be, detectors called as they are by default."""
        return tuple(place.plain for place in self.places)

    @property
    def units(self) -> tuple[str, ...]:
        """The unit at each path; none where the protocol says nothing of units."""
        return tuple(place.unit for place in self.places if place.unit is not None)

    @property
    def unit(self) -> str | None:
        """The unit that its values come in."""
        return self.places[0].unit

    @property
    def is_mask(self) -> bool:
        """Whether its values are truth."""
        return self.datatype == "bool"

    @property
    def is_text(self) -> bool:
        """Whether its values are strings."""
        return self.datatype == "str"

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, which may have a unit."""
        return self.datatype not in ("bool", "str")

    @property
    def is_data(self) -> bool:
        """Whether its frames are those that all others go with."""
        return Trait.DATA in self.traits and self.kind == "stack"

    @property
    def has_pixels(self) -> bool:
        """Whether transforms act on it."""
        return self.kind in ("frame", "stack")

    @property
    def is_point(self) -> bool:
        """Whether its values are coordinates of one point, and never one a frame."""
        return Trait.POINT in self.traits

    @property
    def sums_bins(self) -> bool:
        """Whether the sum of a bin's pixels means something."""
        return Trait.COUNTS in self.traits

    def is_like(self, other: Attribute) -> bool:
        """Tell whether it is of the kind of another, and both are numbers, truth or text."""
        is_alike = self.datatype == other.datatype or (self.is_number and other.is_number)
        return self.kind == other.kind and is_alike

    def at(self, path: str) -> LoadPath:
        """Return what holds at `path`; nothing is said of one that the protocol does not have."""
        return next((place for place in self.places if place.means(path)), LoadPath(path))

    def fits(self, ndim: int) -> bool:
        """Tell whether a dataset of so many axes may be of its kind."""
        low, high = RANKS[self.kind]
        return low <= ndim and (high is None or ndim <= high)

    @property
    def axes(self) -> str:
        """How many axes a dataset of its kind has, in words."""
        low, high = RANKS[self.kind]
        return f"{low} or more" if high is None else f"{low} to {high}"

    def is_indexed(self, ndim: int) -> bool:
        """Tell whether frame numbers pick from a dataset of so many axes."""
        if self.kind not in ("sequence", "stack") or Trait.FRAME_NUMBERS in self.traits:
            return False
        return not (Trait.PIXEL_VECTORS in self.traits and ndim == 2)

    def has_a_frame_each(self, ndim: int) -> bool:
        """Tell whether an array of so many axes has an entry for each frame.

        Two axes are one frame of `data`; of any other stack they stand for all frames.
        """
        if self.kind == "stack" and not self.is_data and ndim <= 2:
            return False
        return self.is_indexed(ndim)

    def check_dtype(self, dtype: npt.DTypeLike | None) -> None:
        """Raise :class:`TypeError` for a type to which no number is cast."""
        if dtype is not None and not self.is_text and np.dtype(dtype).kind not in "biufc":
            raise TypeError(
                f"dtype={str(np.dtype(dtype))!r}: {self.name!r} is {self.datatype} in the "
                "protocol, and nothing is cast to such a type; give bool, an integer or a float"
            )

    def dtype_of(self, dtype: npt.DTypeLike | None = None) -> np.dtype[Any]:
        """Return the type in which data of `dtype` is loaded; see :meth:`CXIProtocol.get_dtype`."""
        family = self.datatype
        if dtype is None:
            return np.dtype(DEFAULTS[family])
        stored = np.dtype(dtype)
        match stored.kind, family:
            case kind, _ if kind in FAMILIES[family]:
                return stored
            case (("b" | "i" | "u" | "f" | "c"), "bool"):
                return np.dtype(np.bool_)
            case (("b" | "i" | "u"), "float") | ("b", "number"):
                return np.dtype(np.float64)
            case (("i" | "u"), ("int" | "uint")):
                return np.dtype(f"{FAMILIES[family]}{stored.itemsize}")
            case "b", ("int" | "uint"):
                return np.dtype(DEFAULTS[family])
        raise CastError(
            f"{self.name} is {family} in the protocol but its data is {stored}, and nothing says "
            f"how to make one of the other; give a dtype= to load_attribute, or the store a "
            f"protocol in which {self.name} has another type (protocol='cxi' takes numbers as they "
            "are stored)"
        )
