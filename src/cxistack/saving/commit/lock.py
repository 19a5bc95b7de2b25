"""Keeping a second writer away from a file while it is saved to, and finding one that is there.

Two locks, both by flock(2), which the system takes away when a process dies:

* an exclusive one on a lock file beside the data file keeps out other saves of ours. It cannot be
  on the data file alone: that is replaced by a save, and may not be there yet;
* a shared one on the data file keeps out whoever changes it in place: HDF5 locks exclusively what
  it opens for writing. Readers share it.

A change in place locks the data file exclusively, against saves, readers and HDF5's writers alike.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py

from ...errors import FileInUseError, StorageError
from ...hdf5._descriptor import Descriptor
from ...hdf5.open_writers import consistency_flags, of_each_written_here

__all__ = ["Hold", "Locking", "held", "held_in_place", "refuse_if_written"]


Locking = Literal[True, "best-effort"]
_LOCKED = (errno.EAGAIN, errno.EACCES)
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
_NO_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO)  # of a link, a folder, a socket
_OURS = "this process"
_TRIES = 100  # a name that changes its file more often than this is not ours to follow


@dataclass(frozen=True)
class Hold:
    """What is held while a file is saved to."""

    file: Descriptor | None  # the data file, open for reading; None where there is none
    alone: bool  # whether nobody else saves to it: False where the file system keeps no locks


@contextmanager
def held(target: Path, locking: Locking = True) -> Iterator[Hold]:
    """Keep other writers away from the file `target` (no symbolic link) until the block ends.

    Raises
    ------
    FileInUseError
        Somebody writes to it.
    StorageError
        The file system keeps no locks, and `locking` insists on them.
    """
    beside = target.with_name(f".{target.name}.saving.lock")
    try:
        lock, alone = _locked(beside, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX, target, locking)
    except PermissionError as cause:
        if not os.path.lexists(beside):
            raise  # the folder's, which whoever called tells of
        raise FileInUseError(
            f"{target} is being saved to by another user, or was when that program was killed: "
            f"save again when that has ended; if nobody saves to it, delete {beside}"
        ) from cause
    except OSError as cause:
        if cause.errno not in _NO_FILE:
            raise
        raise StorageError(
            f"{target} cannot be locked: {beside} is no plain file ({cause.strerror}); delete it"
        ) from cause
    assert lock is not None
    pid = os.getpid()
    try:
        os.ftruncate(lock.fileno(), 0)
        os.pwrite(lock.fileno(), f"process {pid} on {os.uname().nodename}\n".encode(), 0)
        data, _ = _locked(target, os.O_RDONLY, fcntl.LOCK_SH, target, locking)
        try:
            if data is not None:
                _refuse_other_writers(target, data)
            yield Hold(data, alone)
        finally:
            _release(data, pid)
    finally:
        if alone and os.getpid() == pid:
            with suppress(OSError):  # the next save takes one that is left over
                beside.unlink()
        _release(lock, pid)


@contextmanager
def held_in_place(target: Path, locking: Locking = True) -> Iterator[Descriptor]:
    """Give a descriptor for changing `target` in place, which nobody else has open meanwhile.

    Raises
    ------
    FileInUseError
        Somebody has it open, for whatever purpose.
    StorageError
        The file system keeps no locks, and `locking` insists on them.
    """
    pid = os.getpid()
    data, _ = _locked(target, os.O_RDWR, fcntl.LOCK_EX, target, locking)
    if data is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target))
    try:
        _refuse_other_writers(target, data)
        yield data
    finally:
        _release(data, pid)


def refuse_if_written(path: str) -> None:
    """Raise :class:`FileInUseError` if somebody has the file open for writing, as far as told."""
    target = Path(os.path.realpath(path))
    try:
        data, _ = _locked(target, os.O_RDONLY, fcntl.LOCK_SH, target, "best-effort")
    except FileInUseError:
        raise
    except OSError:  # whoever asks has an error already, which says more
        return
    try:
        if data is not None:
            _refuse_other_writers(target, data)
    finally:
        _release(data, os.getpid())


def _locked(
    path: Path, flags: int, how: int, target: Path, locking: Locking
) -> tuple[Descriptor | None, bool]:
    """Open and lock the file that has the name `path` at the end of it; None: there is no file."""
    for _ in range(_TRIES):
        try:
            file = Descriptor(path, flags | os.O_NOFOLLOW)
        except FileNotFoundError:
            if flags & os.O_CREAT:
                raise
            return None, True
        is_ours = False  # a lock file that nobody else has locked
        try:
            is_locked = is_ours = _flock(file, how, target, locking)
            if _is_named(file, path):
                return file, is_locked
        except BaseException as error:
            is_ours |= isinstance(error, StorageError) and not isinstance(error, FileInUseError)
            if is_ours and flags & os.O_CREAT and os.fstat(file.fileno()).st_nlink:
                with suppress(OSError):
                    path.unlink()
            file.close()
            raise
        file.close()
    raise FileInUseError(f"{target} is replaced again and again: save when that has ended")


def _flock(file: Descriptor, how: int, target: Path, locking: Locking) -> bool:
    try:
        _try_to_lock(file, how)
    except OSError as cause:
        if cause.errno in _LOCKED:
            raise _kept_out(file, how, target) from None
        if cause.errno not in _NO_LOCKS:
            raise
        if locking == "best-effort":
            return False
        raise StorageError(
            f"{target} lies on a file system that keeps no locks ({cause.strerror}): two programs "
            'could save to it at once, and one save would be lost. locking="best-effort" saves '
            "without; see to it that nobody else does"
        ) from cause
    return True


def _try_to_lock(file: Descriptor, how: int) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as cause:
        if cause.errno not in _LOCKED:
            raise
        # Perhaps by an interrupted save of ours that waits to be collected, with its traceback.
        gc.collect()
        fcntl.flock(file, how | fcntl.LOCK_NB)


def _is_named(file: Descriptor, path: Path) -> bool:
    try:
        named = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(file.fileno()))


def _release(file: Descriptor | None, pid: int) -> None:
    """Let go of a lock; a forked child must not, as it is its parent's too."""
    if file is None:
        return
    with suppress(OSError):
        if os.getpid() == pid:
            fcntl.flock(file, fcntl.LOCK_UN)  # also where a child has the descriptor still
    with suppress(OSError):
        file.close()


