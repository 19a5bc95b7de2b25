"""What is stored of values: cast to the stored type, or turned into the flags of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..errors import CastError
from ..kernels.offence import cast_error
from ..protocol.masks import FLAGS, bad_bits, is_truth
from ..protocol.units import UnitConversion

__all__ = ["ValueEncoder", "is_castable", "refuse_flags"]


_PIXELS = frozenset("?bhilqBHILQfd")  # types that the kernels cast
_CHECKED = 24 << 20  # bytes of cast values that a check holds at a time


@dataclass(frozen=True)
class ValueEncoder:
    """Turns values into what is stored.

    Attributes
    ----------
    new_dtype : numpy.dtype
        Type of a new dataset.
    convention : {"good", "cxi", "nexus"} or None
        How a mask's pixels are written.
    casting : {"checked", "unsafe"}
        Whether a value that does not fit the stored type raises.
    flags : sequence of str, optional
        Names of the flags that make a pixel bad, instead of those of the convention.
    conversion : UnitConversion or None
        How stored values become those of the attribute when they are loaded.
    new_unit : str or None
        The unit that a new dataset states.
    """

    new_dtype: np.dtype[Any]
    convention: str | None = None
    casting: Literal["checked", "unsafe"] = "checked"
    flags: Sequence[str] | None = None
    conversion: UnitConversion | None = None
    new_unit: str | None = None

    @property
    def looks_at_stored(self) -> bool:
        """Whether what is stored now bears on what is written."""
        return self.convention in FLAGS

    def only_casts(self, data: NDArray[Any], dtype: np.dtype[Any]) -> bool:
        """Whether values become stored ones by a cast that the kernels know, and nothing else."""
        if data.dtype.kind in "OSU" or self.conversion is not None:
            return False
        if self.convention is not None and not is_truth(self.convention, dtype):
            return False
        return is_castable(data.dtype, dtype)

    def ready(
        self, data: NDArray[Any], dtype: np.dtype[Any], stored: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return what :func:`~cxistack.saving.chunks.write_rows` takes.

        Where values only have to be cast, these are the values themselves, checked; they are cast
        when they are written. Otherwise these are stored values, as :meth:`over` returns them.
        """
        if data.ndim == 0 or not self.only_casts(data, dtype):
            return self.over(data, dtype, stored)
        self.check(data, dtype)
        return data

    def check(self, data: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Raise as :meth:`over` does, without the result and the memory for it."""
        if self.casting == "unsafe" or np.can_cast(data.dtype, dtype):
            return
        target = dtype.newbyteorder("=")
        step = max(1, _CHECKED // max(1, data[:1].size * dtype.itemsize))
        scratch = np.empty((min(step, len(data)), *data.shape[1:]), target)
        for first in range(0, len(data), step):
            part = data[first : first + step]
            try:
                kernels.cast(part, out=scratch[: len(part)], casting=self.casting)
            except CastError:
                # Frames are numbered through the whole.
                raise cast_error(data, None, None, first * data[0].size, target) from None

    def over(
        self, data: NDArray[Any], dtype: np.dtype[Any], stored: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Return what is written into a dataset of `dtype` that holds `stored` (if looked at).

        Raises
        ------
        CastError
            A value does not fit `dtype`.
        """
        if dtype.kind in "OSU" or data.dtype.kind in "OSU":
            return _strings(data, dtype)
        if self.convention is not None and not is_truth(self.convention, dtype):
            return _flags(data, dtype, stored, self.convention, self.flags)
        if self.conversion is not None:
            data = self.conversion.undo(data, checked=self.casting == "checked")
        try:
            return kernels.cast(data, dtype.newbyteorder("="), casting=self.casting)
        except TypeError as error:  # a type that the kernels do not know, half floats for one
            raise CastError(f"{data.dtype} cannot be stored as {dtype}: {error}") from error


def refuse_flags(attr: str, values: NDArray[Any], convention: str | None) -> None:
    """Raise :class:`CastError` where a mask is not True or 1 for good, False or 0 for bad pixels.

    Flags would be taken for their opposite: of most of them 0 is good.
    """
    if values.dtype.kind not in "iufc":
        return  # truth; what is no number at all is refused by its type
    given = values[:1] if values.ndim and values.strides[0] == 0 else values
    step = max(1, _CHECKED // max(1, given[:1].size)) if given.ndim else 1
    for first in range(0, len(given) if given.ndim else 1, step):
        part = given[first : first + step] if given.ndim else given
        is_other = (part != 0) & (part != 1)
        if is_other.any():
            place = tuple(map(int, np.unravel_index(int(np.argmax(is_other)), part.shape)))
            where = f" at {(first + place[0], *place[1:])}" if place else ""
            raw = ", or save flags with raw=True" if convention in FLAGS else ""
            raise CastError(
                f"a mask is True or 1 for a good pixel and False or 0 for a bad one, and {attr!r} "
                f"is {part[place]}{where}: of CXI flags save mask == 0{raw}"
            )


def is_castable(source: np.dtype[Any], stored: np.dtype[Any]) -> bool:
    """Tell whether the kernels make values of one type out of those of another."""
    return source == stored or {source.char, stored.char} <= _PIXELS


def _strings(data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return strings as objects, which h5py writes; HDF5 would cut those that are too long."""
    if data.dtype.kind not in "OSU" or dtype.kind not in "OSU":
        raise CastError(f"{data.dtype} cannot be stored as {dtype}: one is text, the other is not")
    if dtype.kind == "S":
        longest = max((len(_as_bytes(text)) for text in data.flat), default=0)
        if longest > dtype.itemsize:
            raise CastError(
                f"a text of {longest} bytes does not fit the stored type of {dtype.itemsize} "
                "bytes: delete the dataset first, and the save makes one for texts of any length"
            )
    return data.astype(object)


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _flags(
    data: NDArray[Any],
    dtype: np.dtype[Any],
    stored: NDArray[Any] | None,
    convention: str,
    names: Sequence[str] | None,
) -> NDArray[Any]:
    """Set and clear flags; a pixel that was bad and is bad keeps the reasons it had.

    A pixel that is good now loses what made it bad, and no other flag.
    """
    if dtype.kind not in "biu":
        raise CastError(
            f"a mask of convention {convention!r} is kept as flags, and the stored type {dtype} "
            "holds none"
        )
    plain = np.dtype(f"u{dtype.itemsize}")  # the bits alone: a sign is one of them
    wide = np.zeros(data.shape, np.uint64)
    if stored is not None:
        wide = stored.astype(dtype.newbyteorder("=")).view(plain).astype(np.uint64)
    bits = np.uint64(bad_bits(convention, names))
    most = 1 if dtype.kind == "b" else np.iinfo(dtype).max
    user = FLAGS[convention].user_flag if FLAGS[convention].user_flag <= most else 1
    flag = next((f for f in (user, 1) if f & int(bits)), 0)
    is_good = kernels.cast(data, bool)
    is_new = ~is_good & ((wide & bits) == 0)
    if not flag and is_new.any():
        needed = next(n for n, bit in FLAGS[convention].names.items() if bit == user)
        raise CastError(
            f"a pixel that becomes bad gets the flag {needed!r}, which the protocol's flags "
            f"({', '.join(names or ())}) do not count as bad: the pixel would come back good; add "
            "the flag to the protocol"
        )
    wide[is_good] &= ~bits
    wide[is_new] |= np.uint64(flag)
    return wide.astype(plain).view(dtype.newbyteorder("="))
