"""Which datasets hold the values of one: itself, or those that it is put together of."""

from __future__ import annotations

from collections.abc import Iterator

from .layout import Stored

__all__ = ["leaves"]


def leaves(stored: Stored) -> Iterator[Stored]:
    """Return the datasets that hold the values of `stored`, some perhaps again."""
    if stored.assembly is None:
        yield stored
        return
    for piece in stored.assembly.pieces:
        yield from leaves(piece.stored)
