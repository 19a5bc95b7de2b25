"""What lies at a path of an open file: pyrost's way to ask, for those who hold h5py objects.

The store does not use it: it names files and borrows them (see locate.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py

from ..errors import LayoutError, LinkError
from .names import natural_key

__all__ = ["dataset_shapes", "has_path"]


def has_path(h5file: h5py.Group, path: str) -> bool:
    """Tell whether a file has `path`; a link on the way that leads nowhere counts as there."""
    return path in h5file or _is_cut(h5file, path)


def dataset_shapes(path: str, h5file: h5py.Group) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the datasets at `path`; see :meth:`CXIProtocol.read_dataset_shapes`."""
    if not path or not has_path(h5file, path):
        return {}
    found = _follow(h5file, path)
    if isinstance(found, h5py.Dataset):
        return {path: _shape(found)}
    if not isinstance(found, h5py.Group):
        raise LayoutError(f"{h5file.file.filename}: {path} is neither a dataset nor a group")
    children: dict[h5py.Dataset, str] = {}
    for name in sorted(found, key=natural_key):
        place = f"{path.rstrip('/')}/{name}"
        child = _follow(h5file, place)
        if isinstance(child, h5py.Dataset):
            children.setdefault(child, place)
    for child, place in children.items():
        if _is_virtual_over(child, children):
            return {place: _shape(child)}
    return {place: _shape(child) for child, place in children.items()}


def _is_cut(h5file: h5py.Group, path: str) -> bool:
    """Tell whether a link on the way to `path` leads nowhere."""
    start = "/" if path.startswith("/") else ""
    parts = path.strip("/").split("/")
    for number in range(1, len(parts)):
        group = start + "/".join(parts[:number])
        if group not in h5file:
            return False
        if not isinstance(h5file.get(group, getlink=True), h5py.HardLink):
            try:
                h5file[group]
            except (KeyError, OSError):
                return True
    return False


def _follow(h5file: h5py.Group, path: str) -> Any:
    try:
        return h5file[path]
    except (KeyError, OSError) as error:
        reason = error.args[0] if error.args else error
        raise LinkError(f"{h5file.file.filename}: {path} leads nowhere: {reason}") from error


def _shape(dataset: h5py.Dataset) -> tuple[int, ...]:
    if dataset.shape is None:
        raise LayoutError(f"{dataset.file.filename}: {dataset.name} is a dataset without values")
    return tuple(dataset.shape)


def _is_virtual_over(dataset: h5py.Dataset, others: Iterable[h5py.Dataset]) -> bool:
    if not dataset.is_virtual:
        return False
    here = Path(dataset.file.filename)
    sources = {
        (here.parent / source.file_name if source.file_name != "." else here, source.dset_name)
        for source in dataset.virtual_sources()
    }
    sources = {(file.resolve(), f"/{name.lstrip('/')}") for file, name in sources}
    return any((Path(other.file.filename).resolve(), other.name) in sources for other in others)
