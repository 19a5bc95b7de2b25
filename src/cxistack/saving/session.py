"""A store's side of its saves: which file, in which mode, in which transaction."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from ..catalogue.catalogue import Catalogue
from ..hdf5.files import Files
from .commit.lock import Locking, refuse_if_written
from .commit.transaction import Transaction

__all__ = ["check_mode", "check_readable"]


def check_mode(files: Files, mode: str, locking: Locking = True) -> bool:
    """Hold a store's mode against its files; tell whether the first is to come by a commit.

    Raises
    ------
    FileNotFoundError, FileExistsError
        A file is not there, or is there, against the mode.
    ValueError
        A file would be replaced and others are named with it.
    """
    if mode in ("w", "w-", "x") and len(files.names) > 1:
        raise ValueError(
            f"mode {mode!r} makes one new file, and {len(files.names)} are named; open the others "
            "in a store of their own"
        )
    first, *others = files.paths
    exists = Path(first).exists()
    for path in [first, *others] if mode in ("r", "r+") else others:
        if not Path(path).exists():
            why = os.strerror(errno.ENOENT)
            if os.path.islink(path):  # noqa: PTH114
                why = f"a symbolic link to {Path(path).readlink()}, which is not there"
            raise FileNotFoundError(errno.ENOENT, why, path)
    if mode in ("w-", "x") and exists:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), first)
    if mode in ("w", "w-", "x", "a") and not Path(first).parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "the folder of the new file does not exist", str(Path(first).parent)
        )
    if mode == "a" and not exists:
        # Somebody else may be quicker to create it.
        with (
            suppress(FileExistsError),
            Transaction(first, fresh=True, new=True, locking=locking) as transaction,
        ):
            transaction.begin()
    return mode in ("w", "w-", "x")


def check_readable(catalogue: Catalogue) -> None:
    """Raise what keeps the file from being looked into: it may have what seems not to be there."""
    try:
        catalogue.opened(0)
    except OSError:
        refuse_if_written(catalogue.files.paths[0])
        raise
