"""Which files a user's names mean: a path, a list of paths, a glob."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import h5py

from .patterns import matching
from .remote.urls import is_url, shown_url

__all__ = ["Given", "Name", "Names", "expand", "natural_key"]

Name = str | os.PathLike[str]
Names = Name | Iterable[Name]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key in which numbers count as numbers: ``scan_2`` comes before ``scan_10``."""
    return [
        (0, int(piece), piece) if piece.isdecimal() and piece.isascii() else (1, 0, piece)
        for piece in re.split(r"([0-9]+)", text)
        if piece
    ]


def expand(names: Names, *, may_be_new: bool = False) -> tuple[str, ...]:
    """Return the file names meant by `names`: globs expanded in natural order, others as given.

    With `may_be_new` a name that matches nothing is that of a file to be made.

    Raises
    ------
    FileNotFoundError
        A glob matches nothing.
    OSError
        A folder cannot be listed.
    TypeError
        It is no name, nor a sequence of names.
    ValueError
        No name is given, or two names mean the same file (each frame would count twice).
    """
    found: list[str] = []
    for text in _texts(names):
        if is_url(text):
            _refuse_pattern(text)
            found.append(text)
        elif glob.has_magic(text) and not Path(text).exists():
            matches = sorted(matching(text), key=natural_key)
            if not matches and may_be_new and Path(text).parent.is_dir():
                matches = [text]
            if not matches:
                raise FileNotFoundError(f"no file matches {text!r} (in {Path.cwd()})")
            found += matches
        else:
            found.append(text)
    if not found:
        raise ValueError("no file is named: give a path, a list of paths or a glob")
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in found:
        folder, last = os.path.split(name)
        if is_url(name):
            folders[folder] = folder
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        # Of many files in one folder, the folder's links are followed once.
        real = os.path.join(folders[folder], last)  # noqa: PTH118
        if last in ("", ".", "..") or os.path.islink(real):  # noqa: PTH114
            real = os.path.realpath(name)
        if real in seen:
            raise ValueError(
                f"{name!r} and {seen[real]!r} are the same file; its frames would count twice"
            )
        seen[real] = name
    return tuple(found)


class Given:
    """Names as a user gave them, which may mean other files later.

    Parameters
    ----------
    names : str, path, or sequence of them
        As for :func:`expand`, whose errors this raises.
    may_be_new : bool
        As there.

    Attributes
    ----------
    has_globs : bool
        Whether files that come later may have such a name.
    secrets : dict of str to str
        The whole address of each file on a server whose shown name is not all of it.
    """

    def __init__(self, names: Names, *, may_be_new: bool = False) -> None:
        self.secrets: dict[str, str] = {}
        self._texts = tuple(self._kept_secret(one) for one in _texts(names))
        self._may_be_new = may_be_new
        self._folder = str(Path.cwd())
        self.has_globs = any(
            not is_url(one) and glob.has_magic(one) and not Path(one).exists()
            for one in self._texts
        )

    def files(self) -> tuple[str, ...]:
        """Return the files that the names mean now, in the folder that was the current one then."""
        if str(Path.cwd()) == self._folder:
            return expand(self._texts, may_be_new=self._may_be_new)
        root = os.path.join(self._folder, "")  # noqa: PTH118
        texts = [
            one
            if is_url(one)
            else os.path.join(glob.escape(root) if glob.has_magic(one) else root, one)  # noqa: PTH118
            for one in self._texts
        ]
        # Names stay as they were shown: those in the folder without it.
        found = expand(texts, may_be_new=self._may_be_new)
        return tuple(one.removeprefix(root) for one in found)

    def _kept_secret(self, name: str) -> str:
        """Return a name as it may be shown; where that is not all of it, note the whole."""
        if not is_url(name):
            return name
        shown = shown_url(name)
        if shown == name:
            return name
        same = [one for one in self.secrets if one.partition("#")[0] == shown]
        if name in self.secrets.values():
            raise ValueError(f"{shown!r} is named twice; its frames would count twice")
        if same:  # they differ in what is not shown
            shown = f"{shown}#{len(same) + 1}"
        self.secrets[shown] = name
        return shown


def _texts(names: Names) -> Iterator[str]:
    """Return the names one by one, each as text, a user's home folder put in for ``~``."""
    if isinstance(names, str | bytes | os.PathLike):
        names = [os.fsdecode(names)]
    is_file = isinstance(names, h5py.HLObject) or hasattr(names, "read")
    if is_file or isinstance(names, Mapping) or not isinstance(names, Iterable):
        raise _no_name(names)
    for name in names:
        if not isinstance(name, str | bytes | os.PathLike):
            raise _no_name(name)
        text = os.fsdecode(name)
        if not text:
            raise ValueError(f"a file name must be a non-empty string, not {name!r}")
        is_home = text.startswith("~") and not os.path.lexists(text)
        yield os.path.expanduser(text) if is_home else text  # noqa: PTH111


def _refuse_pattern(url: str) -> None:
    """Raise for a glob: a server that gives files has no list of them."""
    if "*" in url:
        raise ValueError(f"{url!r} is a pattern, and files on a server are named one by one")


def _no_name(wrong: object) -> TypeError:
    """Return the exception that says what was given in place of a name."""
    what, advice = f"a value of type {type(wrong).__name__}", ""
    if isinstance(wrong, h5py.HLObject):
        what = f"an open h5py.{type(wrong).__name__}"
        advice = f"; name its file, {wrong.file.filename!r}" if wrong else ""
    elif hasattr(wrong, "read"):
        what, advice = f"an open file ({type(wrong).__name__})", "; name the file itself"
    return TypeError(f"files are named by a path, a list of paths or a glob, not by {what}{advice}")
