"""The only owner of HDF5 handles: opens files when they are needed, keeps few open, lends them.

Others name a file by its path and borrow it (``with files.reading(path) as h5``, or its handle from
``lent``); nobody else stores an h5py object. So thousands of files, forks, pickling and commits are
solved here.
"""

from __future__ import annotations

import atexit
import math
import os
import resource
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from ..errors import ClosedStoreError, CXIError, StorageError
from ._descriptor import Descriptor
from .by_name import ByName
from .filters import register_filters
from .handle import Handle, Loan
from .messages import advice, check_regular, not_opened
from .patience import PAUSE, changed, may_pass, waited_for
from .remote.urls import in_folder_of, is_url
from .stamps import ANY, Stamp

if TYPE_CHECKING:
    from .remote.remotes import Remotes

__all__ = [
    "ANY",
    "Files",
    "Stamp",
    "changed",
    "count_reading",
    "forget",
    "most_open",
]

# To close a handle, h5py looks through all that are open: few are soon closed, and a file is opened
# again in 0.06 ms.
_MOST_HANDLES = 64
_MOST_DESCRIPTORS = 16  # of a store, kept for who reads few chunks; to open one takes 4 us

# Handles inherited through a fork. Closing one in the child would release the parent's file lock,
# so they are kept, never used and never closed.
_inherited: list[Any] = []
# Not a WeakSet: other threads may make stores while somebody goes through all.
_all_files: dict[int, weakref.ref[Files]] = {}


