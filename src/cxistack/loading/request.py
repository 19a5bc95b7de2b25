"""LoadRequest: what a user says of a load, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

from numpy.typing import DTypeLike

from ..kernels import Casting
from ..protocol.attribute import Attribute
from ..transforms.base import Transform
from ..transforms.transforms import TransformLike, transform_of

__all__ = ["LoadRequest", "LoadWords", "PixelWords"]


class PixelWords(TypedDict, total=False):
    """Keywords of a load that do not tell what comes back, for type checkers."""

    transform: TransformLike
    casting: Casting
    source: int | str | None
    num_threads: int | None
    raw: bool
    masked: Any


class LoadWords(PixelWords, total=False):
    """The same, and those that may also be positional."""

    processes: int | None
    ss_idxs: Any
    fs_idxs: Any
    verbose: bool


@dataclass(frozen=True)
class LoadRequest:
    """What is loaded of an attribute, but for its frames; see :meth:`CXIStore.load_attribute`.

    Attributes
    ----------
    attribute : Attribute
        What is loaded.
    ss_idxs, fs_idxs : index
        Which pixels, as NumPy indexes the last two axes.
    transform : Transform or None
        Which pixels, said by a transform instead.
    dtype : dtype or None
        Type of the result.
    casting : {"checked", "unsafe"}
        Whether a value that would change raises.
    source : int or None
        Number of the file that a scalar or a frame comes from.
    raw : bool
        Whether a mask comes as its bits are stored.

    Raises
    ------
    TypeError
        `transform` is no transform, nor a list of them; or nothing is cast to `dtype`.
    ValueError
        Words that exclude one another, or that an attribute of this kind has no use for.
    """

    attribute: Attribute
    ss_idxs: Any = field(default_factory=lambda: slice(None))
    fs_idxs: Any = field(default_factory=lambda: slice(None))
    transform: Transform | None = None
    dtype: DTypeLike | None = None
    casting: Casting = "checked"
    source: int | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        attribute = self.attribute
        object.__setattr__(self, "transform", transform_of(self.transform))
        if self.casting not in ("checked", "unsafe"):
            raise ValueError(f"casting must be 'checked' or 'unsafe', not {self.casting!r}")
        attribute.check_dtype(self.dtype)
        if self.raw and not attribute.is_mask:
            raise ValueError(
                f"raw=True loads the bits of a mask as they are stored, and {attribute.name!r} is "
                "no mask: leave raw= out"
            )
        if attribute.has_pixels and self.transform is not None and not self.has_all_pixels:
            raise ValueError("transform= and ss_idxs=, fs_idxs= both say which pixels: give one")

    @property
    def has_all_pixels(self) -> bool:
        """Whether `ss_idxs` and `fs_idxs` leave frames whole."""
        indices = (self.ss_idxs, self.fs_idxs)
        return all(isinstance(idxs, slice) and idxs == slice(None) for idxs in indices)
