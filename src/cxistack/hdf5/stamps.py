"""By what a file is known to be the one that was opened, and unchanged."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["ANY", "Stamp"]

ANY = -1  # in place of a size or a time that does not matter


class Stamp(NamedTuple):
    """By what a file is known to be the one that was opened, and unchanged.

    Size and time are -1 where a writer may append to the file meanwhile.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp that the system's words on a file make."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
