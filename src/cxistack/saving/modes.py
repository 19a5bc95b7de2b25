"""What a store may be opened with: its words, and the mode held against what is there."""

from __future__ import annotations

import errno
import math
import os
from contextlib import suppress
from pathlib import Path

from ..hdf5.files import Files
from ..hdf5.remote.urls import is_url
from .commit.lock import Locking
from .commit.patience import waited
from .commit.transaction import Transaction

__all__ = ["check_words", "make_ready"]

_MODES = ("r", "r+", "w", "w-", "x", "a")


def check_words(mode: str, links: str, locking: object, swmr: bool, wait: float) -> None:
    """Raise :class:`ValueError` for what a store cannot be opened with."""
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
    if links not in ("follow", "tree"):
        raise ValueError(f'links must be "follow" or "tree", not {links!r}')
    if locking not in (True, "best-effort"):
        raise ValueError(f'locking must be True or "best-effort", not {locking!r}')
    if swmr and mode != "r":
        raise ValueError(f'swmr=True reads what others write: mode must be "r", not {mode!r}')
    if not 0 <= wait < math.inf:
        raise ValueError(f"wait must be seconds, not {wait!r}")


def make_ready(files: Files, mode: str, locking: Locking, timeout: float | None) -> None:
    """Hold the mode of a store against its files; make the file that mode "a" is to make."""
    if mode in ("w", "w-", "x") and len(files.names) > 1:
        raise ValueError(
            f"mode {mode!r} makes one new file, and {len(files.names)} are named; open the "
            "others in a store of their own"
        )
    if files.remotes is not None:
        if mode != "r":
            raise ValueError(
                f"files on a server are only read: mode must be 'r', not {mode!r}; save to a store "
                "of a file here"
            )
        files.remotes.begin([path for path in files.paths if is_url(path)])
    first, *others = files.paths
    exists = Path(first).exists()
    for path in [first, *others] if mode in ("r", "r+") else others:
        if not is_url(path) and not Path(path).exists():
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
            waited(transaction.begin, lambda: None, timeout)
