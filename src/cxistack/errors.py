"""Exceptions that say what went wrong, where, and what to do.

Each is a :class:`CXIError` and also the built-in exception that NumPy and h5py users would expect
in its place, so ``except ValueError`` written for either keeps working.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

__all__ = [
    "AttributeMissingError",
    "CXIError",
    "CastError",
    "ClosedStoreError",
    "FileChangedError",
    "FileInUseError",
    "FrameIndexError",
    "LayoutError",
    "LinkError",
    "Offence",
    "ProtocolError",
    "ReadOnlyStoreError",
    "StorageError",
]


class CXIError(Exception):
    """Base of every exception that cxistack raises on its own account."""

    def __str__(self) -> str:
        # A name that is not UTF-8 comes with marks that no terminal takes: as \\xb5.
        text = super().__str__()
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class ProtocolError(CXIError, ValueError):
    """A protocol or its INI file cannot be used; names file, section and key."""


class AttributeMissingError(CXIError, KeyError, ValueError):
    """An attribute is not in the protocol, or in none of the files."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; ours is a sentence.
        return str(CXIError(*self.args))


class LayoutError(CXIError, ValueError):
    """A dataset does not fit what the protocol says of it; names file and dataset."""


class LinkError(CXIError, OSError):
    """A link or a virtual source leads nowhere, in a circle, or where it may not lead."""


class StorageError(CXIError, OSError):
    """A file or a dataset cannot be read or written; names it and the cause."""


class FileChangedError(StorageError):
    """A file is not what it was when it was opened: somebody writes to it."""


class FileInUseError(StorageError):
    """A file cannot be saved to now: somebody else writes to it; says who as far as it is known.

    Attributes
    ----------
    is_own : bool
        Whether it is this process that writes to it, by another handle.
    """

    is_own = False


class FrameIndexError(CXIError, IndexError):
    """A frame, row or column was asked for that is not there."""


class ReadOnlyStoreError(CXIError, io.UnsupportedOperation):
    """The store was opened for reading."""


class ClosedStoreError(CXIError, RuntimeError):
    """The store is closed."""


@dataclass(frozen=True)
class Offence:
    """What a checked cast found in the first frame that does not fit.

    Attributes
    ----------
    frame : int
        Index along the first axis of the array that was cast.
    pixel : tuple of int
        Index of the first offending pixel within that frame, in C order.
    count : int
        How many pixels of that frame do not fit.
    value : int or float
        The first offending pixel's value.
    """

    frame: int
    pixel: tuple[int, ...]
    count: int
    value: int | float


class CastError(CXIError, ValueError):
    """A cast would change a value; says the first frame and pixel, how many, and what to do.

    Parameters
    ----------
    message : str
        The sentence for the user.
    offence : Offence, optional
        The first offender, where a value (not a pair of types) is the cause.
    """

    def __init__(self, message: str, offence: Offence | None = None) -> None:
        super().__init__(message)
        self.offence = offence

    def __reduce__(self) -> tuple[type[CastError], tuple[str, Offence | None]]:
        return type(self), (str(self), self.offence)
