"""Makes the side file of a run on a server: looks at all that is in its files, and keeps it."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from pathlib import Path

import h5py

from ..progress import progress_bar
from .files import Files
from .messages import DAMAGE
from .names import Given, Names
from .opening import files_of
from .remote.index import Entry, Index, pieces_of
from .remote.urls import is_url
from .tour import tour

__all__ = ["make_index"]

_SMALL = 1 << 16  # bytes of the values of a dataset that are kept


def make_index(names: Names, output: Path, *, verbose: bool = False) -> int:
    """Write the index of files on servers; return how many bytes it has.

    Raises
    ------
    OSError
        A file cannot be read.
    ValueError
        A file is not on a server.
    """
    files = files_of(Given(names))
    here = [name for name in files.names if not is_url(name)]
    if files.remotes is None or here:
        raise ValueError(
            f"{here[0]} is here, and an index is for files on a server: one here opens as soon "
            "without it"
        )
    files.remotes.begin(files.paths)
    entries = {}
    with progress_bar(len(files.paths), "Indexing", "file") if verbose else nullcontext() as bar:
        for path in files.paths:
            entries[path] = _entry(files, path)
            if bar is not None:
                bar.update(1)
    Index(entries, str(output)).write(output)
    return output.stat().st_size


def _entry(files: Files, path: str) -> Entry:
    assert files.remotes is not None
    file = files.remotes.file(path)
    file.used = []
    with files.reading(path) as h5:
        for seen in tour(files, path).datasets:
            if seen.place.filename != path or seen.storage in ("virtual", "external"):
                continue
            with suppress(*DAMAGE):  # it is told of where it is read
                dataset = h5py.h5d.open(h5.id, os.fsencode(seen.place.path))
                if seen.storage == "chunked":
                    dataset.chunk_iter(lambda info: None)
                if dataset.get_storage_size() <= _SMALL:
                    h5py.Dataset(dataset)[()]
    parts, file.used = file.used, None
    files.release()

    def read(begin: int, end: int) -> bytes:
        buffer = bytearray(end - begin)
        file.read_into(begin, memoryview(buffer))
        return bytes(buffer)

    return Entry(file.meta, pieces_of(parts, read))
