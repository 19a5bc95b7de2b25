"""One commit: saves gathered in a copy of the file, which takes its name when all went well."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py

from ..errors import StorageError
from ..hdf5.files import forget
from .replace import METADATA, reserve, rewritten

__all__ = ["Transaction"]


class Transaction:
    """The saves of one commit; nothing is copied or written before the first of them.

    Parameters
    ----------
    path : str
        The file.
    fresh : bool
        Replace it instead of changing it.
    """

    def __init__(self, path: str, *, fresh: bool) -> None:
        self._path = path
        self._fresh = fresh
        self._stack = ExitStack()
        self._h5: Any = None

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to commit."""
        return self._h5 is not None

    def h5(self) -> Any:
        """Return the copy, open for writing."""
        if self._h5 is None:
            name = self._stack.enter_context(rewritten(self._path, fresh=self._fresh))
            if self._fresh:
                _try_room(name)
            try:
                h5 = h5py.File(name, "w" if self._fresh else "r+")
            except OSError as cause:
                raise StorageError(f"{self._path} cannot be opened for writing: {cause}") from cause
            self._h5 = self._stack.enter_context(h5)
        return self._h5

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        begun = self.has_begun
        self._stack.__exit__(kind, error, trace)
        if begun and kind is None:
            forget(self._path)


def _try_room(name: str) -> None:
    """Raise :class:`OSError` where not even the beginnings of an HDF5 file can be written."""
    with Path(name).open("r+b") as file:
        reserve(file.fileno(), METADATA)
