"""What a user says of one save: checked once, and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catalogue.frames import FrameSelection
from ..kernels import Casting
from ..kernels.threads import count_threads
from ..protocol.attribute import Attribute
from ..protocol.masks import FLAGS
from ..transforms.base import Transform
from .compression import Storage

__all__ = ["SaveMode", "SaveRequest", "refuse_masked"]


SaveMode = Literal["overwrite", "append", "insert"]


@dataclass(frozen=True, eq=False)
class SaveRequest:
    """What is saved, and how; see :meth:`CXIStore.save_attribute`.

    Raises
    ------
    TypeError, ValueError
        An argument makes no sense, or does not go with another or with the attribute.
    """

    attribute: Attribute
    data: ArrayLike
    mode: SaveMode = "overwrite"
    idxs: FrameSelection = None
    casting: Casting = "checked"
    compression: str | Mapping[str, Any] | None = None
    chunks: Sequence[int] | None = None
    num_threads: int | None = None
    transform: Transform | None = None
    frame_shape: tuple[int, int] | None = None
    fill_value: Any = None
    raw: bool = False
    unit: str | None = None

    def __post_init__(self) -> None:
        _refuse_other("mode", self.mode, get_args(SaveMode))
        _refuse_other("casting", self.casting, get_args(Casting))
        count_threads(self.num_threads)
        if self.idxs is not None and self.mode != "insert":
            raise ValueError(f'idxs= goes with mode="insert", and not with mode={self.mode!r}')
        if self.transform is None and (self.frame_shape, self.fill_value) != (None, None):
            raise ValueError("frame_shape= and fill_value= go with transform=: give that as well")
        if self.transform is not None and self.raw:
            raise ValueError("raw= saves whole frames of flags, and transform= parts of frames")
        refuse_masked(self.data)
        object.__setattr__(self, "data", np.asarray(self.data))
        name, kind = self.attribute.name, self.attribute.kind
        if self.transform is not None and not self.attribute.has_pixels:
            raise ValueError(
                f"transform= goes with frames and stacks; {name!r} is a {kind} and has no pixels"
            )
        if self.unit is not None and self.values.dtype.kind not in "iufc":
            raise ValueError(f"unit= goes with numbers; {name!r} is of {self.values.dtype}")

    @property
    def values(self) -> NDArray[Any]:
        """The data as an array."""
        return np.asarray(self.data)

    def check_raw(self, convention: str | None) -> None:
        """Raise :class:`ValueError` where `raw` is said of what is saved by another convention."""
        if self.raw and convention not in FLAGS:
            raise ValueError(
                "raw= goes with a mask of flags, a bit for each reason why a pixel is bad; "
                f"{self.attribute.name!r} has no flags where it is saved"
            )

    def storage(self, shape: tuple[int, ...], is_stack: bool) -> Storage:
        """Return how an array of `shape` is stored; see :meth:`Storage.of`."""
        return Storage.of(self.compression, self.chunks, shape, is_stack)


def refuse_masked(data: object) -> None:
    """Raise :class:`TypeError` for an array that is more than its values."""
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(
            "a masked array would lose its mask: save its .filled() values, and the mask as an "
            "attribute of its own"
        )


def _refuse_other(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
