"""Saving an attribute: from a user's words to a change that has been checked before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalogue.catalogue import Catalogue, conversion_of
from ..errors import CastError, CXIError, LayoutError, StorageError
from ..protocol.attribute import Attribute
from ..protocol.masks import FLAGS
from ..protocol.protocol import CXIProtocol
from . import cxi_layout, photons, provenance
from .change import Change, Growing, Growth
from .commit.transaction import Transaction
from .dataset import write
from .frame_counts import counts_frames, rows_of_first_file
from .region import region_of
from .request import SaveRequest
from .target import dataset_there, place_of
from .units import in_saved_unit
from .values import ValueEncoder, refuse_flags
from .virtual import VirtualDataset
from .whole_frames import put_back

__all__ = ["complete", "extend", "named", "prepare", "run"]


def prepare(
    catalogue: Catalogue,
    request: SaveRequest,
    made_in: str | None = None,
    is_changed: bool = False,
) -> Change:
    """Check a save and decide how it is done; nothing is touched.

    The catalogue may tell what the file had before a transaction. That `is_changed` where the
    transaction has saved the attribute already; a dataset that it made states the unit `made_in`.
    """
    attr, mode = request.attribute.name, request.mode
    path = photons.saved_path(catalogue, attr)
    catalogue = photons.kept(catalogue, attr)
    wanted = catalogue.protocol.attribute(attr)
    convention = wanted.at(path).convention
    request.check_raw(convention)
    array, new_unit = in_saved_unit(catalogue, wanted, request, made_in)
    if wanted.is_mask and not request.raw:
        refuse_flags(attr, array, convention)
    by_frame = counts_frames(wanted, array)
    if wanted.is_data and array.ndim == 2:
        array = array[None]
    rows = None
    if mode == "insert" and by_frame:
        rows = rows_of_first_file(catalogue, attr, request.idxs, len(array), is_changed)
    if request.raw:
        array = _bits(catalogue, attr, array)
    stored = dataset_there(catalogue, attr)
    return Change(
        attribute=wanted,
        path=path,
        place=place_of(catalogue, attr, path),
        data=array,
        mode=mode,
        rows=rows,
        encoder=ValueEncoder(
            _new_dtype(wanted, array.dtype, convention, request.raw),
            None if request.raw else convention,
            request.casting,
            wanted.flags,
            None if stored is None else conversion_of(wanted, path, stored),
            new_unit,
        ),
        growth=_growth(wanted, by_frame),
        storage=request.storage(array.shape, wanted.kind == "stack"),
        num_threads=request.num_threads,
        region=region_of(catalogue, wanted, array, request),
        others=_paths_of_others(catalogue.protocol, attr),
    )


def run(transaction: Transaction, change: Change, virtual: VirtualDataset | None = None) -> Growing:
    """Do a save that was prepared; of frames that stay where they are, make a virtual dataset."""
    with transaction.writing() as h5, named(change):
        is_ours = cxi_layout.is_made_here(h5)
        if virtual is not None:
            if change.place.path in h5:
                raise LayoutError(f"{change.place} is there already: a virtual dataset is new")
            virtual.write(h5, change.place.filename, change.place.path, transaction.reserve)
            if change.encoder.new_unit:
                h5[change.place.path].attrs["units"] = change.encoder.new_unit
        elif change.region is None:
            write(h5, change, transaction.reserve)
        else:
            put_back(h5, change, change.region, transaction.reserve)
        if is_ours:
            cxi_layout.follow(h5, change)
        call = f"CXIStore.save_attribute({change.attribute.name!r}, ...)"
        provenance.record(h5, change.place.filename, call)
        return Growing.of(change, h5[change.place.path])


def extend(transaction: Transaction, change: Change) -> None:
    """Add frames to a dataset that was saved before; :func:`complete` does what is left of it."""
    with transaction.writing() as h5, named(change):
        write(h5, change, transaction.reserve)


def complete(transaction: Transaction, change: Change) -> None:
    """Let the file tell of all that was added to it."""
    with transaction.writing() as h5, named(change):
        if cxi_layout.is_made_here(h5):
            cxi_layout.follow(h5, change)


@contextmanager
def named(change: Change) -> Iterator[None]:
    """Let errors say which attribute was to be saved, and where."""
    what = f"{change.attribute.name!r} cannot be saved to {change.place}"
    try:
        yield
    except CastError as error:
        raise CastError(f"{what}: {error}", error.offence) from error
    except CXIError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError) as cause:  # HDF5's and h5py's words
        raise StorageError(f"{what}: {cause}") from cause


def _growth(wanted: Attribute, by_frame: bool) -> Growth:
    is_stack = wanted.kind == "stack"
    if by_frame:
        return "frames" if is_stack and not wanted.is_data else "rows"
    return "static" if is_stack else "none"


def _paths_of_others(protocol: CXIProtocol, attr: str) -> frozenset[str]:
    return frozenset(
        path for name in protocol if name != attr for path in protocol.attribute(name).paths
    )


def _bits(catalogue: Catalogue, attr: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the bits of a mask as numbers of the sign that is stored; of new ones, without any."""
    stored = dataset_there(catalogue, attr)
    for dtype in (array.dtype, *([] if stored is None else [stored.dtype])):
        if dtype.kind not in "iu":
            raise LayoutError(
                f"raw= saves the flags of {attr!r}, which are integers; {dtype} does not hold them"
            )
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    is_alike = stored is not None and stored.dtype.itemsize == array.dtype.itemsize
    kind = stored.dtype.kind if stored is not None and is_alike else "u"
    return native.view(f"{kind}{array.dtype.itemsize}")


def _new_dtype(
    wanted: Attribute, dtype: np.dtype[Any], convention: str | None, raw: bool
) -> np.dtype[Any]:
    """Return the type of a new dataset, in native byte order.

    Flags are of 32 bits, as CXI 1.6 and NXmx store them; those that are given with more, of more.
    """
    if raw and not np.can_cast(dtype, np.uint32):
        return dtype.newbyteorder("=")
    if convention in FLAGS:
        return np.dtype(np.uint32)
    if wanted.is_text:
        return np.dtype(object)
    try:
        return wanted.dtype_of(dtype).newbyteorder("=")
    except CastError as error:
        raise CastError(
            f"{wanted.name!r} is of type {wanted.datatype} in the protocol and cannot be saved "
            f"from {dtype}: cast the array first, or use a protocol with another type"
        ) from error
