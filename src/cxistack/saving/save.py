"""Saving an attribute: from a user's words to a change that has been checked before it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catalogue.catalogue import Catalogue, conversion_of
from ..catalogue.frames import FrameSelection
from ..catalogue.modules import is_pattern
from ..errors import (
    AttributeMissingError,
    CastError,
    CXIError,
    LayoutError,
    ReadOnlyStoreError,
    StorageError,
)
from ..hdf5.links import Place
from ..kernels import Casting
from ..protocol.masks import FLAGS
from ..protocol.protocol import CXIProtocol
from ..protocol.units import UnitConversion
from . import cxi_layout, photons, provenance
from .commit.transaction import Transaction
from .compression import Storage
from .dataset import write
from .frame_counts import _length, is_by_frame, refuse_frames_of_others, row_numbers
from .region import Region, Save, put_back, region_of
from .request import Growth, SaveMode, WholeFrames
from .units import in_saved_unit
from .values import Encoder

__all__ = ["Change", "prepare", "run", "said"]


_SAVE_MODES = ("overwrite", "append", "insert")


@dataclass(frozen=True)
class Change:
    """A save that has been checked, and not begun."""

    attr: str
    path: str  # as the protocol writes it
    place: Place
    data: NDArray[Any]
    mode: SaveMode
    rows: NDArray[np.int64] | None
    encoder: Encoder
    growth: Growth
    storage: Storage
    num_threads: int | None
    meaning: cxi_layout.Meaning
    region: Region | None = None


def prepare(
    catalogue: Catalogue,
    mode: str,
    attr: str,
    data: ArrayLike,
    save_mode: SaveMode,
    idxs: FrameSelection,
    casting: Casting,
    compression: str | Mapping[str, Any] | None = None,
    chunks: Sequence[int] | None = None,
    num_threads: int | None = None,
    whole: WholeFrames | None = None,
    *,
    raw: bool = False,
    unit: str | None = None,
    made_in: str | None = None,
    is_changed: bool = False,
) -> Change:
    """Check a save and decide how it is done; nothing is touched.

    The files may be told by the catalogue as they were before: the attribute `is_changed` since,
    and what is new of it was `made_in` a unit.
    """
    if mode == "r":
        raise ReadOnlyStoreError(
            f"{catalogue.files.names[0]} is open in read-only mode: open the store with "
            'mode="r+" or "a" to save'
        )
    if save_mode not in _SAVE_MODES:
        raise ValueError(f"mode must be one of {', '.join(_SAVE_MODES)}, not {save_mode!r}")
    if idxs is not None and save_mode != "insert":
        raise ValueError(
            f'idxs say where frames go with mode="insert"; mode={save_mode!r} looks at none'
        )
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: save .filled() values, and the mask")
    protocol = catalogue.protocol
    if attr not in protocol:
        raise AttributeMissingError(
            f"{attr!r} is not in the protocol, which knows {', '.join(protocol)}"
        )
    path = photons.saved_path(catalogue, attr)
    catalogue = photons.kept(catalogue, attr)
    array, new_unit = in_saved_unit(catalogue, attr, np.asarray(data), unit, made_in)
    if protocol.datatypes[attr] == "bool" and array.dtype.kind in "fc" and np.isnan(array).any():
        raise CastError(f"{attr!r} has NaN, which is neither True nor False: say which it is")
    by_frame = is_by_frame(protocol, attr, array)
    if attr == "data" and array.ndim == 2 and by_frame:
        array = array[None]
    rows = None
    if save_mode == "insert" and by_frame:
        rows = row_numbers(idxs, len(array), None if is_changed else _length(catalogue, attr))
        refuse_frames_of_others(catalogue, attr, idxs, rows)
    convention = protocol.get_convention(attr, path)
    if raw:
        array = _flags(catalogue, attr, array, convention)
    return Change(
        attr=attr,
        path=path,
        place=_resolved(catalogue, attr, path),
        data=array,
        mode=save_mode,
        rows=rows,
        encoder=Encoder(
            _new_flags(array.dtype) if raw else _new_dtype(protocol, attr, array, convention),
            None if raw else convention,
            casting,
            protocol.flags.get(attr),
            conversion=_conversion(catalogue, attr),
            new_unit=new_unit,
        ),
        growth=_growth(protocol, attr, by_frame),
        storage=Storage.of(compression, chunks, array.shape, protocol.get_kind(attr) == "stack"),
        num_threads=num_threads,
        meaning=cxi_layout.Meaning(
            attr,
            by_frame,
            convention,
            {
                other
                for name, paths in protocol.load_paths.items()
                if name != attr
                for other in paths
            },
        ),
        region=None if whole is None else region_of(catalogue, attr, array, whole, save_mode),
    )


def said(change: Change) -> photons.Said:
    """Return what a save says of its attribute."""
    return photons.Said.of(change.path, change.data)


def run(transaction: Transaction, change: Change) -> None:
    """Do a save that was prepared."""
    with transaction.writing() as h5:
        _write(h5, change, transaction.reserve)


def _write(h5: Any, change: Change, reserve: Callable[[int], None]) -> None:
    def save(data: NDArray[Any], mode: SaveMode, rows: NDArray[np.int64] | None) -> None:
        write(
            h5,
            change.place,
            data,
            mode,
            rows,
            change.encoder,
            growth=change.growth,
            storage=change.storage,
            num_threads=change.num_threads,
            reserve=reserve,
        )

    is_ours = cxi_layout.is_made_here(h5)
    try:
        if change.region is None:
            save(change.data, change.mode, change.rows)
        else:
            _put_back(h5, change, change.region, save, reserve)
        if is_ours:
            cxi_layout.follow(h5, change.place.path, change.meaning)
        provenance.record(
            h5, change.place.filename, f"CXIStore.save_attribute({change.attr!r}, ...)"
        )
    except CastError as error:
        raise CastError(
            f"{change.attr!r} cannot be saved to {change.place}: {error}", error.offence
        ) from error
    except CXIError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError) as cause:  # HDF5's and h5py's words
        raise StorageError(f"{change.attr!r} cannot be saved to {change.place}: {cause}") from cause


def _put_back(
    h5: Any,
    change: Change,
    region: Region,
    whole: Callable[[NDArray[Any], SaveMode, NDArray[np.int64] | None], None],
    reserve: Callable[[int], None],
) -> None:
    put_back(
        h5,
        Save(
            change.place,
            change.data,
            change.mode,
            change.rows,
            change.encoder,
            region,
            change.storage,
            whole,
            reserve,
        ),
        change.growth,
    )


def _growth(protocol: CXIProtocol, attr: str, by_frame: bool) -> Growth:
    is_stack = protocol.get_kind(attr) == "stack"
    if by_frame:
        return "frames" if is_stack and attr != "data" else "rows"
    return "static" if is_stack else "none"


def _resolved(catalogue: Catalogue, attr: str, path: str) -> Place:
    """Return where the object lies that the path leads to; refuse one in another file."""
    if is_pattern(path):
        raise LayoutError(
            f"{attr!r} lies in a dataset for each module, {path}: a save needs one. Give the "
            "protocol of what is saved a single path"
        )
    found = catalogue.found(attr).get(0)
    if found is None:
        return Place(catalogue.files.paths[0], path, (), True)
    if found.error is not None and not found.datasets:
        raise found.error
    if len(found.datasets) != 1:
        raise LayoutError(
            f"{catalogue.files.names[0]}:{path} is a group of {len(found.datasets)} datasets; a "
            "save needs one"
        )
    place = found.datasets[0].place
    if place.filename != catalogue.files.paths[0]:
        raise LayoutError(
            f"{attr!r} of {catalogue.files.names[0]} lies in another file, {place} "
            f"({'; '.join(place.hops)}); open that file to change it"
        )
    return place


def _conversion(catalogue: Catalogue, attr: str) -> UnitConversion | None:
    """Return how what is there comes in the attribute's unit: it keeps its own when overwritten."""
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets:
        return None
    return conversion_of(catalogue.protocol.attribute(attr), found.path, found.datasets[0])


