"""What the fields of a protocol may hold; each fault names section and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import ProtocolError
from .limits import LARGEST, parse_limit
from .masks import FLAGS

__all__ = [
    "BY_PATH",
    "CONVENTIONS",
    "DEFAULTS",
    "DETECTOR",
    "FAMILIES",
    "NDIMS",
    "OPTIONAL",
    "RANKS",
    "check",
    "columns_of",
    "fault",
    "strings",
]


FAMILIES = {
    **{"float": "f", "int": "i", "uint": "u", "bool": "b", "str": "OSTU"},
    "number": "iuf",  # whatever it is stored as
}
DEFAULTS = {"float": "f8", "int": "i8", "uint": "u8", "bool": "?", "str": "O", "number": "f8"}
CONVENTIONS = ("good", *FLAGS)
NDIMS: dict[str, tuple[int, ...]] = {
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
# A group of a load path that stands for the detector whose frames data are, by its usual name.
DETECTOR = r"\{(?P<detector>(?!module\b)[^{}/:]+)\}"
BY_PATH = ("conventions", "units")  # one value for each load path
OPTIONAL = (*BY_PATH, "flags", "limits")

_OF_MASKS = ("conventions", "flags", "limits")

Lists = Mapping[str, tuple[str, ...]]


def check(
    datatypes: Mapping[str, str],
    kinds: Mapping[str, str],
    load_paths: Lists,
    options: Mapping[str, Lists],
) -> None:
    """Raise :class:`ProtocolError` for the first thing that a protocol cannot be.

    `options` are the optional fields by their names; each may leave attributes out.
    """
    for attr, datatype in datatypes.items():
        if not isinstance(attr, str) or not attr.isidentifier():
            raise fault("datatypes", attr, "the name must be a Python identifier")
        if datatype not in tuple(FAMILIES):
            raise fault("datatypes", attr, f"{datatype!r} is not one of {', '.join(FAMILIES)}")
        if kinds[attr] not in tuple(NDIMS):
            raise fault("kinds", attr, f"{kinds[attr]!r} is not one of {', '.join(NDIMS)}")
        paths = load_paths[attr]
        if not paths:
            raise fault("load_paths", attr, "the attribute needs at least one path")
        for path in paths:
            if not path or "\0" in path:
                raise fault("load_paths", attr, f"{path!r} cannot be a path in an HDF5 file")
            if path.startswith("(/"):
                _check_columns(attr, path, datatype, kinds[attr])
        for name, lists in options.items():
            if attr not in lists:
                continue
            if name in _OF_MASKS and datatype != "bool":
                raise fault(name, attr, f"only masks (bool) have any, not {datatype}")
            if name in BY_PATH and len(lists[attr]) != len(paths):
                raise fault(
                    name,
                    attr,
                    f"{len(lists[attr])} are given for {len(paths)} load paths; one for each is "
                    "needed",
                )
        if attr in options["units"] and datatype in ("bool", "str"):
            raise fault("units", attr, f"only numbers have any, not {datatype}")
        for convention in options["conventions"].get(attr, ()):
            if convention not in CONVENTIONS:
                known = ", ".join(CONVENTIONS)
                raise fault("conventions", attr, f"{convention!r} is not one of {known}")
        for name in options["flags"].get(attr, ()):
            _check_flag(attr, name, options["conventions"].get(attr, ()))
        for sentence in options["limits"].get(attr, ()):
            _check_limit(attr, sentence, datatypes, kinds)


def _check_columns(attr: str, path: str, datatype: str, kind: str) -> None:
    if len(set(columns_of(path))) < 2:
        raise fault("load_paths", attr, f"{path} must list two paths or more, as (/x, /y)")
    if kind != "sequence" or datatype in ("bool", "str"):
        why = f"lists columns, of which only a sequence of numbers is made, not a {datatype} {kind}"
        raise fault("load_paths", attr, f"{path} {why}")


def _check_flag(attr: str, name: str, conventions: tuple[str, ...]) -> None:
    names = dict.fromkeys(n for c in conventions if c in FLAGS for n in FLAGS[c].names)
    if name not in names:
        known = f"which know {', '.join(names)}" if names else "none of which is a bit field"
        raise fault("flags", attr, f"{name!r} is a flag of none of the mask's conventions, {known}")


def _check_limit(
    attr: str, sentence: str, datatypes: Mapping[str, str], kinds: Mapping[str, str]
) -> None:
    try:
        limit = parse_limit(sentence)
    except ValueError as error:
        raise fault("limits", attr, str(error)) from None
    if kinds[attr] != "stack" or kinds.get(limit.attr) != "stack" or limit.attr == attr:
        raise fault("limits", attr, f"{sentence!r} must compare the pixels of another stack")
    bound = limit.bound
    if (
        isinstance(bound, str)
        and bound != LARGEST
        and (kinds.get(bound) != "scalar" or datatypes[bound] in ("bool", "str"))
    ):
        raise fault("limits", attr, f"{sentence!r} needs a number: a scalar of the protocol")


def fault(section: str, key: object, why: str) -> ProtocolError:
    """Return the error that says what is wrong in a section."""
    return ProtocolError(f"section [{section}], key {key}: {why}")


def columns_of(path: str) -> tuple[str, ...]:
    """Return the paths of a load path that lists the columns of an attribute; none of any other.

    Examples
    --------
    >>> columns_of("(/entry/x, /entry/y)"), columns_of("/entry/(x, y)")
    (('/entry/x', '/entry/y'), ())
    """
    if not (path.startswith("(") and path.endswith(")")):
        return ()
    columns = tuple(column.strip() for column in path[1:-1].split(","))
    return columns if all(column.startswith("/") for column in columns) else ()


def strings(section: str, attr: str, values: str | Iterable[str]) -> tuple[str, ...]:
    """Return a string or strings as a tuple of them; columns may be a tuple of paths."""
    given = (values,) if isinstance(values, str) else tuple(values)
    items = [
        f"({', '.join(map(str, item))})"
        if section == "load_paths" and isinstance(item, tuple)
        else item
        for item in given
    ]
    for item in items:
        if not isinstance(item, str):
            raise fault(section, attr, f"{item!r} is not a string")
    return tuple(items)
