"""Folders that tests work in, and what is in them."""

import gc
import os
import tempfile
from pathlib import Path

import pytest

__all__ = ["fast_folder", "names_in", "open_in"]


def names_in(folder):
    """Return the names of what is in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


def open_in(folder):
    """Return which files in a folder this process has open, one name for each descriptor.

    Other descriptors come and go by themselves: a cluster that tests share talks to its workers.
    """
    listed = Path("/proc/self/fd")
    if not listed.is_dir():
        pytest.skip("descriptors are told by /proc")
    gc.collect()  # others' stores
    found = []
    for one in listed.iterdir():
        try:
            name = str(one.readlink())
        except FileNotFoundError:  # the one that lists, and others' that are closed meanwhile
            continue
        if name.startswith(f"{Path(folder).resolve()}/"):
            found.append(name)
    return sorted(found)


def fast_folder():
    """Return a folder in memory where there is one: nothing here needs a disk."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
