"""Which names match a pattern, as :mod:`glob` has it; but an error of listing a folder is raised.

glob takes a folder that it may not list, or for which no descriptor is left, for an empty one.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import stat
from collections.abc import Iterator

from ..errors import StorageError
from .messages import advice, shown

__all__ = ["matching"]

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def matching(pattern: str) -> list[str]:
    """Return what ``glob.glob(pattern, recursive=True)`` does.

    Raises
    ------
    OSError
        A folder on the way cannot be listed. Names it.
    """
    return [name for name in _matching(pattern) if name]


def _matching(pattern: str, only_folders: bool = False) -> Iterator[str]:
    folder, last = os.path.split(pattern)
    if not glob.has_magic(pattern):
        if _is_there(pattern, is_folder=not last):
            yield pattern
        return
    folders: Iterator[str] = iter([folder])
    if folder != pattern and glob.has_magic(folder):
        folders = _matching(folder, only_folders=True)
    for one in folders:
        if not glob.has_magic(last):
            found: Iterator[str] = iter([last] if _is_there(_joined(one, last), not last) else [])
        elif last == "**":
            found = _below(one, only_folders)
        else:
            names = (name for name in _listed(one, only_folders) if not _is_hidden(name, last))
            found = iter(fnmatch.filter(names, last))
        for name in found:
            yield os.path.join(one, name)  # noqa: PTH118 (keeps a name that is empty)


def _below(folder: str, only_folders: bool) -> Iterator[str]:
    """Return the folder itself, as an empty name, and all that is below it but what is hidden."""
    yield ""
    for name in _listed(folder, only_folders):
        if not _is_hidden(name):
            for below in _below(_joined(folder, name), only_folders):
                yield _joined(name, below)


def _listed(folder: str, only_folders: bool) -> list[str]:
    """Return the names in a folder; none where there is no such folder."""
    try:
        with os.scandir(folder or os.curdir) as entries:
            return [one.name for one in entries if not only_folders or _is_folder(one)]
    except OSError as cause:
        if cause.errno in _NOT_THERE:
            return []
        raise _unlisted(folder or os.curdir, cause) from cause


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as cause:
        if cause.errno in _NOT_THERE:
            return False
        raise


def _is_there(name: str, is_folder: bool) -> bool:
    """Tell whether something has the name, a link to nothing too; where `is_folder`, a folder."""
    try:
        mode = os.stat(name, follow_symlinks=is_folder).st_mode  # noqa: PTH116
        return stat.S_ISDIR(mode) or not is_folder
    except ValueError:  # there is a null character in it
        return False
    except OSError as cause:
        if cause.errno in _NOT_THERE:
            return False
        raise _unlisted(os.path.dirname(name) or os.curdir, cause) from cause  # noqa: PTH120


def _is_hidden(name: str, pattern: str = "") -> bool:
    return name.startswith(".") and not pattern.startswith(".")


def _joined(folder: str, name: str) -> str:
    return os.path.join(folder, name) if folder and name else folder or name  # noqa: PTH118


def _unlisted(folder: str, cause: OSError) -> OSError:
    if isinstance(cause, PermissionError):
        return PermissionError(errno.EACCES, "this user may not list the folder", folder)
    why = f"{cause.strerror}{advice(cause)}"
    return StorageError(f"the folder {shown(folder)} cannot be listed: {why}")
