"""Protocols as INI text: sections of ``attribute = value``, lists as ``[a, b]``.

An item of a list is bare (``/entry/data/data``) or, where a bare one would be misread, quoted as a
Python string (``'/a, b'``). Lists that pyrost wrote (``['/a', '/b']``) are therefore read too.
There is no interpolation: ``%`` is a character like any other.
"""

from __future__ import annotations

import ast
import codecs
import functools
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from ..errors import ProtocolError, StorageError
from ..written import write_whole
from .fields import OPTIONAL, columns_of

__all__ = [
    "builtin_file",
    "builtin_heading",
    "builtin_names",
    "format_list",
    "format_sections",
    "format_value",
    "parse_list",
    "read_ini",
    "write_ini",
]


Sections: TypeAlias = Mapping[str, Mapping[str, str]]

_REQUIRED = ("datatypes", "load_paths", "kinds")
_ESCAPE = r"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_QUOTED = re.compile(rf"'(?:[^'\\\n]|{_ESCAPE})*'|\"(?:[^\"\\\n]|{_ESCAPE})*\"")
_COLUMNS = re.compile(r"\([^()\n]*\)")  # (/x, /y): see columns_of
_BARE = re.compile(r"[^\[,'\"\n][^,\n]*")
_SEPARATOR = re.compile(r"\s*(,|\Z)\s*")


def format_value(text: str) -> str:
    """Return one item of a list, quoted where it must be.

    Examples
    --------
    >>> format_value("/entry/data"), format_value("/a, b")
    ('/entry/data', "'/a, b'")
    """
    if columns_of(text) and _COLUMNS.fullmatch(text) and not set(text) & set("'\"[]"):
        return text
    bare = text and text.isprintable() and text == text.strip() and not set(text) & set(",'\"[]")
    return text if bare else repr(text)


def format_list(items: Sequence[str]) -> str:
    """Return a list as it is written in an INI file.

    Examples
    --------
    >>> format_list(["/entry/data", "/a, b"])
    "[/entry/data, '/a, b']"
    """
    return f"[{', '.join(map(format_value, items))}]"


def parse_list(text: str) -> tuple[str, ...]:
    """Return the items of a list, or the only one where there are no brackets.

    Raises
    ------
    ValueError
        If the text is no list; says why.

    Examples
    --------
    >>> parse_list("[/entry/data, '/a, b',]")
    ('/entry/data', '/a, b')
    >>> parse_list("/entry/data")
    ('/entry/data',)
    >>> parse_list("[/entry/xy, (/entry/x, /entry/y)]")
    ('/entry/xy', '(/entry/x, /entry/y)')
    """
    rest = text.strip()
    if rest.startswith("["):
        if not rest.endswith("]"):
            raise ValueError(f"the list {rest} is not closed by a bracket")
        rest = rest[1:-1].strip()
    items = []
    while rest:
        quoted = _QUOTED.match(rest)
        item = quoted or _COLUMNS.match(rest) or _BARE.match(rest)
        if item is None:
            raise ValueError(f"no path can be read at: {rest}")
        separator = _SEPARATOR.match(rest, item.end())
        if separator is None:
            raise ValueError(f"a comma is missing before: {rest[item.end() :].strip()}")
        items.append(_unquote(item[0]) if quoted else item[0].strip())
        rest = rest[separator.end() :]
    return tuple(items)


def _unquote(literal: str) -> str:
    try:
        return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        raise ValueError(f"{literal} is not a string that Python can read") from None


@functools.cache
def builtin_names() -> tuple[str, ...]:
    """Return the names of the protocols that come with the package."""
    import importlib.resources  # at first need: it takes long

    files = (importlib.resources.files("cxistack.protocol") / "builtin").iterdir()
    return tuple(sorted(Path(one.name).stem for one in files if one.name.endswith(".ini")))


def builtin_file(name: str) -> AbstractContextManager[Path]:
    """Lend the INI file of a protocol that comes with the package."""
    import importlib.resources

    folder = importlib.resources.files("cxistack.protocol") / "builtin"
    return importlib.resources.as_file(folder / f"{name}.ini")


