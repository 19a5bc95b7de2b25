"""What is said of a chunk that cannot be read or decoded, by whichever way it was read."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import StorageError

__all__ = ["chunk_failure"]


def chunk_failure(
    place: str, rows: Sequence[int], size: int, address: int | None, why: str
) -> StorageError:
    """Return the error that names dataset, rows and chunk; an address is one in the file."""
    which = f"row {rows[0]}" if len(rows) == 1 else f"rows {rows[0]} to {rows[-1]}"
    at = "" if address is None else f" at {address}"
    return StorageError(f"{place}, {which}: the chunk of {size} bytes{at} {why}")
