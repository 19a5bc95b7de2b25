"""CXIProtocol: the names of attributes, where files keep them, and what they are."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, TypeAlias, TypeVar, cast, overload

import h5py
import numpy as np
import numpy.typing as npt

from . import kernels
from .errors import AttributeMissingError, CastError, LayoutError, ProtocolError
from .hdf5.shapes import dataset_shapes, has_path
from .protocol_ini import format_list, parse_list, read_ini, write_ini

__all__ = ["RANKS", "CXIProtocol"]

Convention: TypeAlias = Literal["good", "cxi", "nexus"]
T = TypeVar("T")

_TYPES = ("float", "int", "uint", "bool", "str")
_CONVENTIONS = ("good", "cxi", "nexus")
_NDIMS: dict[str, tuple[int, ...]] = {
    "scalar": (0, 1, 2),
    "sequence": (1, 2, 3),
    "frame": (2, 3),
    "stack": (3,),
}
# Least and most axes that a dataset of each kind may have; None: any number leads the last two.
RANKS: dict[str, tuple[int, int | None]] = {
    "scalar": (0, 2),
    "sequence": (1, 3),
    "frame": (2, None),
    "stack": (2, None),
}
_FAMILIES = {"float": "f", "int": "i", "uint": "u", "bool": "b", "str": "OSTU"}
_DEFAULTS = {"float": "f8", "int": "i8", "uint": "u8", "bool": "?", "str": "O"}


@dataclass(frozen=True, repr=False)
class CXIProtocol:
    """What attributes there are, where files keep them, and what they are.

    A protocol does not change: methods that would change it return a new one. Protocols can be
    compared, hashed and pickled. The order of attributes is that of `datatypes`, and entries for
    attributes that `datatypes` does not name are left out; so ``protocol.replace(datatypes=...)``
    with fewer attributes is a protocol of these.

    Parameters
    ----------
    datatypes : mapping of str to str
        The type of each attribute: ``float``, ``int``, ``uint``, ``bool`` or ``str``.
    load_paths : mapping of str to sequence of str
        Where in a file the attribute may be; the first path that is there counts.
    kinds : mapping of str to str, optional
        What each attribute is, ``scalar`` if not said:

        * ``scalar``: 0-D, 1-D or 2-D, loaded and saved as it is.
        * ``sequence``: 1-D, 2-D or 3-D; the first axis is that of the frames.
        * ``frame``: one image of the detector's grid, which transforms act on.
        * ``stack``: a sequence of images, which transforms act on.
    conventions : mapping of str to sequence of str, optional
        For masks (``bool``) what their values mean, one for each load path: ``good`` (True or any
        value but 0 is good), ``cxi`` (a bit field, 0 is good) or ``nexus`` (a bit field, a pixel
        with any of the low 16 bits set is bad).

    Raises
    ------
    ProtocolError
        If a type, a kind or a convention is unknown, a name is not a Python identifier, or an
        attribute has no load path. Names section and key.

    Examples
    --------
    >>> CXIProtocol.import_default()
    CXIProtocol(datatypes={...}, load_paths={...}, kinds={...})
    >>> protocol = CXIProtocol({"data": "uint"}, {"data": ["/entry/data/data"]}, {"data": "stack"})
    >>> protocol.load_paths["data"]
    ('/entry/data/data',)
    >>> print(protocol)
    attribute  type  kind   paths
    data       uint  stack  /entry/data/data
    """

    datatypes: Mapping[str, str]
    load_paths: Mapping[str, Sequence[str]]
    kinds: Mapping[str, str] = field(default_factory=dict)
    conventions: Mapping[str, Sequence[str]] = field(default_factory=dict)

    known_types: ClassVar[tuple[str, ...]] = _TYPES
    known_ndims: ClassVar[Mapping[str, tuple[int, ...]]] = MappingProxyType(_NDIMS)

    def __post_init__(self) -> None:
        kinds = {attr: self.kinds.get(attr, "scalar") for attr in self.datatypes}
        paths = {
            attr: _strings("load_paths", attr, self.load_paths.get(attr, ()))
            for attr in self.datatypes
        }
        conventions = {
            attr: _strings("conventions", attr, self.conventions[attr])
            for attr in self.datatypes
            if attr in self.conventions
        }
        for name, value in (
            ("datatypes", dict(self.datatypes)),
            ("load_paths", paths),
            ("kinds", kinds),
            ("conventions", conventions),
        ):
            object.__setattr__(self, name, MappingProxyType(value))
        for attr in self:
            self._validate(attr)

    def _validate(self, attr: str) -> None:
        datatype, paths, kind = self.datatypes[attr], self.load_paths[attr], self.kinds[attr]
        if not isinstance(attr, str) or not attr.isidentifier():
            raise _fault("datatypes", attr, "the name must be a Python identifier")
        if datatype not in _TYPES:
            raise _fault("datatypes", attr, f"{datatype!r} is not one of {', '.join(_TYPES)}")
        if kind not in tuple(_NDIMS):
            raise _fault("kinds", attr, f"{kind!r} is not one of {', '.join(_NDIMS)}")
        if not paths:
            raise _fault("load_paths", attr, "the attribute needs at least one path")
        for path in paths:
            if not path or "\0" in path:
                raise _fault("load_paths", attr, f"{path!r} cannot be a path in an HDF5 file")
        if attr not in self.conventions:
            return
        conventions = self.conventions[attr]
        if datatype != "bool":
            raise _fault("conventions", attr, f"only masks (bool) have any, not {datatype}")
        if len(conventions) != len(paths):
            raise _fault(
                "conventions",
                attr,
                f"{len(conventions)} are given for {len(paths)} load paths; one for each is needed",
            )
        for convention in conventions:
            if convention not in _CONVENTIONS:
                known = ", ".join(_CONVENTIONS)
                raise _fault("conventions", attr, f"{convention!r} is not one of {known}")

    @classmethod
    def import_default(cls) -> Self:
        """Return the default protocol.

        Examples
        --------
        >>> CXIProtocol.import_default().get_kind("data")
        'stack'
        """
        default = _default()
        if cls is CXIProtocol:
            return default  # type: ignore[return-value]
        return cls(default.datatypes, default.load_paths, default.kinds, default.conventions)

    @classmethod
    def import_ini(cls, file: str | os.PathLike[str]) -> Self:
        """Return the protocol that an INI file describes.

        Parameters
        ----------
        file : path-like
            A text in UTF-8 with the sections ``[datatypes]``, ``[load_paths]``, ``[kinds]`` and,
            optionally, ``[conventions]``; written by :meth:`to_ini`, by hand or by pyrost.

        Raises
        ------
        ProtocolError
            If the file cannot be read or is not a protocol. Names file, section and key.
        """
        sections = read_ini(file)
        try:
            lists = {
                name: {attr: _list(name, attr, text) for attr, text in section.items()}
                for name, section in sections.items()
                if name in ("load_paths", "conventions")
            }
            return cls(sections["datatypes"], kinds=sections["kinds"], **lists)
        except ProtocolError as error:
            raise ProtocolError(f"{os.fspath(file)}: {error}") from None

    def to_ini(self, file: str | os.PathLike[str]) -> None:
        """Write the protocol to an INI file that :meth:`import_ini` reads back exactly.

        Parameters
        ----------
        file : path-like
            Where to; an existing file is replaced at once, when the new one is complete.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        write_ini(file, self.ini_dict())

    def ini_dict(self) -> dict[str, dict[str, str]]:
        """Return the sections of the INI file and their values as they are written.

        Examples
        --------
        >>> CXIProtocol.import_default().ini_dict()["conventions"]
        {'mask': '[good, good, cxi, cxi]'}
        """
        sections = {
            "datatypes": dict(self.datatypes),
            "load_paths": {attr: format_list(paths) for attr, paths in self.load_paths.items()},
            "kinds": dict(self.kinds),
        }
        if self.conventions:
            sections["conventions"] = {
                attr: format_list(values) for attr, values in self.conventions.items()
            }
        return sections

    def replace(self, **fields: Any) -> Self:
        """Return a protocol with other `datatypes`, `load_paths`, `kinds` or `conventions`.

        Without new `conventions` a load path of a mask keeps its own, a new path of such a mask
        is ``good``, and what is no longer ``bool`` has none.

        Examples
        --------
        >>> protocol = CXIProtocol.import_default()
        >>> raw = protocol.replace(datatypes={**protocol.datatypes, "mask": "uint"})
        >>> raw.get_dtype("mask", "uint32")
        dtype('uint32')
        """
        new = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | fields
        if "conventions" not in fields:
            new["conventions"] = {
                attr: tuple(
                    self.get_convention(attr, path) or "good"
                    for path in _strings("load_paths", attr, new["load_paths"].get(attr, ()))
                )
                for attr in self.conventions
                if new["datatypes"].get(attr) == "bool"
            }
        return type(self)(**new)

    def add_attribute(
        self,
        attr: str,
        datatype: str,
        load_paths: str | Iterable[str],
        kind: str,
        convention: str | Iterable[str] | None = None,
    ) -> Self:
        """Return a protocol with one more attribute, or with another definition of it.

        Parameters
        ----------
        attr : str
            Name, a Python identifier.
        datatype, kind : str
            Type and kind; see :class:`CXIProtocol`.
        load_paths : str or iterable of str
            Where in a file the attribute may be.
        convention : str or iterable of str, optional
            What the values of a mask mean, for all load paths or for each.

        Examples
        --------
        >>> protocol = CXIProtocol.import_default()
        >>> protocol = protocol.add_attribute("pulse", "uint", "/entry/pulse_id", "sequence")
        >>> protocol.get_load_paths("pulse")
        ('/entry/pulse_id',)
        """
        paths = _strings("load_paths", attr, load_paths)
        conventions = {name: values for name, values in self.conventions.items() if name != attr}
        if isinstance(convention, str):
            conventions[attr] = (convention,) * len(paths)
        elif convention is not None:
            conventions[attr] = _strings("conventions", attr, convention)
        return self.replace(
            datatypes={**self.datatypes, attr: datatype},
            load_paths={**self.load_paths, attr: paths},
            kinds={**self.kinds, attr: kind},
            conventions=conventions,
        )

    def find_path(self, attr: str, h5file: h5py.Group) -> str:
        """Return the first load path of `attr` that `h5file` has, or an empty string.

        A path with a link that leads nowhere counts as present: reading it raises LinkError, where
        taking the next path instead could load other data.

        Parameters
        ----------
        attr : str
            Name of the attribute.
        h5file : h5py.File
            An open file.
        """
        paths = self.load_paths.get(attr, ())
        return next((path for path in paths if has_path(h5file, path)), "")

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
        return _NDIMS[self.kinds[attr]] if attr in self else value

    def get_convention(self, attr: str, path: str) -> Convention | None:
        """Return what the values of a mask at `path` mean, or None if the protocol does not say.

        Examples
        --------
        >>> CXIProtocol.import_default().get_convention("mask", "/mask_maker/mask")
        'good'
        """
        pairs = zip(self.load_paths.get(attr, ()), self.conventions.get(attr, ()), strict=False)
        return next((cast(Convention, value) for known, value in pairs if known == path), None)

    def get_dtype(self, attr: str, dtype: npt.DTypeLike | None = None) -> np.dtype[Any]:
        """Return the type in which data of `dtype` is loaded as `attr`.

        A type of the attribute's family stays. Otherwise integers keep their width when they get
        or lose the sign, integers and booleans become float64, booleans int64 or uint64, and all
        numbers bool.

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
        if attr not in self:
            raise AttributeMissingError(f"the protocol has no attribute {attr!r}")
        family = self.datatypes[attr]
        if dtype is None:
            return np.dtype(_DEFAULTS[family])
        stored = np.dtype(dtype)
        match stored.kind, family:
            case kind, _ if kind in _FAMILIES[family]:
                return stored
            case (("b" | "i" | "u" | "f" | "c"), "bool"):
                return np.dtype(np.bool_)
            case (("b" | "i" | "u"), "float"):
                return np.dtype(np.float64)
            case (("i" | "u"), ("int" | "uint")):
                return np.dtype(f"{_FAMILIES[family]}{stored.itemsize}")
            case "b", ("int" | "uint"):
                return np.dtype(_DEFAULTS[family])
        raise CastError(
            f"{attr} is {family} in the protocol but its data is {stored}, and nothing says how "
            f"to make one of the other; give a dtype=, or a protocol in which {attr} has another "
            "type"
        )

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

    def read_dataset_shapes(self, path: str, h5file: h5py.Group) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets at `path`, by their paths.

        Parameters
        ----------
        path : str
            A dataset, or a group, which stands for its direct children that are datasets, each
            once and in natural order; but one that is virtual over others stands for all.
        h5file : h5py.File
            An open file.

        Raises
        ------
        LayoutError
            If something else is there, or a dataset without a dataspace.
        LinkError
            If a link at `path`, or in the group, leads nowhere.
        """
        return dataset_shapes(path, h5file)

    def read_attribute_shapes(self, attr: str, h5file: h5py.Group) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets of `attr` in `h5file`, by their paths."""
        return self.read_dataset_shapes(self.find_path(attr, h5file), h5file)

    def read_attribute_indices(self, attr: str, h5files: Iterable[h5py.File]) -> npt.NDArray[Any]:
        """Return where each frame of `attr` is, a Python object each.

        It is here for those who used it; a store does not need such a list.

        Parameters
        ----------
        attr : str
            Name of the attribute.
        h5files : iterable of h5py.File
            Open files.

        Returns
        -------
        numpy.ndarray
            Objects of shape (N, 3): name of the file, path of the dataset, index of the row. The
            index is ``()`` where the whole dataset is meant.

        Raises
        ------
        LayoutError
            If a dataset has not the dimensions that its kind needs.
        """
        rows: list[tuple[str, str, Any]] = []
        kind = self.get_kind(attr)
        for h5file in h5files:
            for path, shape in self.read_attribute_shapes(attr, h5file).items():
                ndim, (least, most) = len(shape), RANKS[kind]
                if ndim < least or (most is not None and ndim > most):
                    raise LayoutError(
                        f"{h5file.filename}: {path} has shape {shape}, which cannot be the {kind} "
                        f"that {attr} is"
                    )
                whole = kind in ("scalar", "frame") or (kind == "stack" and ndim == 2)
                indices = [()] if whole else range(shape[0])
                rows.extend((h5file.filename, path, index) for index in indices)
        table = np.empty((len(rows), 3), dtype=object)
        for number, row in enumerate(rows):
            table[number, 0], table[number, 1], table[number, 2] = row
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self.datatypes)

    def __contains__(self, attr: object) -> bool:
        return attr in self.datatypes

    def __len__(self) -> int:
        return len(self.datatypes)

    def __hash__(self) -> int:
        return hash(
            tuple(
                frozenset(mapping.items())
                for mapping in (self.datatypes, self.load_paths, self.kinds, self.conventions)
            )
        )

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any], ...]]:
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return type(self), tuple(
            dict(value) if isinstance(value, MappingProxyType) else value for value in values
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(datatypes={{...}}, load_paths={{...}}, kinds={{...}})"

    def __str__(self) -> str:
        rows = [("attribute", "type", "kind", "paths")]
        for attr, paths in self.load_paths.items():
            meanings = self.conventions.get(attr)
            places = list(paths)
            if meanings:
                places = [f"{path} ({how})" for path, how in zip(paths, meanings, strict=True)]
            rows.append((attr, self.datatypes[attr], self.kinds[attr], places[0]))
            rows.extend(("", "", "", place) for place in places[1:])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        widths[-1] = 0
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )


@functools.cache
def _default() -> CXIProtocol:
    resource = importlib.resources.files("cxistack") / "protocols" / "default.ini"
    with importlib.resources.as_file(resource) as file:
        return CXIProtocol.import_ini(file)


def _fault(section: str, key: object, why: str) -> ProtocolError:
    return ProtocolError(f"section [{section}], key {key}: {why}")


def _strings(section: str, attr: str, values: str | Iterable[str]) -> tuple[str, ...]:
    items = (values,) if isinstance(values, str) else tuple(values)
    for item in items:
        if not isinstance(item, str):
            raise _fault(section, attr, f"{item!r} is not a string")
    return items


def _list(section: str, attr: str, text: str) -> tuple[str, ...]:
    try:
        return parse_list(text)
    except ValueError as error:
        raise _fault(section, attr, str(error)) from None