def builtin_heading(name: str) -> str:
    """Return what the first line of a protocol that comes with the package says of it."""
    with builtin_file(name) as file:
        return file.read_text(encoding="utf-8").partition("\n")[0].lstrip("; ")


def read_ini(file: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Return the sections of a protocol's INI file, each attribute's value as text.

    Raises
    ------
    ProtocolError
        If the file cannot be read, is not an INI file, or if a section is missing, unknown or does
        not name the attributes that ``[datatypes]`` names. Names file, section and key.
    """
    name = os.fspath(file)
    try:
        text = Path(name).read_text(encoding=_encoding(name))
    except FileNotFoundError:
        raise ProtocolError(f"{name}: there is no such file") from None
    except OSError as error:
        raise ProtocolError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        why = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise ProtocolError(
            f"{name}: is not a text in UTF-8 ({why}); save it as UTF-8 in your editor"
        ) from error
    if "\0" in text:
        raise ProtocolError(
            f"{name}: is not a text in UTF-8 (it has null characters, as UTF-16 has them); save it "
            "as UTF-8 in your editor"
        )
    sections = _parse(text, name)
    for section in sections:
        if section not in _REQUIRED + OPTIONAL:
            known = ", ".join(f"[{known}]" for known in _REQUIRED + OPTIONAL)
            raise ProtocolError(
                f"{name}: section [{section}] is none of a protocol's; they are {known}"
            )
    for section in _REQUIRED:
        if section not in sections:
            raise ProtocolError(f"{name}: section [{section}] is missing")
    attributes = sections["datatypes"]
    for section, values in sections.items():
        for attr in values:
            if attr not in attributes:
                raise ProtocolError(
                    f"{name}: section [{section}], key {attr}: "
                    "section [datatypes] does not name this attribute"
                )
        for attr in attributes:
            if section in _REQUIRED and attr not in values:
                raise ProtocolError(
                    f"{name}: section [{section}], key {attr}: is missing, "
                    "but section [datatypes] names this attribute"
                )
    return sections


def _encoding(name: str) -> str:
    """Return in what a text is written: UTF-8 unless it begins as Windows' editors mark UTF-16."""
    with Path(name).open("rb") as file:
        mark = file.read(2)
    return "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _parse(text: str, name: str) -> dict[str, dict[str, str]]:
    import configparser

    # No header matches an empty name, so [DEFAULT] is a section like any other.
    parser = configparser.RawConfigParser(default_section="")
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(text, source=name)
    except configparser.DuplicateSectionError as error:
        raise ProtocolError(
            f"{name}: section [{error.section}] appears again in line {error.lineno}"
        ) from None
    except configparser.DuplicateOptionError as error:
        raise ProtocolError(
            f"{name}: section [{error.section}], key {error.option}: "
            f"appears again in line {error.lineno}"
        ) from None
    except configparser.MissingSectionHeaderError as error:
        raise ProtocolError(
            f"{name}: is not an INI file: line {error.lineno} comes before any [section]"
        ) from None
    except configparser.ParsingError as error:
        lines = ", ".join(f"{number} ({line})" for number, line in error.errors)
        raise ProtocolError(
            f"{name}: is not an INI file: neither a [section] nor a key = value in line {lines}"
        ) from None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def format_sections(sections: Sections) -> str:
    """Return sections as the text of an INI file."""
    parts = []
    for section, values in sections.items():
        lines = [f"{attr} = {value}" for attr, value in values.items()]
        parts.append("\n".join([f"[{section}]", *lines]) + "\n")
    return "\n".join(parts)


def write_ini(file: str | os.PathLike[str], sections: Sections) -> None:
    """Write sections to an INI file, which appears complete or not at all.

    Raises
    ------
    StorageError
        If the file cannot be written; an existing one is then as it was.
    """
    try:
        write_whole(Path(file), format_sections(sections).encode())
    except OSError as error:
        raise StorageError(f"{os.fspath(file)}: cannot be written: {error.strerror}") from error
