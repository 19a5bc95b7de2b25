"""One commit: saves gathered in a copy of the file, which takes its name when all went well."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any

import h5py

from ...errors import StorageError
from ...hdf5.files import Stamp, forget
from ...hdf5.filters import register_filters
from .lock import Locking
from .replace import DAMAGED, Commit, changed_in_place, in_words, reserve, rewritten

__all__ = ["Transaction"]


# Bytes of disk space that are made sure of before they are asked for. A quota may not show.
_LEAST_AHEAD, _MOST_AHEAD = 1 << 20, 32 << 20

_open: weakref.WeakSet[Any] = weakref.WeakSet()


class Transaction:
    """The saves of one commit; nothing is locked, copied or written before the first of them.

    Parameters
    ----------
    path : str
        The file.
    fresh : bool
        Replace it instead of changing it.
    new : bool
        It must not be there.
    safe : bool
        Change a copy. If not, each save is made and ended in the file itself (but for a fresh one).
    locking : {True, "best-effort"}
        Whether to save where the file system keeps no locks.
    """

    def __init__(
        self,
        path: str,
        *,
        fresh: bool,
        new: bool = False,
        safe: bool = True,
        locking: Locking = True,
    ) -> None:
        self._path = path
        self._fresh = fresh
        self._new = new
        self._safe = safe or fresh
        self._locking = locking
        self._stack = ExitStack()
        self._commit: Commit | None = None
        self._h5: Any = None
        self._reserved = self._room = 0  # bytes: asked for in all, and free for what is to come
        # The words of an error: its traceback would keep this transaction, and the file, open.
        self._failed: str | None = None
        self.changed: set[str] = set()  # the attributes that were saved, by whoever saves them
        self._pid = os.getpid()

    @property
    def done(self) -> bool:
        """Whether the file has become another."""
        return self._commit is not None and self._commit.done

    def begin(self, seen: Stamp | None = None) -> None:
        """Lock the file, and open what is to be written; nothing if that is done.

        Parameters
        ----------
        seen : Stamp, optional
            What the file must be.

        Raises
        ------
        FileChangedError, FileInUseError, StorageError
            Nothing has begun.
        """
        if os.getpid() != self._pid:
            raise self._not_ours()
        if self._h5 is not None:
            return
        if not self._safe:
            forget(self._path)
        with ExitStack() as stack:
            stack.callback(self._forget)
            if self._safe:
                manager = rewritten(
                    self._path,
                    fresh=self._fresh,
                    new=self._new,
                    seen=None if self._new else seen,
                    locking=self._locking,
                )
            else:
                manager = changed_in_place(self._path, seen=seen, locking=self._locking)
            commit = stack.enter_context(manager)
            stack.callback(self._check, commit)
            if self._fresh:
                with in_words(self._path):
                    reserve(commit.disk.file, 0)
            try:
                register_filters()
                h5 = h5py.File(commit.disk, "w" if self._fresh else "r+")
            except OSError as cause:
                self._check(commit)
                raise StorageError(f"{self._path} cannot be opened for writing: {cause}") from cause
            stack.callback(_close, h5)
            _open.add(h5)
            self._h5 = h5
            self._commit = commit
            self._stack = stack.pop_all()

    def reserve(self, extra: int) -> None:
        """Raise :class:`OSError` unless the disk has room for so many bytes of values more.

        To ask seldom, some more is made sure of, where there is twice as much.
        """
        assert self._commit is not None
        if extra > self._room:
            file = self._commit.disk.file
            with in_words(self._path):
                disk = os.fstatvfs(file.fileno())
                spare = max(0, disk.f_bavail * disk.f_frsize - extra)
                ahead = min(spare // 2, max(_LEAST_AHEAD, self._reserved // 4), _MOST_AHEAD)
                reserve(file, extra + ahead)
            self._room = extra + ahead
        self._room -= extra
        self._reserved += extra

    def fail(self, error: BaseException) -> None:
        """Let nothing of this transaction be committed: one of its saves has failed."""
        self._failed = str(error) or type(error).__name__

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """Give the :class:`h5py.File` that is written to, for one save.

        Raises
        ------
        StorageError
            The system failed to write; HDF5 does not know of it.
        """
        self.begin()
        assert self._commit is not None
        commit = self._commit
        try:
            yield self._h5
            self._check(commit)
        except BaseException as error:
            self.fail(error)
            if not self._safe:
                self.__exit__(type(error), error, error.__traceback__)
            self._check(commit)  # HDF5's words are of no use when the disk is the cause
            raise
        if not self._safe:
            self.__exit__(None, None, None)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._h5 is None:
            return
        if os.getpid() != self._pid:
            _inherited.append(self._stack.pop_all())
            raise self._not_ours()
        self._h5 = None
        if kind is None and self._safe and self._failed is not None:
            error = StorageError(
                f"nothing is saved to {self._path}: one of the saves of this transaction failed "
                f"({self._failed})"
            )
            self._stack.__exit__(StorageError, error, None)
            raise error
        self._stack.__exit__(kind, error, trace)

    def _not_ours(self) -> StorageError:
        return StorageError(f"a forked process cannot save {self._path} for its parent")

    def _forget(self) -> None:
        if self.done:
            with suppress(OSError, RuntimeError):  # it is saved; whoever reads looks for himself
                forget(self._path)

    def _check(self, commit: Commit) -> None:
        outcome = "was not saved" if self._safe else DAMAGED
        with in_words(self._path, outcome):
            commit.disk.check()


def _close(h5: Any) -> None:
    try:
        h5.close()
    except BaseException:
        h5.close()  # interrupted: HDF5 must not have a file whose descriptor is closed
        raise


# Saves of a parent that were inherited through a fork: to be closed would be to write.
_inherited: list[Any] = []


@atexit.register
def _close_all() -> None:
    """Close what an unfinished transaction has open: HDF5, which does so last, needs Python."""
    for h5 in list(_open):
        if h5:
            h5.close()
