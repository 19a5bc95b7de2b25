"""Parts of files on servers: what is asked for, what a file is by an answer, and why none came."""

from __future__ import annotations

from typing import NamedTuple

from ...errors import StorageError

__all__ = ["Meta", "Part", "PartError", "RemoteError"]


class RemoteError(StorageError):
    """A server did not give what it was asked for."""


class Meta(NamedTuple):
    """What a server says of a file: by this it is known to be unchanged."""

    size: int
    etag: str | None
    mtime_ns: int


class Part(NamedTuple):
    """Bytes of a file, and where they go in another."""

    url: str
    meta: Meta
    begin: int
    end: int
    to: int


class PartError(Exception):
    """A part did not come; `reason` is the error to be raised, or to be told of otherwise."""

    def __init__(self, part: Part, reason: Exception) -> None:
        super().__init__(part, reason)
        self.part, self.reason = part, reason
