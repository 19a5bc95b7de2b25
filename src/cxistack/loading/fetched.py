"""The bytes of tasks that lie in files on servers: fetched into a file in memory, and read there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import FileChangedError
from ..hdf5.files import Files
from ..hdf5.remote.client import Part, PartError
from ..hdf5.remote.ranges import Layout, laid_out
from ..hdf5.remote.urls import is_url
from ..hdf5.single_chunks import memory_file

__all__ = ["AtHand", "bring_here", "heads_of"]

_HEAD_MARGIN, _HEAD_BYTES = 1.125, 65536  # as _read_chunks.pyx guesses the head of a chunk

Failure = Callable[[int, str], Exception]


@dataclass
class AtHand:
    """Tasks whose bytes lie in files that are open here.

    Attributes
    ----------
    tasks : ndarray of tasks.TASK
        Addresses are those in the file in memory.
    descriptor : int
        That file.
    rest : callable or None
        Of some chunks only the head is here, by a guess: this brings the rest. None: all is here.
    """

    tasks: NDArray[np.void]
    descriptor: int
    rest: Callable[[], None] | None


def bring_here(
    files: Files,
    names: Sequence[Any],
    tasks: NDArray[np.void],
    heads: NDArray[np.int64],
    failure: Failure,
    stack: ExitStack,
) -> AtHand | None:
    """Fetch what tasks read of files on servers; None where there are none.

    Parameters
    ----------
    files : Files
        Lends the files.
    names : sequence
        The files that tasks number: (name, stamp), or what is open here already.
    tasks : ndarray of tasks.TASK
        The tasks.
    heads : ndarray of int64
        How many of its bytes each needs, as far as one can guess.
    failure : callable
        Returns the error that tells of a task, by its number, and why it failed.
    stack : ExitStack
        Holds the file in memory.

    Raises
    ------
    FileChangedError, StorageError
        Bytes do not come; names file, dataset and rows.
    """
    remote = [k for k, one in enumerate(names) if not isinstance(one, int) and is_url(one[0])]
    if not remote:
        return None
    assert files.remotes is not None
    moved = tasks.copy()
    parts: list[Part] = []
    others: list[Part] = []
    end = 0
    for k in remote:
        url = names[k][0]
        meta = files.remotes.file(url).meta
        mine = np.flatnonzero((tasks["file"] == k) & (tasks["address"] >= 0) & (tasks["size"] > 0))
        begin, size = tasks["address"][mine], tasks["size"][mine]
        beyond = begin + size > meta.size
        if beyond.any():
            raise failure(int(mine[beyond][0]), "lies beyond the end of the file")
        layout = laid_out(begin, begin + size, end)
        end = layout.stop or end
        moved["address"][mine] = layout.moved(begin)
        head = np.minimum(heads[mine], size)
        parts += _parts(url, meta, layout, begin, begin + head)
        short = head < size
        others += _parts(url, meta, layout, (begin + head)[short], (begin + size)[short])
    descriptor = stack.enter_context(memory_file())

    def fetch(wanted: list[Part]) -> None:
        assert files.remotes is not None
        try:
            files.remotes.fetch(wanted, descriptor)
        except PartError as error:
            part, reason = error.part, error.reason
        else:
            return
        _raise(names, tasks, part, reason, failure)

    _make_room(descriptor, end)
    fetch(parts)
    return AtHand(moved, descriptor, (lambda: fetch(others)) if others else None)


def heads_of(
    tasks: NDArray[np.void], last: NDArray[np.int64], chunk_bytes: int
) -> NDArray[np.int64]:
    """Return how many stored bytes of chunks hold their first `last` bytes, by a guess."""
    part = last / chunk_bytes
    return (part * _HEAD_MARGIN * tasks["size"]).astype(np.int64) + _HEAD_BYTES


def _parts(
    url: str, meta: Any, layout: Layout, begin: NDArray[np.int64], end: NDArray[np.int64]
) -> list[Part]:
    return [Part(url, meta, *one) for one in layout.requests(begin, end)]


def _make_room(descriptor: int, size: int) -> None:
    os.ftruncate(descriptor, size)  # a chunk that ends in a hole does not end with the file


def _raise(
    names: Sequence[Any], tasks: NDArray[np.void], part: Part, reason: Exception, failure: Failure
) -> NoReturn:
    """Raise the error that names the first task whose bytes did not come."""
    number = next(
        k for k, one in enumerate(names) if not isinstance(one, int) and one[0] == part.url
    )
    mine = (tasks["file"] == number) & (tasks["address"] >= 0)
    mine &= (tasks["address"] < part.end) & (tasks["address"] + tasks["size"] > part.begin)
    told = failure(int(np.flatnonzero(mine)[0]), f"did not come: {reason}")
    if isinstance(reason, FileChangedError):
        told = FileChangedError(str(told))
    raise told from None
