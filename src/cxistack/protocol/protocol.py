"""CXIProtocol: the names of attributes, where files keep them, and what they are."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Self

from ..errors import ProtocolError
from ..hdf5.links import LinkPolicy
from ..hdf5.names import Names
from ..markup import notebook, table
from .attribute import Attribute, LoadPath
from .fields import BY_PATH, FAMILIES, NDIMS, OPTIONAL, fault, strings
from .fields import check as check_fields
from .ini import builtin_file, builtin_names, format_list, parse_list, read_ini, write_ini
from .limits import parse_limit
from .pyrost import OnOpenFiles

__all__ = ["CXIProtocol", "cxi_unit", "register_discoverer"]


_COLUMNS = ("attribute", "type", "kind", "paths")


@dataclass(frozen=True, repr=False)
class CXIProtocol(OnOpenFiles):
    """What attributes there are, where files keep them, and what they are.

    A protocol does not change: methods that would change it return a new one. Protocols can be
    compared, hashed and pickled. The order of attributes is that of `datatypes`, and entries for
    attributes that `datatypes` does not name are left out; so ``protocol.replace(datatypes=...)``
    with fewer attributes is a protocol of these.

    Parameters
    ----------
    datatypes : mapping of str to str
        The type of each attribute: ``float``, ``int``, ``uint``, ``bool``, ``str`` or ``number``,
        which is any of the first three, as it is stored.
    load_paths : mapping of str to sequence of str
        Where in a file the attribute may be; the first path that is there counts. A path with
        ``{module}`` in it is a pattern for detectors with a file for each module: ``{module}``
        stands for the module's number, ``*`` for any characters but a slash, and the modules of
        all files are stacked by their number (``builtin/euxfel.ini``). A group in braces, as
        ``{detector_1}``, stands for the detector whose frames `data` are, whatever its name
        (``builtin/cxi.ini``); new files get the name in the braces. A path ``(/a, /b)`` lists
        datasets of one axis: the columns of a sequence, such as positions of several motors.
    kinds : mapping of str to str, optional
        What each attribute is, ``scalar`` if not said:

        * ``scalar``: 0-D, 1-D or 2-D, loaded and saved as it is.
        * ``sequence``: 1-D, 2-D or 3-D; the first axis is that of the frames.
        * ``frame``: one image of the detector's grid, which transforms act on.
        * ``stack``: a sequence of images, which transforms act on.
    conventions : mapping of str to sequence of str, optional
        For masks (``bool``) what their values mean, one for each load path: ``good`` (True or any
        value but 0 is good), or a bit field in which 0 is good: ``cxi``, ``nexus`` or ``cheetah``;
        which bits are bad is said in :func:`~cxistack.protocol.masks.bad_bits`.
    units : mapping of str to sequence of str, optional
        For numbers, one for each load path: the unit of a dataset there that states none itself
        (by its HDF5 attribute ``units``). Values come in the unit of the first path. Where paths
        have units of length and of energy, an energy becomes the photon's wavelength, and the other
        way round.
    flags : mapping of str to sequence of str, optional
        For masks that are bit fields: names of the flags that make a pixel bad, instead of those
        that its convention counts as bad. Each is known to a convention of the mask.
    limits : mapping of str to sequence of str, optional
        For masks that are stacks: what holds of a good pixel of another stack, beside what the mask
        says, such as ``data <= saturation_value``. A limit whose bound no file has does not count.

    Raises
    ------
    ProtocolError
        If a type, a kind, a convention or a flag is unknown, a name is not a Python identifier, an
        attribute has no load path, or an optional field does not fit. Names section and key.

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
    units: Mapping[str, Sequence[str]] = field(default_factory=dict)
    flags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limits: Mapping[str, Sequence[str]] = field(default_factory=dict)

    known_types: ClassVar[tuple[str, ...]] = tuple(FAMILIES)
    known_ndims: ClassVar[Mapping[str, tuple[int, ...]]] = MappingProxyType(NDIMS)

    def __post_init__(self) -> None:
        kinds = {attr: self.kinds.get(attr, "scalar") for attr in self.datatypes}
        lists = {
            name: {
                attr: strings(name, attr, getattr(self, name)[attr])
                for attr in self.datatypes
                if attr in getattr(self, name)
            }
            for name in OPTIONAL
        }
        paths = {
            attr: strings("load_paths", attr, self.load_paths.get(attr, ()))
            for attr in self.datatypes
        }
        check_fields(self.datatypes, kinds, paths, lists)
        fields: dict[str, dict[str, Any]] = {
            "datatypes": dict(self.datatypes),
            "load_paths": paths,
            "kinds": kinds,
            **lists,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, MappingProxyType(value))
        object.__setattr__(self, "_attributes", {attr: self._made(attr) for attr in self.datatypes})

    def _made(self, attr: str) -> Attribute:
        paths = self.load_paths[attr]
        nothing = (None,) * len(paths)
        places = zip(
            paths, self.conventions.get(attr, nothing), self.units.get(attr, nothing), strict=True
        )
        return Attribute(
            name=attr,
            datatype=self.datatypes[attr],
            kind=self.kinds[attr],
            places=tuple(LoadPath(*place) for place in places),
            flags=tuple(self.flags[attr]) if attr in self.flags else None,
            limits=tuple(parse_limit(text) for text in self.limits.get(attr, ())),
        )

    @classmethod
    def import_default(cls) -> Self:
        """Return the default protocol.

        Examples
        --------
        >>> CXIProtocol.import_default().get_kind("data")
        'stack'
        """
        return cls.import_named("default")

    @classmethod
    def import_named(cls, name: str) -> Self:
        """Return the built-in protocol of a name.

        Raises
        ------
        ProtocolError
            If there is none of this name. Names those that there are.

        Examples
        --------
        >>> CXIProtocol.import_named("nxmx").get_convention(
        ...     "mask", "/entry/instrument/detector/pixel_mask"
        ... )
        'nexus'
        """
        if name not in builtin_names():
            raise ProtocolError(
                f"{name!r} is no built-in protocol; they are {', '.join(builtin_names())} (of an "
                "INI file of yours: CXIProtocol.import_ini)"
            )
        return cls._of(_builtin(name))

    @classmethod
    def _of(cls, protocol: CXIProtocol) -> Self:
        """Return a protocol of this class that says the same."""
        return protocol if type(protocol) is cls else cls(**protocol._fields())

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @staticmethod
    def names() -> list[str]:
        """Return the names of the built-in protocols.

        Examples
        --------
        >>> {"cxi", "default", "nxmx"} <= set(CXIProtocol.names())
        True
        """
        return list(builtin_names())

    @classmethod
    def import_ini(cls, file: str | os.PathLike[str]) -> Self:
        """Return the protocol that an INI file describes.

        Parameters
        ----------
        file : path-like
            A text in UTF-8, or in UTF-16 with its mark, with the sections ``[datatypes]``,
            ``[load_paths]``, ``[kinds]`` and, optionally, ``[conventions]``, ``[units]``,
            ``[flags]`` and ``[limits]``; written by :meth:`to_ini`, by hand or by pyrost.

        Raises
        ------
        ProtocolError
            If the file cannot be read or is not a protocol. Names file, section and key.
        """
        sections = read_ini(file)
        try:
            lists = {
                name: {attr: _parsed(name, attr, text) for attr, text in section.items()}
                for name, section in sections.items()
                if name in ("load_paths", *OPTIONAL)
            }
            return cls(sections["datatypes"], kinds=sections["kinds"], **lists)
        except ProtocolError as error:
            raise ProtocolError(f"{os.fspath(file)}: {error}") from None

    @classmethod
    def discover(
        cls, files: Names, *, links: LinkPolicy = "follow", detector: str | None = None
    ) -> Self:
        """Propose a protocol for files of an unknown layout; reads no pixel.

        :func:`cxistack.discover` does the same and tells the reason for each choice; what `files`,
        `links` and `detector` may be, and what is raised, is said there.

        Examples
        --------
        >>> protocol = CXIProtocol.discover(example_run)
        >>> "/entry_1/instrument_1/detector_1/data" in protocol.load_paths["data"]
        True
        """
        return cls._of(_discoverer(files, links=links, detector=detector))

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
        for name in OPTIONAL:
            if lists := getattr(self, name):
                sections[name] = {attr: format_list(values) for attr, values in lists.items()}
        return sections

    def replace(self, **fields: Any) -> Self:
        """Return a protocol with other `datatypes`, `load_paths`, `kinds` or optional fields.

        Where these are not given anew, a load path keeps its convention and its unit; a new path of
        such a mask is ``good``, a new path of a number with units has that of the first path. What
        no longer is a mask, or a number, loses what only these have.

        Examples
        --------
        >>> protocol = CXIProtocol.import_default()
        >>> raw = protocol.replace(datatypes={**protocol.datatypes, "mask": "uint"})
        >>> raw.get_dtype("mask", "uint32")
        dtype('uint32')
        >>> protocol.replace(flags={"mask": ["dead", "hot"]}).flags["mask"]
        ('dead', 'hot')
        """
        new = self._fields() | fields
        types = new["datatypes"]
        for name in OPTIONAL:
            if name not in fields:
                kept = {
                    attr: values
                    for attr, values in new[name].items()
                    if attr in types and (types[attr] == "bool") == (name != "units")
                }
                new[name] = {attr: values for attr, values in kept.items() if types[attr] != "str"}
        for name in BY_PATH:
            if name not in fields:
                new[name] = {
                    attr: tuple(
                        dict(zip(self.load_paths.get(attr, ()), values, strict=False)).get(path)
                        or ("good" if name == "conventions" else values[0])
                        for path in strings("load_paths", attr, new["load_paths"].get(attr, ()))
                    )
                    for attr, values in new[name].items()
                }
        return type(self)(**new)

    def add_attribute(
        self,
        attr: str,
        datatype: str,
        load_paths: str | Iterable[str],
        kind: str,
        convention: str | Iterable[str] | None = None,
        unit: str | Iterable[str] | None = None,
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
        unit : str or iterable of str, optional
            The unit of values that state none, for all load paths or for each.

        Examples
        --------
        >>> protocol = CXIProtocol.import_default()
        >>> protocol = protocol.add_attribute("pulse", "uint", "/entry/pulse_id", "sequence")
        >>> protocol.get_load_paths("pulse")
        ('/entry/pulse_id',)
        """
        paths = strings("load_paths", attr, load_paths)
        given = {"conventions": convention, "units": unit}
        options = {
            name: {other: values for other, values in getattr(self, name).items() if other != attr}
            for name in OPTIONAL
        }
        for name, value in given.items():
            if value is not None:
                each = (value,) * len(paths) if isinstance(value, str) else value
                options[name][attr] = strings(name, attr, each)
        return self.replace(
            datatypes={**self.datatypes, attr: datatype},
            load_paths={**self.load_paths, attr: paths},
            kinds={**self.kinds, attr: kind},
            **options,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.datatypes)

    def __len__(self) -> int:
        return len(self.datatypes)

    def __hash__(self) -> int:
        return hash(tuple(frozenset(value.items()) for value in self._fields().values()))

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        values = self._fields().values()
        return type(self), tuple(
            dict(value) if isinstance(value, MappingProxyType) else value for value in values
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(datatypes={{...}}, load_paths={{...}}, kinds={{...}})"

    def __str__(self) -> str:
        rows = [_COLUMNS, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        widths[-1] = 0
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )

    def _repr_html_(self) -> str:
        return notebook(
            f"CXIProtocol of {len(self._attributes)} attributes", table(_COLUMNS, self._rows())
        )

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield a line for each place of each attribute; the first names it."""
        for one in self._attributes.values():
            places = [
                f"{place.path} ({how})" if (how := place.convention or place.unit) else place.path
                for place in one.places
            ]
            places += [f"good where {limit}" for limit in self.limits.get(one.name, ())]
            yield one.name, one.datatype, one.kind, places[0]
            yield from (("", "", "", place) for place in places[1:])


Discoverer = Callable[..., CXIProtocol]


def _no_discoverer(files: Names, **words: Any) -> CXIProtocol:
    raise ProtocolError("nothing proposes protocols before cxistack.discovery.discover is imported")


_discoverer: Discoverer = _no_discoverer


def register_discoverer(discoverer: Discoverer) -> None:
    """Name the function behind :meth:`CXIProtocol.discover`: it stands above this module."""
    global _discoverer
    _discoverer = discoverer


def cxi_unit(attr: str) -> str | None:
    """Return the unit that CXI gives an attribute whose dataset states none, if CXI has one."""
    return _builtin("cxi").get_unit(attr)


@functools.cache
def _builtin(name: str) -> CXIProtocol:
    with builtin_file(name) as file:
        return CXIProtocol.import_ini(file)


def _parsed(section: str, attr: str, text: str) -> tuple[str, ...]:
    try:
        return parse_list(text)
    except ValueError as error:
        raise fault(section, attr, str(error)) from None
