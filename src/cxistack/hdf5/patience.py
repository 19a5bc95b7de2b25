"""Which failures pass when one waits: of files that are still written, or not there yet."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ..errors import FileChangedError, StorageError

__all__ = ["PAUSE", "awaited", "changed", "may_pass", "read_again", "waited_for"]

_Result = TypeVar("_Result")
PAUSE = 0.05  # seconds from one try to the next

# Of a file that is copied, locked, or that another machine of a network file system has just made.
_PASSING = (errno.ENOENT, errno.ESTALE, errno.EAGAIN)
_OF_HDF5 = (
    "it is empty",
    "no HDF5 signature",
    "truncated",
    "superblock",
    "it is being written",
    "unable to lock file",
    "bad object header",
    "checksum",
)


def changed(path: str) -> FileChangedError:
    """Return the error that says that a file was changed while it was in use."""
    return FileChangedError(
        f"{path} was changed while it was in use: load again when nobody writes to it"
    )


def may_pass(error: OSError) -> bool:
    """Tell whether a file that did not open may do so later.

    Examples
    --------
    >>> may_pass(FileNotFoundError(errno.ENOENT, "No such file")), may_pass(IsADirectoryError())
    (True, False)
    """
    if isinstance(error, PermissionError):
        return False
    said = str(error)
    return error.errno in _PASSING or any(words in said for words in _OF_HDF5)


def waited_for(error: OSError, seconds: float) -> OSError:
    """Return an error that also says for how long a file was waited for."""
    told = f"waited for {seconds:g} s (wait={seconds:g})"
    if error.filename is not None:
        return type(error)(error.errno, f"{error.strerror}; {told}", error.filename)
    return StorageError(f"{error}; {told}")


def awaited(action: Callable[[], _Result], seconds: float) -> _Result:
    """Return what `action` does; where a file is not there yet, try again for so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return action()
        except FileNotFoundError as error:
            if time.monotonic() >= end:
                if not seconds:
                    raise
                if error.errno is None:
                    told = f"{error}; waited for {seconds:g} s (wait={seconds:g})"
                    raise FileNotFoundError(told) from error
                raise waited_for(error, seconds) from error
        time.sleep(PAUSE)


def read_again(action: Callable[[], _Result], look_again: Callable[[], object]) -> _Result:
    """Return what `action` does; where a file changed meanwhile, look again and do it once more.

    Somebody may save to a file between a look at it and its use: no trouble once, an error twice.

    Raises
    ------
    FileChangedError
        A file changed the second time, too; or what `look_again` raises.
    """
    with suppress(FileChangedError):
        return action()
    # Outside of the block: of a second error, the first is not the cause.
    look_again()
    return action()
