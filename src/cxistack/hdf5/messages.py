"""HDF5's reasons in words for people: what it says of a file or a dataset, and what can be done.

h5py hands on the last lines of HDF5's error stack; these stand behind our own words, not for them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Any

import h5py

from ..errors import CXIError, FileChangedError, StorageError
from .filters import filters_of
from .remote.parts import RemoteError

__all__ = [
    "DAMAGE",
    "advice",
    "blamed",
    "check_regular",
    "is_failed_read",
    "named",
    "not_opened",
    "shown",
    "unreadable",
    "words",
]

#: What h5py raises where a file's metadata is damaged.
DAMAGE = (KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError)

# "file read failed: time = ..., errno = 5, error message = 'Input/output error', buf = 0x7f..."
_DUMP = re.compile(r"(?:time|filename|name) = .*?error message = '([^']*)'.*?(?=\)|$)", re.DOTALL)
_NUMBER = re.compile(r"\[Errno \d+\] ")
_SYSTEM = re.compile(r"memory|alloc|Too many open")  # where the system is at fault, not the file
_FAMILY, _MULTI = b"NCSAfami", b"NCSAmult"  # as the superblock names a file's driver
_HEAD = 4096  # bytes, in which the superblock and what it leads to lie
_SIZES = re.compile(r"truncated file: eof = (\d+), .*stored_eof = (\d+)")

_KINDS = (
    (stat.S_ISDIR, "a folder, not a file: name the files in it"),
    (stat.S_ISFIFO, "a pipe, not a file: HDF5 is read at any place of a file, so save it as one"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
)


def words(cause: BaseException) -> str:
    """Return what an exception of h5py says, on one line, without addresses and numbers of errors.

    Examples
    --------
    >>> words(KeyError("Unable to synchronously open object (bad object header version number)"))
    'Unable to synchronously open object (bad object header version number)'
    >>> words(OSError("Can't read (time = now, errno = 5, error message = 'I/O error', buf = 0x7)"))
    "Can't read (I/O error)"
    """
    text = str(cause.args[0]) if isinstance(cause, KeyError) and cause.args else str(cause)
    return " ".join(_NUMBER.sub("", _DUMP.sub(r"\1", text)).split())


def shown(name: str) -> str:
    r"""Return a name for people to read: bytes that are no text, in another encoding, as ``\xb5``.

    Examples
    --------
    >>> print(shown(os.fsdecode(b"\xb5m")))
    \xb5m
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def advice(cause: OSError) -> str:
    """Return what can be done about a refusal of the system, to stand behind it; or nothing.

    Examples
    --------
    >>> advice(OSError(errno.EMFILE, "Too many open files"))
    '; allow more open files (ulimit -n)'
    """
    return "; allow more open files (ulimit -n)" if cause.errno == errno.EMFILE else ""


def blamed(cause: BaseException) -> str:
    """Return what :func:`words` does, and advice where the file itself must be at fault."""
    said = words(cause)
    if (isinstance(cause, OSError) and cause.errno) or _SYSTEM.search(said):
        return said
    return f"{said}; the file is damaged or half written, so copy it again"


def check_regular(path: str, mode: int) -> None:
    """Raise where `path` is not a file, by its mode: to open a pipe would wait for ever."""
    for is_kind, what in _KINDS:
        if is_kind(mode):
            raise StorageError(f"{path} is {what}")


def not_opened(path: str, size: int, cause: OSError) -> OSError:
    """Return the exception that says why HDF5 does not open a file of `size` bytes."""
    if isinstance(cause, PermissionError):
        return PermissionError(errno.EACCES, "this user may not read it", path)
    said = words(cause)
    sizes = _SIZES.search(said)
    member = _of_a_set(path)
    if member:
        why = f"it is {member}"
    elif size == 0:
        why = "it is empty (0 bytes); its writer has not begun, or was stopped"
    elif "signature not found" in said:
        why = "it is not one (it has no HDF5 signature); name the HDF5 files of the run only"
    elif sizes:
        why = (
            f"it is truncated, {sizes[1]} of the {sizes[2]} bytes that it says it has; copy it "
            "again, or wait until its writer has closed it"
        )
    elif "already open for write" in said:
        why = (
            "it is being written, or its writer ended without closing it; CXIStore(..., swmr=True) "
            "reads what an SWMR writer appends; when nobody writes to it, `h5clear -s` takes away "
            "the mark"
        )
    else:
        why = said + advice(cause)
    return StorageError(f"{path} cannot be opened as an HDF5 file: {why}")


def _of_a_set(path: str) -> str:
    """Say of what set of files the one at `path` is a part; nothing where it is of none."""
    folder, name = os.path.split(path)
    # Of a set, the first file says so; the others are bytes without a mark.
    first = [re.sub(r"\d", "0", run) for run in re.findall(r"\d+", name)]
    places = [found.span() for found in re.finditer(r"\d+", name)]
    names = [name]
    for (start, stop), zeros in zip(places, first, strict=True):
        names += [name[:start] + one + name[stop:] for one in (zeros, "0")]
    if re.search(r"-[a-z](\.\w+)?$", name):
        names.append(re.sub(r"-[a-z](\.\w+)?$", r"-m\1", name))
    for one in dict.fromkeys(names):
        head = _head(os.path.join(folder, one))  # noqa: PTH118
        if _FAMILY in head:
            return "one of a set of files (HDF5's family driver); h5repart joins them"
        if _MULTI in head:
            return "one of a set of files (HDF5's split or multi driver); copy it into one"
    return ""


def _head(path: str) -> bytes:
    """Return how a file begins, where it is one of HDF5; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_HEAD)
    except OSError:
        return b""
    return head if head.startswith(b"\x89HDF") else b""


def is_failed_read(error: BaseException) -> bool:
    """Tell whether the system did not read what HDF5 asked it for."""
    return isinstance(error, RemoteError | FileChangedError) or "file read failed" in str(error)


def named(error: Exception, filename: str, path: str) -> Exception:
    """Return an error that names the file and the path in it, and says what one of h5py does."""
    what = f"{filename}:{path}"
    if type(error) is StorageError and filename not in str(error):
        said = f"{what} leads to another file: {error}"
    elif isinstance(error, CXIError) or (isinstance(error, OSError) and error.filename):
        return _without_frames(error)
    else:
        said = f"{what}: HDF5 cannot make sense of it: {blamed(error)}"
    storage = StorageError(said)
    storage.__cause__ = _without_frames(error)
    return storage


def _without_frames(error: Exception) -> Exception:
    """Return an error that may be kept: its frames would keep a file open in HDF5."""
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


def unreadable(dataset: Any, cause: BaseException) -> str:
    """Say why HDF5 could not read an open dataset, after it has failed with `cause`."""
    for one in filters_of(dataset.id.get_create_plist()):
        if not h5py.h5z.filter_avail(one.code):
            title = f" ({os.fsdecode(one.name)})" if one.name else ""
            return (
                f"it is compressed by the HDF5 filter {one.code}{title}, which is not installed "
                "here; install its plugin and say where it is by HDF5_PLUGIN_PATH, or rewrite the "
                "file without it by the program that wrote it"
            )
    return blamed(cause)
