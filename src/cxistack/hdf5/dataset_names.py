"""Datasets that are named in a line: ``run.h5::/entry/data[0, 10:20]``, and as silx writes it.

The forms with ``path=`` and ``slice=`` are those of ``silx.io.url.DataUrl``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from urllib.parse import unquote_plus

__all__ = ["DatasetName", "dataset_name"]

_SLICE = r"\s*(?:\.\.\.|[-+]?\d+|[-+\d\s]*:[-+:\d\s]*)\s*"
_IN_BRACKETS = re.compile(rf"(?P<path>.+)\[(?P<index>{_SLICE}(?:,{_SLICE})*)\]")
_IN_QUERY = re.compile(r"(?P<path>.+?)[?&]slice=(?P<index>.*)")


@dataclass(frozen=True)
class DatasetName:
    """A dataset of a file, and what of it is meant.

    Attributes
    ----------
    filename : str
        The file; it may be a glob.
    path : str
        The path in it.
    index : tuple of int, slice or Ellipsis, or None
        What of the dataset is meant, as NumPy indexes it; all when None.
    """

    filename: str
    path: str
    index: tuple[int | slice | EllipsisType, ...] | None = None


def dataset_name(text: str | os.PathLike[str]) -> DatasetName | None:
    """Return the dataset that a text names; None where it names a file alone, or several.

    It is ``FILE::PATH``, with ``[INDEX]`` or ``?slice=INDEX`` after it, or
    ``FILE?path=PATH&slice=INDEX``; each may have ``silx:`` before it. An index has integers, slices
    and ``...`` with commas between them.

    Raises
    ------
    ValueError
        The path is missing, or what should be an index is none.

    Examples
    --------
    >>> dataset_name("run.h5::/entry/data[0, 10:20]")
    DatasetName(filename='run.h5', path='/entry/data', index=(0, slice(10, 20, None)))
    >>> dataset_name("run.h5?path=/entry/data").path
    '/entry/data'
    >>> dataset_name("run.h5") is None
    True
    """
    text = os.fspath(text)
    given = text
    if text.startswith("silx:"):
        text = text.removeprefix("silx:").removeprefix("//")
    query, colons = text.find("?path="), text.find("::")
    if query >= 0 and not 0 <= colons < query:
        words = dict(word.partition("=")[::2] for word in text[query + 1 :].split("&"))
        unknown = words.keys() - {"path", "slice"}
        if unknown:
            raise ValueError(f"{given!r} says path= and slice= only, not {unknown.pop()}=")
        index = unquote_plus(words["slice"]) if "slice" in words else None
        return _named(given, text[:query], unquote_plus(words["path"]), index)
    if colons >= 0:
        rest = text[colons + 2 :]
        found = _IN_QUERY.fullmatch(rest) or _IN_BRACKETS.fullmatch(rest)
        path, index = (rest, None) if found is None else (found["path"], found["index"])
        return _named(given, text[:colons], path, index)
    file, mark, path = text.partition("?/")
    if mark and Path(file).is_file():  # and not a glob of folders
        return _named(given, file, f"/{path}", None)
    return None


def _named(given: str, filename: str, path: str, index: str | None) -> DatasetName:
    """Return the dataset whose parts are these."""
    if not filename or not path.strip("/"):
        raise ValueError(f"{given!r} names no dataset: write FILE::/PATH")
    keys = None if index is None else tuple(_key(given, one.strip()) for one in index.split(","))
    return DatasetName(filename, "/" + path.lstrip("/"), keys)


def _key(given: str, text: str) -> int | slice | EllipsisType:
    """Return an integer, a slice or an ellipsis."""
    if text == "...":
        return Ellipsis
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
        if len(parts) == 1 and parts[0] is not None:
            return parts[0]
        if len(parts) == 2 or (len(parts) == 3 and parts[2] != 0):
            return slice(*parts)
    except ValueError:
        pass
    raise ValueError(
        f"{text!r} in {given!r} is no index: write integers, slices and ..., such as [0, 10:20]"
    )
