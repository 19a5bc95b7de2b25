"""Prepared loads that a store keeps for as long as its files are what they were."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..loading._few import ChunkCache
from ..loading.load import Load
from ..transforms.transforms import is_constant

__all__ = ["KeptLoads", "key_of"]

_MOST = 32

_PLAIN = (str, int, bool, type(None), type, np.dtype)


class KeptLoads:
    """The loads that were prepared last, and chunks that were decoded for them.

    Parameters
    ----------
    chunk_bytes : int
        How much memory decoded chunks may take.

    Raises
    ------
    ValueError
        That is negative.
    """

    def __init__(self, chunk_bytes: int) -> None:
        if chunk_bytes < 0:
            raise ValueError(f"chunk_cache is a number of bytes, 0 or more, not {chunk_bytes}")
        self._limit = chunk_bytes
        self._forget(None)

    def _forget(self, catalogue: Catalogue | None) -> None:
        self._catalogue = catalogue
        self._loads: OrderedDict[object, Load] = OrderedDict()
        self.chunks = ChunkCache(self._limit)

    def __getstate__(self) -> int:
        return self._limit

    def __setstate__(self, limit: int) -> None:
        self._limit = limit
        self._forget(None)

    def get(self, catalogue: Catalogue, key: object) -> Load | None:
        """Return a load that was kept for the files as they were when they were last looked at."""
        if self._catalogue is not catalogue:
            self._forget(catalogue)
            return None
        load = self._loads.get(key)
        if load is not None:
            try:
                self._loads.move_to_end(key)
            except KeyError:  # another thread has just put it out
                return load
        return load

    def keep(self, catalogue: Catalogue, key: object, load: Load) -> None:
        """Keep a load, but for one whose words may mean something else the next time."""
        loads = self._loads
        if key is None or self._catalogue is not catalogue:
            return
        loads[key] = load
        if len(loads) > _MOST:
            loads.popitem(last=False)


def key_of(attr: str, source: int | str | None, words: Mapping[str, Any]) -> object:
    """Return by what a load with these words is known; None where it is not to be kept."""
    key: list[object] = [attr, source]
    for name, word in words.items():
        if word is None or (name, word) in (("casting", "checked"), ("raw", False)):
            continue  # as if it was not said
        value = word
        if isinstance(word, slice):
            value = (word.start, word.stop, word.step)
            if value == (None, None, None):
                continue
            if not all(type(one) in (int, type(None)) for one in value):
                return None
        elif name == "transform":
            if not is_constant(word):
                return None
        elif not isinstance(word, _PLAIN):
            return None
        key += [name, type(word), value]
    return tuple(key)
