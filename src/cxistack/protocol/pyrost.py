"""Where each frame of an attribute is, a Python object each: pyrost's way to ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import LayoutError
from .fields import RANKS

__all__ = ["frame_rows"]


def frame_rows(
    attr: str, kind: str, filename: str, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, str, Any]]:
    """Return file, path and index of each frame; the index is ``()`` of a whole dataset."""
    for path, shape in shapes.items():
        ndim, (least, most) = len(shape), RANKS[kind]
        if ndim < least or (most is not None and ndim > most):
            raise LayoutError(
                f"{filename}: {path} has shape {shape}, which cannot be the {kind} that {attr} is"
            )
        whole = kind in ("scalar", "frame") or (kind == "stack" and ndim == 2)
        yield from ((filename, path, index) for index in ([()] if whole else range(shape[0])))
