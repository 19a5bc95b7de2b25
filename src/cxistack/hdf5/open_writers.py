"""What this process has open for writing, by whatever handle: others use HDF5 beside us."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import h5py

from ._descriptor import Descriptor
from .files import count_reading

__all__ = [
    "SWMR",
    "consistency_flags",
    "locked_for_writing",
    "marks_of",
    "of_each_written_here",
    "written_here",
]

SWMR = 4  # among the superblock's flags: a writer appends, and lets others read meanwhile
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LOCKS = Path("/proc/locks")

_Answer = TypeVar("_Answer")


def written_here() -> frozenset[str]:
    """Return the real paths of files that this process has open for writing.

    What was written to them may still be in HDF5's buffers.
    """
    ours = count_reading()
    # To ask each of them takes 6 us. Counted before and after: other threads open and close some.
    if ours == h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == count_reading():
        return frozenset()
    return frozenset(
        of_each_written_here(lambda one: os.path.realpath(os.fsdecode(h5py.h5f.get_name(one))))
    )


def of_each_written_here(ask: Callable[[Any], _Answer]) -> Iterator[_Answer]:
    """Yield what `ask` says of each :class:`h5py.h5f.FileID` that is open for writing.

    Files that another thread closes meanwhile are passed over.
    """
    for one in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        try:
            if not one.get_intent() & h5py.h5f.ACC_RDWR:
                continue
            answer = ask(one)
        except (OSError, ValueError):  # of the system, too: its descriptor may be closed by now
            if one.valid:
                raise
            continue
        yield answer


def consistency_flags(descriptor: int) -> int:
    """Return the superblock's flags: 1 open for writing, 4 under SWMR; only version 3 has them."""
    size = os.fstat(descriptor).st_size
    at = 0
    while at < size:
        head = os.pread(descriptor, 12, at)
        if head[:8] == _SIGNATURE:
            return head[11] & 5 if len(head) == 12 and head[8] >= 3 else 0
        at = max(512, at * 2)
    return 0


def marks_of(path: str) -> int:
    """Return what :func:`consistency_flags` does of the file at `path`; 0 where there is none."""
    try:
        descriptor = Descriptor(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    with closing(descriptor):
        return consistency_flags(descriptor.number)


def locked_for_writing() -> frozenset[int] | None:
    """Return the inodes that a process of this machine has locked as HDF5's writers do.

    None where the system does not tell. To try a lock would keep a writer out meanwhile.
    """
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    # "1: FLOCK  ADVISORY  WRITE 29686 fe:00:2195820 0 EOF"; who waits for a lock has "->".
    fields = [line.split() for line in lines if "FLOCK" in line and "->" not in line]
    return frozenset(int(one[5].rpartition(":")[2]) for one in fields if one[3] == "WRITE")