def _flags(
    catalogue: Catalogue, attr: str, array: NDArray[Any], convention: str | None
) -> NDArray[Any]:
    """Return the bits of a mask as numbers of the sign that is stored; of new ones, without any."""
    if convention not in FLAGS:
        raise ValueError(
            f"raw= saves the flags of a mask that is a bit field; {attr!r} is none where it goes"
        )
    found = catalogue.found(attr).get(0)
    stored = [] if found is None else [one.dtype for one in found.datasets]
    for dtype in (array.dtype, *stored):
        if dtype.kind not in "iu":
            raise LayoutError(f"flags of {attr!r} are integers, which {dtype} does not hold")
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    is_alike = bool(stored) and stored[0].itemsize == array.dtype.itemsize
    return native.view(f"{stored[0].kind if is_alike else 'u'}{array.dtype.itemsize}")


def _new_flags(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a new dataset of flags: 32 bits, unless these are others."""
    return np.dtype(np.uint32) if np.can_cast(dtype, np.uint32) else dtype.newbyteorder("=")


def _new_dtype(
    protocol: CXIProtocol, attr: str, array: NDArray[Any], convention: str | None
) -> np.dtype[Any]:
    if convention in FLAGS:
        return np.dtype(np.uint32)  # CXI 1.6 and NXmx store masks as 32-bit flags
    if protocol.datatypes[attr] == "str":
        return np.dtype(object)
    try:
        return protocol.get_dtype(attr, array.dtype).newbyteorder("=")
    except CastError as error:
        raise CastError(
            f"{attr!r} is of type {protocol.datatypes[attr]} in the protocol and cannot be saved "
            f"from {array.dtype}: cast the array first, or use a protocol with another type"
        ) from error
