"""A commit is the appearance of a whole file: a copy is changed, then takes the file's name.

HDF5 changed in place is lost by a crash at the wrong moment. So nobody ever sees a half-written
file: readers keep the old one until they open it again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import FileChangedError, StorageError

__all__ = ["METADATA", "reserve", "rewritten"]

METADATA = 1 << 20  # bytes: more than HDF5 needs beside the values of one save
_FICLONE = 0x40049409  # ioctl_ficlone(2): the copy shares the original's blocks


@contextmanager
def rewritten(path: str, *, fresh: bool) -> Iterator[str]:
    """Give a file to write to, beside `path`, which takes the name `path` when the block ends.

    Parameters
    ----------
    path : str
        The file to be changed; of a symbolic link the target is.
    fresh : bool
        Start from nothing instead of from a copy of `path`.

    Raises
    ------
    StorageError
        The file has further hard links, which would go on naming the old contents.
    FileChangedError
        Somebody else saved to the file meanwhile; theirs stays.

    Notes
    -----
    When the block raises, `path` is as it was and the copy is gone. The copy and its folder are
    synchronised to disk before and after the rename; what a disk or a network file system makes of
    that is up to them.
    """
    target = Path(os.path.realpath(path))
    old = target.stat() if target.exists() else None
    if old is not None and old.st_nlink > 1:
        raise StorageError(
            f"{target} has {old.st_nlink} hard links: a save would leave the others with the old "
            "contents. Copy the file first"
        )
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".saving", dir=target.parent)
    os.close(handle)
    try:
        if old is not None and not fresh:
            _copy(target, Path(name))
        yield name
        if old is not None:
            _keep_attributes(target, name, old)
        else:
            Path(name).chmod(0o666 & ~_umask())
        _sync(name)
        if old is not None and _identity(target.stat()) != _identity(old):
            raise FileChangedError(
                f"{target} was changed by somebody else during this save, which is given up: save "
                "again"
            )
        os.replace(name, target)  # noqa: PTH105 (the atomic call, by its own name)
        _sync(target.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def reserve(descriptor: int, extra: int) -> None:
    """Raise :class:`OSError` unless there is disk space for `extra` bytes more in a file.

    HDF5 does not survive a disk that is full when it writes.
    """
    if hasattr(os, "posix_fallocate"):
        size = os.fstat(descriptor).st_size
        try:
            os.posix_fallocate(descriptor, size, extra)
        finally:
            # HDF5 would leave what it does not use at the end of the file.
            os.ftruncate(descriptor, size)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError as error:
            if error.errno not in (
                errno.EOPNOTSUPP,
                errno.EXDEV,
                errno.EINVAL,
                errno.ENOTTY,
                errno.ENOSYS,
            ):
                raise
            shutil.copyfileobj(old, new, 1 << 20)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _keep_attributes(target: Path, name: str, old: os.stat_result) -> None:
    """Keep permissions, extended attributes and owner (a plain user owns what they write anyway).

    Not the times: that the file was changed must show.
    """
    shutil.copymode(target, name)
    if hasattr(os, "listxattr"):
        for attribute in os.listxattr(target):
            with suppress(OSError):  # some belong to the system
                os.setxattr(name, attribute, os.getxattr(target, attribute))
    mine = Path(name).stat()
    if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):
            os.chown(name, old.st_uid, old.st_gid)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
