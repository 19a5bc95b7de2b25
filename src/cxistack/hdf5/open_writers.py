"""What this process has open for writing, by whatever handle: others use HDF5 beside us."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import h5py

from .files import count_reading

__all__ = ["of_each_written_here", "written_here"]


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
