"""The files of a run by name, each opened when it is looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["ByName"]


class ByName(Mapping[str, Any]):
    """A mapping from files' names to their handles.

    Parameters
    ----------
    names, paths : tuple of str
        The files, in the order in which their frames count.
    handle : callable
        Returns the handle of a path.
    """

    def __init__(
        self, names: tuple[str, ...], paths: tuple[str, ...], handle: Callable[[str], Any]
    ) -> None:
        self._names, self._paths, self._handle = names, paths, handle

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._handle(self._paths[self._names.index(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
