"""What must outlive a dataset that is made anew: its names, its attributes, references to it.

A dataset that cannot take another shape is replaced by a new object under its names. Object and
region references elsewhere in the file would go on pointing at the old one, which is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from ..errors import LayoutError
from ..hdf5.links import Place

__all__ = ["copy_attributes", "names_of", "refuse_references"]


def copy_attributes(old: h5py.h5d.DatasetID, new: h5py.h5d.DatasetID) -> None:
    """Copy HDF5 attributes, each in its stored type and shape."""
    for attribute in _attributes(old):
        space = attribute.get_space()
        copy = h5py.h5a.create(new, attribute.name, attribute.get_type(), space)
        if space.get_simple_extent_type() != h5py.h5s.NULL:
            values = np.empty(attribute.shape, attribute.dtype)
            kind = h5py.h5t.py_create(attribute.dtype)
            attribute.read(values, mtype=kind)
            copy.write(values, mtype=kind)


def refuse_references(h5: h5py.File, place: Place, old: h5py.h5d.DatasetID) -> None:
    """Refuse to make a dataset anew that something in its file refers to.

    Raises
    ------
    LayoutError
        Something does, or may do: it holds references of a kind that h5py cannot read.
    """
    address = h5py.h5o.get_info(old).addr
    for name in _object_names(h5):
        one = h5py.h5o.open(h5.id, name)
        holders = [(attribute, "attribute ") for attribute in _attributes(one)]
        if isinstance(one, h5py.h5d.DatasetID) and not _is_virtual(one):
            holders.append((one, ""))
        for holder, what in holders:
            if not holder.get_type().detect_class(h5py.h5t.REFERENCE):
                continue
            at = f"/{name.decode(errors='replace')}".removesuffix("/.")
            if what:
                at = f"{holder.name.decode(errors='replace')} of {at or '/'}"
            try:
                found = any(_address(ref, h5) == address for ref in _references(_values(holder)))
            except (TypeError, ValueError, OSError, RuntimeError) as cause:
                raise LayoutError(
                    f"{place} must be made anew to change its shape, and {what}{at} holds "
                    f"references that cannot be read ({cause}) and may be to it"
                ) from cause
            if found:
                raise LayoutError(
                    f"{place} must be made anew to change its shape, and {what}{at} refers to it "
                    "(a reference or a dimension scale), which would then lead nowhere: delete "
                    "that first, or keep the shape"
                )


def names_of(h5: h5py.File, address: int) -> list[tuple[Any, str]]:
    """Return every (group, name) that is a hard link to the object at `address`."""
    found: list[tuple[Any, str]] = []
    seen: set[int] = set()
    todo: list[Any] = [h5["/"]]
    while todo:
        group = todo.pop()
        for name in group:
            link = group.id.links.get_info(name.encode(errors="surrogateescape"))
            if link.type != h5py.h5l.TYPE_HARD:
                continue
            child = group[name]
            where = h5py.h5o.get_info(child.id).addr
            if where == address:
                found.append((group, name))
            elif isinstance(child, h5py.Group) and where not in seen:
                seen.add(where)
                todo.append(child)
    return found


def _object_names(h5: h5py.File) -> list[bytes]:
    names: list[bytes] = [b"."]
    h5py.h5o.visit(h5.id, names.append)  # append returns None: go on
    return list(dict.fromkeys(names))


def _is_virtual(one: h5py.h5d.DatasetID) -> bool:
    return bool(one.get_create_plist().get_layout() == h5py.h5d.VIRTUAL)


def _attributes(one: Any) -> Iterator[Any]:
    for number in range(h5py.h5a.get_num_attrs(one)):
        yield h5py.h5a.open(one, index=number)


def _values(holder: Any) -> Any:
    if holder.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return ()
    values = np.empty(holder.shape, holder.dtype)
    if isinstance(holder, h5py.h5d.DatasetID):
        holder.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    else:
        holder.read(values, mtype=h5py.h5t.py_create(holder.dtype))
    return values


def _references(values: Any) -> Iterator[Any]:
    """Find references in arrays of them, in fields and in sequences of varying length."""
    if isinstance(values, h5py.Reference | h5py.RegionReference):
        yield values
    elif isinstance(values, np.ndarray | np.void) and values.dtype.names:
        for name in values.dtype.names:
            yield from _references(values[name])
    elif isinstance(values, np.ndarray) and values.dtype.kind == "O":
        for value in values.flat:
            yield from _references(value)


def _address(reference: Any, h5: h5py.File) -> int | None:
    if not reference:
        return None
    try:
        return int(h5py.h5o.get_info(h5py.h5r.dereference(reference, h5.id)).addr)
    except (ValueError, RuntimeError, OSError, KeyError):  # it leads nowhere already
        return None