def most_open() -> int:
    """Return how many files are kept open at a time: a share of the process's descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 256 if soft == resource.RLIM_INFINITY else max(4, min(256, soft // 4))


class Files:
    """The files of one run, by name, and the open handles on them.

    Parameters
    ----------
    names : tuple of str
        The files' names, in the order in which their frames count.
    swmr : bool
        Open them as HDF5's SWMR readers do. A file is then known by what it is, not by when it was
        changed last: what its writer appends leaves all that was there where it lies.
    wait : float
        Seconds for which a file is tried again that is not there yet, or is being written.
    remotes : Remotes, optional
        Those of them that are on servers.

    Attributes
    ----------
    locks : bool
        Whether a file that is open is locked against writers, as HDF5 does.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        swmr: bool = False,
        wait: float = 0,
        remotes: Remotes | None = None,
    ) -> None:
        self.names, self.remotes = names, remotes
        self.swmr, self.wait, self.locks = swmr, wait, True
        # Made absolute at once: a later chdir must not change which files are meant.
        self._folder = os.path.abspath("")  # noqa: PTH100 (keeps links)
        self.paths = self.paths_of(names)
        self.closed = False
        self._reset()
        _enter(self)

    def _reset(self) -> None:
        self._open: OrderedDict[str, Handle] = OrderedDict()
        # Whether all of these are open, and nothing can be written to their files: not so of one
        # that a user was given, who may close it.
        self._is_sure = True
        self._descriptors: OrderedDict[str, tuple[Stamp, Descriptor]] = OrderedDict()
        self._held_by: dict[str, Any] = {}
        self._most_open = min(_MOST_HANDLES, most_open())
        self._known: dict[object, tuple[Stamp, Any]] = {}
        self._gave_up = -math.inf  # when a file was waited for in vain
        self._lock = threading.RLock()
        self._saving = threading.RLock()
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("names", "paths", "closed", "swmr", "wait", "locks", "_folder", "remotes")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()
        _enter(self)

    @contextmanager
    def reading(self, path: str) -> Iterator[Any]:
        """Lend the read-only :class:`h5py.File` of the file at the absolute `path`."""
        with self.lent(path) as handle:
            yield handle.h5

    @contextmanager
    def lent(self, path: str) -> Iterator[Handle]:
        """Lend the handle on the file at the absolute `path`."""
        handle, loan = self._borrow(path)
        try:
            yield handle
        except BaseException:
            if handle.source is not None:
                handle.source.file.failure = None  # it is told of
            raise
        finally:
            loan.handle = None
            if self.closed:  # by another thread, which had to leave this handle open
                self.release()
        if handle.source is not None:
            handle.source.raise_failure()

    def handle(self, path: str) -> Any:
        """Return a read-only :class:`h5py.File` that stays open until :meth:`release`."""
        handle, _ = self._borrow(path)
        handle.pinned = True
        self._is_sure = False
        return handle.h5

    def stamp(self, path: str) -> Stamp:
        """Return the stamp that the file at `path` had when its handle was opened."""
        return self._borrow(path)[0].stamp

    def now(self, path: str) -> Stamp | None:
        """Return the stamp that the file at `path` has now; None where there is no file.

        Of a file on a server, what it was when it was looked at: each answer tells of a change.
        """
        if self.remotes is not None and is_url(path):
            return self.remotes.now(path)
        try:
            return self._stamp(os.stat(path))  # noqa: PTH116 (a Path costs more than the call)
        except FileNotFoundError:
            return None

    def _stamp(self, status: os.stat_result) -> Stamp:
        stamp = Stamp.of(status)
        return stamp._replace(size=ANY, mtime_ns=ANY) if self.swmr else stamp

    def recall(self, key: tuple[str, int]) -> Any:
        """Return what was noted of an object in file ``key[0]``; None once the file has changed."""
        stamp, note = self._known.get(key, (None, None))
        return note if stamp is not None and stamp == self.now(key[0]) else None

    def note(self, key: tuple[str, int], note: Any) -> None:
        """Note something of an object in file ``key[0]``, for as long as the file is unchanged."""
        self._known[key] = (self.stamp(key[0]), note)

    def verify(self, path: str, stamp: Stamp) -> None:
        """Raise :class:`FileChangedError` unless the file at `path` still is as `stamp` says."""
        if self.now(path) != stamp:
            raise changed(path)

    def open_descriptor(self, path: str, stamp: Stamp) -> Descriptor:
        """Open the very file that `stamp` was taken of; it is closed with its last name.

        Raises
        ------
        FileChangedError
            Another file has taken its name.
        StorageError
            It cannot be opened.
        """
        try:
            descriptor = Descriptor(path, os.O_RDONLY)
        except OSError as cause:
            why = f"{cause.strerror}{advice(cause)}"
            raise StorageError(f"{path} cannot be opened: {why}") from cause
        status = os.fstat(descriptor.number)
        if (status.st_dev, status.st_ino) != (stamp.device, stamp.inode):
            raise changed(path)
        return descriptor

    def kept_descriptor(self, path: str, stamp: Stamp) -> Descriptor:
        """Return what :meth:`open_descriptor` does; the last ones are kept."""
        kept = self._descriptors.get(path)
        if kept is not None and kept[0][:2] == stamp[:2]:
            return kept[1]
        self._leave_to_parent()
        with self._lock:
            descriptor = self.open_descriptor(path, stamp)
            while len(self._descriptors) >= min(_MOST_DESCRIPTORS, most_open() // 4):
                self._descriptors.popitem(last=False)
            self._descriptors[path] = (stamp, descriptor)
        return descriptor

    def is_held(self, path: str) -> bool:
        """Tell whether HDF5 lets nobody in this process write to a file: it is open for reading."""
        handle = self._open.get(path)
        if handle is None:
            other = self._held_by.get(path)
            return other is not None and bool(other.valid)
        return handle.is_reading and (not handle.pinned or handle.is_open)

    def held_by(self, path: str, dataset: Any) -> None:
        """Note a dataset of the user's that keeps a file open for reading, as long as it is."""
        file = h5py.h5i.get_file_id(dataset.id)
        if not file.get_intent() & h5py.h5f.ACC_RDWR:
            self._held_by[path] = dataset.id

    def by_name(self) -> Mapping[str, Any]:
        """Return a mapping from each file's name to its handle, opened when it is looked up."""
        return ByName(self.names, self.paths, self.handle)

    def _borrow(self, path: str) -> tuple[Handle, Loan]:
        """Lend a handle; a file that cannot be opened yet is waited for, without the lock."""
        begin = time.monotonic()
        while True:
            try:
                return self._borrow_now(path)
            except OSError as error:
                now = time.monotonic()
                # Of many files that do not come, one is waited for.
                is_over = now - begin >= self.wait or now - self._gave_up < self.wait
                if not self.wait or not may_pass(error):
                    raise
                if is_over:
                    self._gave_up = now
                    raise waited_for(error, self.wait) from error
            time.sleep(PAUSE)

    def _borrow_now(self, path: str) -> tuple[Handle, Loan]:
        if self.closed:
            raise ClosedStoreError("the store is closed: call open() or use it in a with block")
        self._leave_to_parent()
        is_new = path not in self._open and len(_all_files) > 1
        if is_new and any(one._is_stale(path) for one in _living()):
            forget(path)  # as in refresh(); before the lock, for this takes the others' locks
        with self._lock:
            handle = self._open.get(path)
            if handle is not None and not handle.is_open:  # closed by the user who was given it
                del self._open[path]
                handle = None
            if handle is None:
                self._evict()
                handle = self._open[path] = self._open_for_reading(path)
                self._is_sure = self._is_sure and handle.is_reading
            self._open.move_to_end(path)
            return handle, handle.lend()

    def _open_for_reading(self, path: str) -> Handle:
        if self.remotes is not None and is_url(path):
            register_filters()
            stamp = self.remotes.stamp(path)
            try:
                file, source = self.remotes.opened(path)
            except CXIError:
                raise
            except OSError as cause:
                raise not_opened(path, stamp.size, cause) from cause
            atexit.unregister(_close_away)
            atexit.register(_close_away)
            return Handle(file, stamp, source=source)
        status = os.stat(path)  # noqa: PTH116 (a Path costs more than the call)
        check_regular(path, status.st_mode)
        register_filters()
        flags, access = h5py.h5f.ACC_RDONLY, None
        if self.swmr:
            flags |= h5py.h5f.ACC_SWMR_READ
        if not self.locks:
            access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
            access.set_file_locking(False, True)
        try:
            # What h5py.File(path, "r") does, without what it does for other modes and drivers.
            try:
                file = h5py.h5f.open(os.fsencode(path), flags, access)
            except OSError as cause:
                if self.locks or "locking flag values" not in str(cause):
                    raise
                # Somebody in this process has it open, and locked: ours is under the same lock.
                file = h5py.h5f.open(os.fsencode(path), flags)
        except OSError as cause:
            raise not_opened(path, status.st_size, cause) from cause
        # Where this process had the file open for writing already, HDF5 says so of this, too.
        is_reading = not file.get_intent() & h5py.h5f.ACC_RDWR
        return Handle(file, self._stamp(status), is_reading)

    @property
    def saving(self) -> threading.RLock:
        """What the thread holds that makes a commit."""
        self._leave_to_parent()
        return self._saving

    def _leave_to_parent(self) -> None:
        """Begin anew in a forked child; before the lock, which a thread of the parent may hold."""
        if self._pid != os.getpid():
            _inherited.append((self._open, self._is_sure))
            self._reset()

    def _evict(self) -> None:
        """Close the handles longest unused until one more may be opened; caller holds the lock."""
        while len(self._open) >= self._most_open:
            idle = (path for path, h in self._open.items() if not h.is_lent and not h.pinned)
            path = next(idle, None)
            if path is None:
                return
            # Not by close(), which looks through all that h5py has open: the last name goes.
            del self._open[path]

    def release(self, *, pinned: bool = True) -> None:
        """Close every handle that nobody is using at this moment, also those given to a user."""
        self._leave_to_parent()
        with self._lock:
            self._descriptors.clear()
            for path, handle in list(self._open.items()):
                if not handle.is_lent and (pinned or not handle.pinned):
                    del self._open[path]
                    if handle.is_open:
                        # Whoever else still has a name of it, an error's traceback for one.
                        handle.id.close()
            self._is_sure = self._is_sure or not self._open

    @property
    def has_handles(self) -> bool:
        """Whether some file is open."""
        return bool(self._open)

    def refresh(self) -> None:
        """Close handles on files that were replaced or changed since they were opened."""
        self._leave_to_parent()
        with self._lock:
            self._descriptors.clear()
            if self.swmr:  # chunks may have come since they were listed
                self._known.clear()
            if self.remotes is not None:
                self.remotes.look_again()
            others = [path for path in self._open if self._is_stale(path)]
        # Other stores' handles, too: while one lives, HDF5 gives the old file again.
        for path in others:
            forget(path)

    def _is_stale(self, path: str) -> bool:
        """Tell whether a file that nobody uses now was changed since it was opened."""
        handle = self._open.get(path)
        return handle is not None and not handle.is_lent and self.now(path) != handle.stamp

    def paths_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the absolute paths of names, in the folder that was the current one at first."""
        return tuple(
            name if is_url(name) else os.path.normpath(os.path.join(self._folder, name))  # noqa: PTH118
            for name in names
        )

    def succeeded(self, names: tuple[str, ...]) -> Files:
        """Return what lends files of other names; loads prepared before number those of this."""
        self.release()
        files = Files(names, self.swmr, self.wait, self.remotes)
        files._folder, files.locks = self._folder, self.locks
        files.paths = files.paths_of(names)
        return files

    def in_tree(self, path: str) -> bool:
        """Tell whether `path` lies in or below the folder of one of the given files."""
        if is_url(path):
            return any(in_folder_of(path, given) for given in self.paths if is_url(given))
        real = os.path.realpath(path)
        folders = {os.path.realpath(Path(one).parent) for one in self.paths if not is_url(one)}
        return any(os.path.commonpath([folder, real]) == folder for folder in folders)


def _enter(files: Files) -> None:
    key = id(files)
    _all_files[key] = weakref.ref(files, lambda _: _all_files.pop(key, None))


def _living() -> list[Files]:
    return [files for one in list(_all_files.values()) if (files := one()) is not None]


def count_reading() -> int:
    """Return how many of HDF5's open files are our handles that nothing can be written by.

    -1 where that is not known.
    """
    stores = _living()
    if not all(files._is_sure for files in stores) or not all(sure for _, sure in _inherited):
        return -1
    return sum(len(files._open) for files in stores) + sum(len(one) for one, _ in _inherited)


def _close_away() -> None:
    """Close all that is open of files on servers: HDF5 would ask Python when that has ended."""
    for one in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if is_url(os.fsdecode(h5py.h5f.get_name(one))):
            h5py.File(one).close()


def forget(path: str) -> None:
    """Close this process's idle handles on the file at `path`, with all objects in it.

    It was changed, or a commit has replaced it.
    """
    real = os.path.realpath(path)
    for files in _living():
        files._leave_to_parent()
        with files._lock:
            files._descriptors.clear()
            for name, handle in list(files._open.items()):
                if os.path.realpath(name) == real and not handle.is_lent:
                    del files._open[name]
                    if handle.is_open:
                        handle.h5.close()
