"""Saving an attribute: from a user's words to a change that has been checked before it is done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import quantities
from .catalogue import Catalogue
from .errors import (
    AttributeMissingError,
    CastError,
    CXIError,
    FrameIndexError,
    LayoutError,
    ReadOnlyStoreError,
    StorageError,
)
from .hdf5.files import Files
from .hdf5.links import Place
from .hdf5.modules import is_pattern
from .masks import FLAGS
from .protocol import CXIProtocol
from .protocol_fields import RANKS
from .read.frames import FrameSelection
from .read.recipe import Casting
from .regions import WholeFrames, region_of
from .saved_units import in_saved_unit
from .units import Conversion
from .write import provenance, skeleton
from .write.compression import Storage
from .write.encode import Encoder
from .write.lock import Locking, refuse_if_written
from .write.region import Region, Save, put_back
from .write.transaction import Transaction
from .write.writer import Growth, SaveMode, write

__all__ = [
    "Change",
    "check_mode",
    "check_readable",
    "is_by_frame",
    "prepare",
    "row_numbers",
    "run",
    "said",
]

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
    meaning: skeleton.Meaning
    region: Region | None = None


def check_mode(files: Files, mode: str, locking: Locking = True) -> bool:
    """Hold a store's mode against its files; tell whether the first is to come by a commit.

    Raises
    ------
    FileNotFoundError, FileExistsError
        A file is not there, or is there, against the mode.
    ValueError
        A file would be replaced and others are named with it.
    """
    if mode in ("w", "w-", "x") and len(files.names) > 1:
        raise ValueError(
            f"mode {mode!r} makes one new file, and {len(files.names)} are named; open the others "
            "in a store of their own"
        )
    first, *others = files.paths
    exists = Path(first).exists()
    for path in [first, *others] if mode in ("r", "r+") else others:
        if not Path(path).exists():
            why = os.strerror(errno.ENOENT)
            if os.path.islink(path):  # noqa: PTH114
                why = f"a symbolic link to {Path(path).readlink()}, which is not there"
            raise FileNotFoundError(errno.ENOENT, why, path)
    if mode in ("w-", "x") and exists:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), first)
    if mode in ("w", "w-", "x", "a") and not Path(first).parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "the folder of the new file does not exist", str(Path(first).parent)
        )
    if mode == "a" and not exists:
        # Somebody else may be quicker to create it.
        with (
            suppress(FileExistsError),
            Transaction(first, fresh=True, new=True, locking=locking) as transaction,
        ):
            transaction.begin()
    return mode in ("w", "w-", "x")


def check_readable(catalogue: Catalogue) -> None:
    """Raise what keeps the file from being looked into: it may have what seems not to be there."""
    try:
        catalogue.opened(0)
    except OSError:
        refuse_if_written(catalogue.files.paths[0])
        raise


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
    path = quantities.saved_path(catalogue, attr)
    catalogue = quantities.kept(catalogue, attr)
    array, new_unit = in_saved_unit(catalogue, attr, np.asarray(data), unit, made_in)
    if protocol.datatypes[attr] == "bool" and array.dtype.kind in "fc" and np.isnan(array).any():
        raise CastError(f"{attr!r} has NaN, which is neither True nor False: say which it is")
    by_frame = is_by_frame(protocol, attr, array)
    if attr == "data" and array.ndim == 2 and by_frame:
        array = array[None]
    rows = None
    if save_mode == "insert" and by_frame:
        rows = row_numbers(idxs, len(array), None if is_changed else _length(catalogue, attr))
        _refuse_frames_of_others(catalogue, attr, idxs, rows)
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
        meaning=skeleton.Meaning(
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


def said(change: Change) -> quantities.Said:
    """Return what a save says of its attribute."""
    return quantities.Said.of(change.path, change.data)


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

    is_ours = skeleton.is_made_here(h5)
    try:
        if change.region is None:
            save(change.data, change.mode, change.rows)
        else:
            _put_back(h5, change, change.region, save, reserve)
        if is_ours:
            skeleton.follow(h5, change.place.path, change.meaning)
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


def is_by_frame(protocol: CXIProtocol, attr: str, array: NDArray[Any]) -> bool:
    """Check the rank of what is saved, and tell whether its first axis counts frames."""
    kind = protocol.get_kind(attr)
    low, high = RANKS[kind]
    if array.ndim < low or (high is not None and array.ndim > high):
        raise LayoutError(f"{attr!r} is a {kind}; an array of shape {array.shape} is none")
    if attr == "good_frames" or (attr == "basis_vectors" and array.ndim == 2):
        return False
    if kind == "stack" and attr != "data":
        return array.ndim > 2
    return kind in ("stack", "sequence")


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


def _conversion(catalogue: Catalogue, attr: str) -> Conversion | None:
    """Return how what is there comes in the attribute's unit: it keeps its own when overwritten."""
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets:
        return None
    return catalogue.conversion(attr, found.path, found.datasets[0])


def _refuse_frames_of_others(
    catalogue: Catalogue, attr: str, idxs: FrameSelection, rows: NDArray[np.int64]
) -> None:
    """Refuse idxs that mean one frame where the run is loaded, and another in its first file."""
    found, there = catalogue.found(attr), _length(catalogue, attr)
    if len(found) < 2 or 0 not in found:
        return
    counts_from_end = isinstance(idxs, slice) or (np.asarray(idxs) < 0).any()
    if counts_from_end or (rows >= there).any():
        raise FrameIndexError(
            f"saves go to {catalogue.files.names[0]}, which has the first {there} frames of "
            f"{attr!r}, and idxs ({idxs!r}) may mean others of the run: number frames of that file "
            "from the start, or open a store of the file that is meant alone"
        )


def _length(catalogue: Catalogue, attr: str) -> int:
    found = catalogue.found(attr).get(0)
    if found is None or not found.datasets or not found.datasets[0].shape:
        return 0
    return found.datasets[0].shape[0]


def row_numbers(idxs: FrameSelection, count: int, length: int | None) -> NDArray[np.int64]:
    """Return where the frames of an insertion go; numbers past the end make it longer.

    Where it is not known how many frames there are (`length` is None), none can count from the end.
    """
    if idxs is None:
        raise FrameIndexError('mode="insert" needs idxs: where each frame of the data goes')
    if length is None and (isinstance(idxs, slice) or (np.asarray(idxs) < 0).any()):
        raise FrameIndexError(
            "this transaction has changed how many frames there are: idxs that count from the end "
            f"({idxs!r}) are not clear; number the frames from the start"
        )
    if isinstance(idxs, slice):
        assert length is not None
        array = np.arange(*idxs.indices(max(length, idxs.stop or 0)))
    else:
        array = np.atleast_1d(np.asarray(idxs))
    if array.dtype == np.bool_:
        if len(array) < (length or 0):
            raise FrameIndexError(
                f"idxs are a boolean mask of {len(array)} frames, and {length} are there"
            )
        array = np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise FrameIndexError(f"idxs must be a list of frame numbers, not {idxs!r}")
    if len(array) != count:
        raise FrameIndexError(f"{len(array)} idxs are given for {count} frames")
    rows = array.astype(np.int64)
    rows[rows < 0] += length or 0
    if (rows < 0).any():
        raise FrameIndexError(f"frame {array[rows < 0][0]} is out of bounds: {length} are there")
    if len(np.unique(rows)) != len(rows):
        raise FrameIndexError("idxs name a frame twice, and only one could be kept")
    return rows


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
