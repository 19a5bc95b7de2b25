"""What is read of each part of a load, and where it goes: handed on by all that reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..catalogue.index import FrameIndex
from ..hdf5.addresses import Bytes
from ..hdf5.files import Files
from .recipe import Recipe

__all__ = ["Output", "Reading"]


@dataclass(frozen=True)
class Reading:
    """Where frames lie, what happens to their pixels, and by which way each part is read.

    Attributes
    ----------
    files : Files
        Lends the files.
    index : FrameIndex
        Where the frames lie.
    recipes : sequence of Recipe
        What happens to the pixels of each part.
    routes : sequence of Bytes
        By which way each part is read.
    """

    files: Files
    index: FrameIndex
    recipes: Sequence[Recipe]
    routes: Sequence[Bytes]


@dataclass(frozen=True)
class Output:
    """Where frames go, and how the work is done.

    Attributes
    ----------
    array : ndarray
        Where they go.
    num_threads : int or None
        How many threads work; every core when None.
    tick : callable
        Told how many more frames are done.
    """

    array: NDArray[Any]
    num_threads: int | None = None
    tick: Callable[[int], object] = lambda frames: None
