"""Datasets that a user has open: which file and path each is, and what only h5py can tell of it."""

from __future__ import annotations

import os
from typing import Any

import h5py

from .files import Files
from .filters import register_filters

__all__ = ["is_open", "is_same", "named"]


def named(dataset: Any) -> tuple[str, str] | str:
    """Return the file and the path of an open dataset; or why it has none that can be opened.

    Raises
    ------
    TypeError
        It is no :class:`h5py.Dataset`.
    ValueError
        It is closed.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise TypeError(
            f"an open h5py.Dataset is read, not {type(dataset).__name__} {dataset!r:.80}; files "
            "are read by CXIStore"
        )
    if not is_open(dataset):
        raise ValueError("the dataset is closed: open its file again")
    register_filters()
    if dataset.file.driver != "sec2":
        return f"its file is read by the driver {dataset.file.driver!r}"
    if dataset.name is None:
        return "it has no name in its file"
    return os.path.abspath(dataset.file.filename), str(dataset.name)  # noqa: PTH100 (keeps links)


def is_open(dataset: Any) -> bool:
    """Tell whether a dataset is open."""
    return bool(dataset.id.valid)


def is_same(files: Files, filename: str, path: str, dataset: Any) -> bool:
    """Tell whether the dataset at a path of a file is the one that a user has open.

    The file may have been replaced since he opened it.
    """
    with files.reading(filename) as h5:
        ours = h5py.h5o.get_info(h5py.h5d.open(h5.id, os.fsencode(path)))
    theirs = h5py.h5o.get_info(dataset.id)
    return bool((ours.fileno, ours.addr) == (theirs.fileno, theirs.addr))
