"""The store's doors to other tools: what they ask a store for, by their own names."""

from __future__ import annotations

from .contents import Contents

__all__ = ["Doors"]


class Doors(Contents):
    """What notebooks and other libraries ask of a store; see :class:`CXIStore`."""

    def _ipython_key_completions_(self) -> list[str]:
        """Complete ``store["<tab>"]`` by the attributes that the files have."""
        return list(self)
