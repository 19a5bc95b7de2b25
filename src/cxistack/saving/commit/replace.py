"""A commit is the appearance of a whole file: a copy is changed, then takes the file's name.

HDF5 changed in place is lost by a crash at the wrong moment. So nobody ever sees a half-written
file: readers keep the old one until they open it again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...errors import CXIError, FileChangedError, StorageError
from ...hdf5._descriptor import Descriptor
from ...hdf5.files import Stamp
from ...hdf5.messages import advice
from ._disk import Disk
from .lock import Hold, Locking, held, held_in_place

__all__ = ["DAMAGED", "Commit", "after_all", "changed_in_place", "in_words", "reserve", "rewritten"]


_Lent = TypeVar("_Lent")

DAMAGED = "was changed in place, and may be damaged"
_METADATA = 1 << 17  # bytes: more than HDF5 and CXI need beside the values of one save
_POWER = "should the power fail now, the old contents may be back"
_FICLONE = 0x40049409  # ioctl_ficlone(2): the copy shares the original's blocks
_BLOCK = 1 << 20
_CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EXDEV)


@dataclass
class Commit:
    """What is known of a file that is being rewritten."""

    disk: Disk  # what HDF5 writes to
    done: bool = False  # whether the file is no longer what it was


@contextmanager
def rewritten(
    path: str,
    *,
    fresh: bool,
    new: bool = False,
    seen: Stamp | None = None,
    locking: Locking = True,
) -> Iterator[Commit]:
    """Give a file to write to, beside `path`, which takes the name `path` when the block ends.

    It is a copy of the file (of a symbolic link, of the target), which must be as it was `seen`;
    it is empty when `fresh`; and there must be no such file yet when `new`.

    Raises
    ------
    FileInUseError
        Somebody else writes to the file.
    FileChangedError
        It is not as it was `seen`, or was changed meanwhile; what it is now stays.
    FileExistsError
        It is there and must not be.
    StorageError
        It has further hard links, which would go on naming the old contents; its owner cannot be
        kept; or the system refused: a full disk, a folder that may not be written.

    Notes
    -----
    When the block raises, `path` is as it was and the copy is gone. The copy and its folder are
    synchronised to disk before and after the rename; what a disk or a network file system makes of
    that is up to them.
    """
    target = Path(os.path.realpath(path))
    pid = os.getpid()
    with _explained(target, held(target, locking)) as hold:
        with in_words(target):
            old = None if hold.file is None else os.fstat(hold.file.fileno())
            _check(target, old, hold, new, seen)
            name = target.with_name(f".{target.name}.{os.urandom(4).hex()}.saving")
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            copy = Descriptor(name, flags, 0o666 if old is None else 0o600)
        try:
            with in_words(target):
                if old is not None:
                    _keep_owner(target, copy, old)
                if hold.file is not None and not fresh:
                    _copy(hold.file, copy)
                commit = Commit(Disk(copy, str(name)))
            yield commit
            if os.getpid() != pid:
                raise StorageError(f"a forked process cannot save {target} for its parent")
            with in_words(target):
                if old is not None:
                    _keep_attributes(hold, copy, old)
                os.fsync(copy)
                made = os.fstat(copy.fileno())
                copy.close()  # a network file system may say only now that its disk is full
                _take_name(commit, (name, made), target, old)
        except BaseException as error:
            # Of a commit that nobody has any more, HDF5 may still have the file; it goes with HDF5.
            if not isinstance(error, GeneratorExit):
                with suppress(OSError):
                    copy.close()
            if os.getpid() == pid:
                with suppress(OSError):
                    name.unlink()
            raise


def _take_name(
    commit: Commit, copy: tuple[Path, os.stat_result], target: Path, old: os.stat_result | None
) -> None:
    """Give the finished copy the file's name, for good."""
    name, made = copy
    folder = Descriptor(target.parent, os.O_RDONLY)
    try:
        _refuse_changed(target, old)
        commit.done = True  # said first: an interrupt may come just after the call
        try:
            os.replace(name, target)  # noqa: PTH105 (the atomic call, by its own name)
        except Exception as cause:
            commit.done = _is_at(target, made)
            if commit.done and isinstance(cause, OSError):  # so a network file system may do
                what = "the system tells of an error when it was given its name"
                raise after_all(target, cause, what) from cause
            raise
        _sync_renamed(target, folder)
    finally:
        with suppress(OSError):
            folder.close()


@contextmanager
def changed_in_place(path: str, *, seen: Stamp | None, locking: Locking) -> Iterator[Commit]:
    """Give the file itself to write to; it is synchronised to disk when the block ends.

    Raises
    ------
    FileInUseError
        Somebody else has it open.
    FileChangedError
        It is not as it was `seen`.
    """
    target = Path(os.path.realpath(path))
    with _explained(target, held_in_place(target, locking)) as file:
        _refuse_unseen(target, os.fstat(file.fileno()), seen)
        commit = Commit(Disk(file, str(target)))
        commit.done = True  # from here on it is no longer what it was
        yield commit
        with in_words(target, DAMAGED):
            os.fsync(file)