def _kept_out(file: Descriptor, how: int, target: Path) -> FileInUseError:
    """Return the error that says who has a file locked."""
    status = os.fstat(file.fileno())
    who = _holder(status)
    other = who or "another program"
    if how == fcntl.LOCK_SH:
        said = f"is open for writing in {other}: save again when it is closed there"
    elif target.exists() and os.path.samestat(status, target.stat()):
        said = (
            f"is open in {other}, which a change in place would disturb: save again when it is "
            "closed there, or leave out safe=False"
        )
    else:
        note = os.pread(file.fileno(), 200, 0).decode(errors="replace").strip()
        said = f"is being saved to by {who or note or other}: save again when that has ended"
    return _in_use(f"{target} {said}", is_own=who == _OURS)


def _in_use(said: str, *, is_own: bool) -> FileInUseError:
    error = FileInUseError(said)
    error.is_own = is_own
    return error


def _holder(status: os.stat_result) -> str:
    """Say which process of this machine has a file locked, where the system tells."""
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if "->" in fields or inode not in fields or "FLOCK" not in fields:
                continue
            pid = int(fields[4])
            if pid == os.getpid():
                return _OURS
            if pid > 0:
                with suppress(OSError):
                    words = Path(f"/proc/{pid}/comm").read_text().strip()
                    return f"process {pid} ({words})"
    return ""


def _refuse_other_writers(target: Path, file: Descriptor) -> None:
    """Refuse a file that HDF5 has open for writing although no lock says so."""
    status = os.fstat(file.fileno())
    if any(of_each_written_here(lambda one: _is_on(one, target, status))):
        raise _in_use(
            f"this process has {target} open for writing by h5py itself: close that file before "
            "saving to it",
            is_own=True,
        )
    flags = consistency_flags(file.fileno())
    if flags:
        raise FileInUseError(
            f"{target} is marked as open for {'SWMR ' if flags & 4 else ''}writing: save again "
            "when its writer has closed it. If none is left (a writer that was killed leaves the "
            "mark behind), clear it: h5clear -s FILE"
        )


def _is_on(one: h5py.h5f.FileID, target: Path, status: os.stat_result) -> bool:
    """Tell whether an open HDF5 file is the one that has the status."""
    if one.get_access_plist().get_driver() == h5py.h5fd.SEC2:
        return os.path.samestat(os.fstat(one.get_vfd_handle()), status)
    return os.path.realpath(os.fsdecode(h5py.h5f.get_name(one))) == str(target)
