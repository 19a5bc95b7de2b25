"""The bytes of tasks that lie in files on servers: fetched into memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileChangedError
from ..hdf5.files import Files
from ..hdf5.remote.parts import Part, PartError
from ..hdf5.remote.ranges import Layout, laid_out
from ..hdf5.remote.urls import is_url
from ..kernels.results import empty
from ._read_chunks import HEAD

__all__ = ["IN_MEMORY", "AtHand", "heads_of", "remote_files"]

#: Stands for the descriptor of a file whose bytes are in memory.
IN_MEMORY = -1

Failure = Callable[[int, str], Exception]


class AtHand:
    """The tasks of a job whose bytes are on the way from servers into memory.

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
        Gives up what is under way when it ends.

    Attributes
    ----------
    tasks : ndarray of tasks.TASK
        Their addresses are those in `memory`, and their sizes what is there.
    memory : ndarray of uint8
        The bytes.
    """

    def __init__(
        self,
        files: Files,
        names: Sequence[Any],
        tasks: NDArray[np.void],
        heads: NDArray[np.int64],
        failure: Failure,
        stack: ExitStack,
    ) -> None:
        assert files.remotes is not None
        self._remotes, self._names, self._asked = files.remotes, names, tasks
        self._failure, self._stack = failure, stack
        self.tasks = tasks.copy()
        self._size = 0
        self._rest: list[Part] = []
        parts = [part for k in remote_files(names) for part in self._plan(k, heads)]
        self.memory = empty((self._size,), np.dtype(np.uint8))
        self._begin(parts)

    @property
    def has_rest(self) -> bool:
        """Whether of some chunks only the head is here, by a guess."""
        return bool(self._rest)

    def bring_rest(self) -> None:
        """Bring the rest of chunks of which only the head is here."""
        rest, self._rest = self._rest, []
        self.tasks["size"] = self._asked["size"]
        self._begin(rest)
        self.wait()

    def wait(self) -> None:
        """Wait until all bytes are here.

        Raises
        ------
        FileChangedError, StorageError
            Some do not come; names file, dataset and rows.
        """
        if self._answers is None:
            return
        try:
            self._answers.wait()
        except PartError as error:
            told = self._told(self._remotes.noted(error))
        else:
            return
        raise told  # outside: what the library said is not told

    def _begin(self, parts: list[Part]) -> None:
        self._answers = self._remotes.fetch(parts, self.memory)
        if self._answers is not None:
            self._stack.callback(self._answers.give_up)

    def _plan(self, number: int, heads: NDArray[np.int64]) -> list[Part]:
        """Lay out the bytes of a file, and return what is to be asked for."""
        url, tasks = self._names[number][0], self._asked
        meta = self._remotes.file(url).meta
        mine = np.flatnonzero(
            (tasks["file"] == number) & (tasks["address"] >= 0) & (tasks["size"] > 0)
        )
        begin, size = tasks["address"][mine], tasks["size"][mine]
        beyond = begin + size > meta.size
        if beyond.any():
            raise self._failure(int(mine[beyond][0]), "lies beyond the end of the file")
        if not len(mine):
            return []
        layout = laid_out(begin, begin + size, self._size)
        self._size = layout.stop
        self.tasks["address"][mine] = layout.moved(begin)
        head = np.minimum(heads[mine], size)
        # What follows in memory is not theirs: of a head that is too short the task fails.
        self.tasks["size"][mine] = head
        short = head < size
        self._rest += _parts(url, meta, layout, (begin + head)[short], (begin + size)[short])
        return _parts(url, meta, layout, begin, begin + head)

    def _told(self, error: PartError) -> Exception:
        """Return the error that names the first task whose bytes did not come."""
        part, tasks = error.part, self._asked
        number = next(k for k in remote_files(self._names) if self._names[k][0] == part.url)
        mine = (tasks["file"] == number) & (tasks["address"] >= 0)
        mine &= (tasks["address"] < part.end) & (tasks["address"] + tasks["size"] > part.begin)
        told = self._failure(int(np.flatnonzero(mine)[0]), f"did not come: {error.reason}")
        is_changed = isinstance(error.reason, FileChangedError)
        return FileChangedError(str(told)) if is_changed else told


def remote_files(names: Sequence[Any]) -> list[int]:
    """Return the numbers of the files that are on servers."""
    return [k for k, one in enumerate(names) if not isinstance(one, int) and is_url(one[0])]


def heads_of(
    tasks: NDArray[np.void], last: NDArray[np.int64], chunk_bytes: int
) -> NDArray[np.int64]:
    """Return how many stored bytes of chunks hold their first `last` bytes, by a guess."""
    margin, more = HEAD
    part = last / chunk_bytes
    heads: NDArray[np.int64] = (part * margin * tasks["size"]).astype(np.int64) + more
    return heads


def _parts(
    url: str, meta: Any, layout: Layout, begin: NDArray[np.int64], end: NDArray[np.int64]
) -> list[Part]:
    return [Part(url, meta, *one) for one in layout.requests(begin, end)]