def reserve(file: Descriptor, extra: int) -> None:
    """Raise :class:`OSError` unless there is disk space for `extra` bytes of values in a file.

    So a disk that is too full is known of before anything is written. Space for what HDF5 writes
    beside values is made sure of as well.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    size = os.fstat(file.fileno()).st_size
    try:
        os.posix_fallocate(file.fileno(), size, extra + _METADATA)
    except OSError as cause:
        if cause.errno not in _CANNOT:
            raise
    finally:
        # HDF5 would leave what it does not use at the end of the file.
        os.ftruncate(file.fileno(), size)


@contextmanager
def in_words(target: str | Path, outcome: str = "was not saved") -> Iterator[None]:
    """Turn a failure of the system into a sentence: which file, what has become of it, and why."""
    try:
        yield
    except (CXIError, FileExistsError):
        raise
    except PermissionError as cause:
        raise _with_errno(
            StorageError(
                f"{target} {outcome}: {cause.strerror}. A save makes a new file in "
                f"{Path(target).parent}, for which one must be allowed to write there; safe=False "
                "changes a file in place"
            ),
            cause,
        ) from cause
    except OSError as cause:
        why = (cause.strerror or str(cause)) + advice(cause)
        raise _with_errno(StorageError(f"{target} {outcome}: {why}"), cause) from cause


def _with_errno(error: StorageError, cause: OSError) -> StorageError:
    error.errno = cause.errno
    return error


def after_all(target: str | Path, cause: Exception, what: str, then: str = _POWER) -> StorageError:
    """Return the error of what follows a commit that has come to its name."""
    why = getattr(cause, "strerror", None) or cause
    error = StorageError(f"{target} is saved, but {what} ({why}): {then}")
    return _with_errno(error, cause) if isinstance(cause, OSError) else error


def _is_at(target: Path, status: os.stat_result) -> bool:
    with suppress(OSError):
        return os.path.samestat(target.stat(), status)
    return False


@contextmanager
def _explained(target: Path, manager: AbstractContextManager[_Lent]) -> Iterator[_Lent]:
    """Enter a context with its failures explained; what fails in the block is not its own."""
    with ExitStack() as stack:
        with in_words(target):
            lent = stack.enter_context(manager)
        yield lent


def _check(
    target: Path, old: os.stat_result | None, hold: Hold, new: bool, seen: Stamp | None
) -> None:
    """Refuse what must not be replaced; sweep up what saves left behind that were killed."""
    if hold.alone:
        # Only who saves makes copies, and that is us alone.
        ours = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.saving")
        for name in os.listdir(target.parent):  # noqa: PTH208 (at once: an interrupt leaves nothing open)
            if ours.fullmatch(name):
                with suppress(OSError):
                    target.with_name(name).unlink()
    if new and old is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    _refuse_unseen(target, old, seen)
    if old is not None and old.st_nlink > 1:
        raise StorageError(
            f"{target} has {old.st_nlink} hard links: a save would leave the others with the old "
            "contents. Copy the file first, or open the store with safe=False, which changes it in "
            "place"
        )


def _copy(source: Descriptor, target: Descriptor) -> None:
    try:
        fcntl.ioctl(target, _FICLONE, source.fileno())
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    else:
        return
    disk = os.fstatvfs(target.fileno())
    if disk.f_bavail * disk.f_frsize < os.fstat(source.fileno()).st_size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # known before minutes are spent
    at = 0
    while block := os.pread(source.fileno(), _BLOCK, at):
        rest = memoryview(block)
        while rest:
            done = os.pwrite(target.fileno(), rest, at)
            rest, at = rest[done:], at + done


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _refuse_unseen(target: Path, old: os.stat_result | None, seen: Stamp | None) -> None:
    if seen is not None and (old is None or _stamp(old) != seen):
        raise FileChangedError(f"{target} was changed since it was looked at: save again")


def _refuse_changed(target: Path, old: os.stat_result | None) -> None:
    try:
        now = _stamp(target.stat())
    except FileNotFoundError:
        now = None
    if now != (None if old is None else _stamp(old)):
        raise FileChangedError(
            f"{target} was changed by somebody else during this save, which is given up: save again"
        )


def _keep_owner(target: Path, copy: Descriptor, old: os.stat_result) -> None:
    """Give the copy the old file's owner and group, first of all: not everybody may."""
    mine = os.fstat(copy.fileno())
    uid = old.st_uid if old.st_uid != mine.st_uid else -1
    gid = old.st_gid if old.st_gid != mine.st_gid else -1
    if (uid, gid) == (-1, -1):
        return
    try:
        os.chown(copy.fileno(), uid, gid)
    except PermissionError as cause:
        raise StorageError(
            f"{target} belongs to user {old.st_uid} and group {old.st_gid}, which what you save "
            "would not: ask its owner to save, or open the store with safe=False, which changes "
            "the file in place"
        ) from cause


def _keep_attributes(hold: Hold, copy: Descriptor, old: os.stat_result) -> None:
    """Keep permissions and extended attributes. Not the times: that it was changed must show."""
    assert hold.file is not None
    if hasattr(os, "listxattr"):
        original = hold.file.fileno()
        for attribute in os.listxattr(original):
            try:
                os.setxattr(copy.fileno(), attribute, os.getxattr(original, attribute))
            except OSError:
                if attribute.startswith(("user.", "system.posix_acl")):
                    raise  # others belong to the system, which may see to them
    os.fchmod(copy.fileno(), stat.S_IMODE(old.st_mode))


def _sync_renamed(target: Path, folder: Descriptor) -> None:
    try:
        os.fsync(folder)
    except OSError as cause:
        what = "its folder could not be synchronised to disk"
        raise after_all(target, cause, what) from cause
