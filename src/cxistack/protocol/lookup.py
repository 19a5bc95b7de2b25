"""What a protocol is asked of a name: its attribute, and the single things said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from .. import kernels
from ..errors import AttributeMissingError
from .attribute import Attribute
from .fields import NDIMS
from .limits import Limit

__all__ = ["Lookup"]

T = TypeVar("T")


class Lookup:
    """A protocol's methods that tell what it says of a name."""

    load_paths: Mapping[str, Sequence[str]]
    kinds: Mapping[str, str]
    _attributes: Mapping[str, Attribute]

    def __contains__(self, attr: object) -> bool:
        return attr in self._attributes

    def attribute(self, attr: str) -> Attribute:
        """Return all that the protocol says of a name.

        Raises
        ------
        AttributeMissingError
            The protocol does not have it; names those that it has.
        """
        if attr not in self._attributes:
            raise AttributeMissingError(
                f"{attr!r} is not in the protocol, which knows {', '.join(self._attributes)}"
            )
        return self._attributes[attr]

    @overload
    def get_load_paths(self, attr: str) -> Sequence[str] | None: ...
    @overload
    def get_load_paths(self, attr: str, value: T) -> Sequence[str] | T: ...
    def get_load_paths(self, attr: str, value: Any = None) -> Any:
        """Return the load paths of `attr`, or `value` if the protocol does not have it."""
        return self.load_paths.get(attr, value)

    def get_kind(self, attr: str, value: str = "scalar") -> str:
        """Return the kind of `attr`, or `value` if the protocol does not have it."""
        return self.kinds.get(attr, value)

    def get_ndim(self, attr: str, value: Any = 0) -> Any:
        """Return the numbers of dimensions that the kind of `attr` is described with, or `value`.

        Frames of more dimensions are read too, and a 2-D dataset as a stack of one frame.

        Examples
        --------
        >>> CXIProtocol.import_default().get_ndim("translations")
        (1, 2, 3)
        """
        return NDIMS[self.kinds[attr]] if attr in self else value

    def get_convention(self, attr: str, path: str) -> str | None:
        """Return what the values of a mask at `path` mean, or None if the protocol does not say.

        Examples
        --------
        >>> CXIProtocol.import_default().get_convention("mask", "/mask_maker/mask")
        'good'
        """
        return self.attribute(attr).at(path).convention if attr in self else None

    def get_unit(self, attr: str, path: str | None = None) -> str | None:
        """Return the unit that values at `path` have where they state none, or None: no unit.

        Without a path, the unit that values of `attr` come in.

        Examples
        --------
        >>> protocol = CXIProtocol({"energy": "float"}, {"energy": ["/e"]}, units={"energy": "eV"})
        >>> protocol.get_unit("energy")
        'eV'
        """
        if attr not in self:
            return None
        attribute = self.attribute(attr)
        return attribute.unit if path is None else attribute.at(path).unit

    def get_limits(self, attr: str) -> tuple[Limit, ...]:
        """Return what holds of a good pixel, beside what the mask `attr` says."""
        return self.attribute(attr).limits if attr in self else ()

    def get_dtype(self, attr: str, dtype: npt.DTypeLike | None = None) -> np.dtype[Any]:
        """Return the type in which data of `dtype` is loaded as `attr`.

        A type of the attribute's family stays, and of ``number`` are all integers and floats.
        Otherwise integers keep their width when they get or lose the sign, integers and booleans
        become float64, booleans int64 or uint64, and all numbers bool.

        Parameters
        ----------
        attr : str
            Name of the attribute.
        dtype : dtype_like, optional
            Type of the data; without it, the default type of the attribute's family.

        Raises
        ------
        AttributeMissingError
            If the protocol does not have the attribute.
        CastError
            If there is no such conversion, as from float to int, which needs a ``dtype=``.

        Examples
        --------
        >>> protocol = CXIProtocol.import_default()
        >>> protocol.get_dtype("data", "int32")
        dtype('uint32')
        >>> protocol.get_dtype("whitefield")
        dtype('float64')
        """
        return self.attribute(attr).dtype_of(dtype)

    def cast(self, attr: str, array: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return data in the type of `attr`; see :meth:`get_dtype`.

        Raises
        ------
        AttributeMissingError
            If the protocol does not have the attribute.
        CastError
            If there is no conversion, or a value would change in it.
        """
        data = np.asarray(array)
        dtype = self.get_dtype(attr, data.dtype)
        if dtype == data.dtype:
            return data
        return kernels.cast(data, dtype)
