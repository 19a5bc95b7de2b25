"""Converting a run: every attribute of a store into one new file, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..checking.agreement import disagreements
from ..errors import AttributeMissingError, LayoutError
from ..hdf5.stored import describe
from ..kernels import Casting
from ..progress import progress_bar
from ..protocol.protocol import CXIProtocol
from ..saving import photons
from ..store.store import CXIStore
from ..transforms.base import Transform
from .carrier import LEAVE_OUT, Carrier, HowData

__all__ = ["Conversion", "convert"]


_NEVER_BY_FRAME = ("corner_position",)  # three coordinates, also of three frames


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes
    ----------
    frames : int
        How many frames of `data` were written.
    written : tuple of str
        The attributes that are in the new file.
    changed : mapping of str to str
        Those whose values are not what the run's protocol gives, as they go with the frames' new
        pixels or with the new file's units, and how.
    left_out : mapping of str to str
        Those that the run has and the new file does not, and why.
    whole : mapping of str to str
        Those that are written whole although their frames do not go with those of `data`, and why.
    """

    frames: int
    written: tuple[str, ...]
    changed: Mapping[str, str]
    left_out: Mapping[str, str]
    whole: Mapping[str, str] = field(default_factory=dict)


def convert(
    source: CXIStore,
    target: CXIStore,
    attributes: Iterable[str] | None = None,
    idxs: FrameSelection = None,
    *,
    transform: Transform | None = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "checked",
    sources: Mapping[str, int | str] | None = None,
    by_frame: Iterable[str] = (),
    compression: str | Mapping[str, Any] | None = None,
    chunks: Sequence[int] | None = None,
    num_threads: int | None = None,
    verbose: bool = True,
) -> Conversion:
    """Write the attributes of a run to another store's file, all in one commit.

    Frames go batch by batch; the next batch is read while one is encoded and written. Beside a
    single image or two, memory holds two batches of 96 MiB, or of a frame for each thread where
    that is larger. A mask's bits are kept where they mean the same in the new file.

    Parameters
    ----------
    source, target : CXIStore
        The run, and where it goes (a store open for writing).
    attributes : iterable of str, optional
        What is written; when None, all that the run has and the target's protocol knows.
    idxs : None, int, slice, sequence or array of int, or boolean mask
        Which frames, as in :meth:`CXIStore.load_attribute`.
    transform : Transform, optional
        What is done to frames and stacks. Pixel sizes become those of the new pixels.
    dtype : dtype, optional
        Type of `data`; other attributes keep theirs.
    casting : {"checked", "unsafe"}
        Whether a value of `data` that does not fit `dtype` is refused.
    sources : mapping of str to int or str, optional
        Of scalars and frames that the files have different values of: the file (number or name)
        whose value is written.
    by_frame : iterable of str, optional
        Scalars of the protocol that are arrays of a value for each frame of their file: they are
        joined, and go with the frames.
    compression, chunks, num_threads
        Of stacks; as in :meth:`CXIStore.save_attribute`.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Conversion
        What was written, what was changed with the pixels, what was left out, and why.

    Raises
    ------
    CXIError
        An attribute cannot be read or written; the target is then what it was.
    LayoutError
        Files have different values of what has place for one, or the frames of an attribute do not
        go with those of `data` where frames are chosen; says what to do.
    ValueError
        The protocols do not go together, or arguments do not.

    Examples
    --------
    >>> run = CXIStore(example_run)
    >>> done = convert(run, CXIStore("new.cxi", "w"), transform=Crop([0, 4, 0, 4]), verbose=False)
    >>> done.frames, CXIStore("new.cxi")["data"].shape
    (6, (6, 4, 4))
    """
    names = _names(source, target, attributes)
    rows, chosen = _listed(by_frame, names, "by_frame="), dict(sources or {})
    _listed(chosen, names, "sources=")
    run = _as_written(source, target, names, rows)
    frames: NDArray[np.int64] | None = None
    if "data" in run.found:  # looked for with all others: each file is opened once
        frames = frame_numbers(idxs, run.frame_count, "data")
    elif idxs is not None:
        raise ValueError("idxs number the frames of data, and the run has none")
    carrier = Carrier(
        run,
        target,
        frames,
        idxs is not None,
        "data" in names,
        transform,
        HowData(dtype, casting),
        compression,
        chunks,
        num_threads,
        chosen,
        tuple(attr for attr in run.protocol.units if attr not in source.protocol.units),
    )
    for attr in names:
        carrier.check(attr)
    _check_single(run, [attr for attr in names if attr not in chosen], transform, idxs is not None)
    _check_photons(carrier, names)
    total = sum(carrier.count(attr) for attr in names)
    bar = progress_bar(total, "Converting") if verbose else nullcontext()
    with target.transaction(), bar as shown, ThreadPoolExecutor(1) as reader:
        for attr in names:
            for count in carrier.carry(attr, reader):
                if shown is not None:
                    shown.update(count)
    written = tuple(name for name in names if name not in carrier.left_out)
    left_out = carrier.left_out | _unknown(source, target)
    whole = {attr: why for attr, why in carrier.whole.items() if attr in written}
    count = 0 if frames is None else len(frames)
    return Conversion(count, written, carrier.changed, left_out, whole)


def _names(source: CXIStore, target: CXIStore, attributes: Iterable[str] | None) -> list[str]:
    """Return what is to be written, each of which the run has and the target has a place for."""
    if attributes is None:
        names = [attr for attr in source.found if attr in target.protocol]
    else:
        names = [attributes] if isinstance(attributes, str) else list(dict.fromkeys(attributes))
    if not source.found:
        raise AttributeMissingError(
            f"nothing to convert: {source.filenames()[0]} has none of the attributes of the run's "
            "protocol where it looks for them; read it by another protocol"
        )
    if not names:
        raise AttributeMissingError(
            f"none of the run's attributes ({', '.join(source.found)}) has a place in the target's "
            "protocol, or none is named"
        )
    for attr in names:
        if attr not in source:
            source.describe(attr)  # raises, and says where it was looked for
        if attr not in target.protocol:
            raise ValueError(f"the target's protocol has no place for {attr!r}")
        _check_protocols(attr, source.protocol, target.protocol)
    places: dict[str, str] = {}
    for attr in names:
        path = photons.saved_path(target._catalogue, attr)
        other = places.setdefault(path, attr)
        if other != attr:
            raise ValueError(
                f"the target's protocol puts both {other!r} and {attr!r} at {path}: give one of "
                "them another first path"
            )
    return names


def _check_protocols(attr: str, run: CXIProtocol, target: CXIProtocol) -> None:
    """Raise where an attribute is not of one kind in both, nor truth or text in both."""
    kinds = run.get_kind(attr), target.get_kind(attr)
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"{attr!r} is a {kinds[0]} by the run's protocol and a {kinds[1]} by the target's: "
            "give both the same kind"
        )
    types = run.datatypes[attr], target.datatypes[attr]
    if types[0] != types[1] and not {"bool", "str"}.isdisjoint(types):
        raise ValueError(
            f"{attr!r} is of type {types[0]} by the run's protocol and of {types[1]} by the "
            "target's: give both the same type"
        )


def _listed(given: Iterable[str], names: Collection[str], option: str) -> tuple[str, ...]:
    listed = (given,) if isinstance(given, str) else tuple(given)
    for attr in listed:
        if attr not in names:
            raise ValueError(f"{option} names {attr!r}, which is not converted")
    return listed


def _as_written(
    source: CXIStore, target: CXIStore, names: Sequence[str], rows: Collection[str]
) -> CXIStore:
    """Return the run with its values in the units in which they are written, row by row if so said.

    The units are the target's; CXI's own where it says none; else that of the first file.
    """
    known, protocol = CXIProtocol.import_named("cxi"), source.protocol
    units = dict(protocol.units)
    for attr in names:
        paths = protocol.load_paths[attr]
        if protocol.datatypes[attr] in ("bool", "str"):
            continue
        unit = target.protocol.get_unit(attr) or known.get_unit(attr)
        if unit is None and attr not in units:
            unit = _stated_unit(source, attr)
        if unit is not None and units.setdefault(attr, (unit,) * len(paths))[0] != unit:
            raise ValueError(
                f"{attr!r} comes in {units[attr][0]!r} by the run's protocol, and is written in "
                f"{unit!r}: give both the same unit"
            )
    for attr in rows:
        if protocol.get_kind(attr) != "scalar":
            raise ValueError(
                f"by_frame= is of scalars; {attr!r} is a {protocol.get_kind(attr)} in the protocol"
            )
    kinds = {**protocol.kinds, **dict.fromkeys(rows, "sequence")}
    if (units, kinds) == (protocol.units, protocol.kinds):
        return source
    protocol = protocol.replace(units=units, kinds=kinds)
    return CXIStore(source.paths(), protocol=protocol, links=source.links)


def _stated_unit(source: CXIStore, attr: str) -> str | None:
    """Return the unit that the first file's dataset of an attribute states."""
    found = source._catalogue.usable(attr)
    stored = found[min(found)].datasets[0]
    if stored.storage == "modules":  # in no file
        return None
    return describe(source._catalogue.files, stored.place, True).units


def _check_single(
    run: CXIStore, names: Sequence[str], transform: Transform | None, is_chosen: bool
) -> None:
    """Raise where files have different values of what there is one of, or perhaps one a frame."""
    catalogue = run._catalogue
    single = [attr for attr in names if catalogue.found(attr) and not run.is_indexed(attr)]
    places = {attr: catalogue.found(attr) for attr in single}
    unclear = [
        attr
        for attr in single
        if (is_chosen or len(places[attr]) > 1) and _may_be_by_frame(run, attr)
    ]
    if unclear:
        attr = unclear[0]
        first = min(places[attr])
        shape, name = places[attr][first].datasets[0].shape, run.filenames()[first]
        more = f" (and so have {', '.join(map(repr, unclear[1:]))})" if unclear[1:] else ""
        raise LayoutError(
            f"{attr!r} has shape {shape} in {name}, which has {shape[0]} frames{more}. If there is "
            "a value for each frame, say so (by_frame=, --by-frame); if not, say which file's is "
            f"written (sources=, --source); or {LEAVE_OUT}"
        )
    differ = disagreements(catalogue, single, transform)
    if differ:
        told = "; ".join(one.told(run.filenames()) for one in differ)
        raise LayoutError(
            f"there is place for one value in the new file, and {told}. Say which file's is "
            f"written (sources=, --source), or {LEAVE_OUT}"
        )


def _check_photons(carrier: Carrier, names: Sequence[str]) -> None:
    """Raise where the run's energy and wavelength contradict each other, before frames are read."""
    target = carrier.target
    said = {
        attr: photons.Said.of(
            photons.saved_path(target._catalogue, attr), np.asarray(carrier.value(attr))
        )
        for attr in names
        if photons.has_other(target.protocol, attr)
    }
    photons.refuse_contradictions(target._catalogue, said, carrier.source.filenames()[0])


def _may_be_by_frame(run: CXIStore, attr: str) -> bool:
    """Tell whether a scalar has as many values in each file as that has frames."""
    if run.protocol.get_kind(attr) != "scalar" or attr in _NEVER_BY_FRAME or not run.frame_count:
        return False
    frames: dict[int, int] = {}
    for part in run._catalogue.index("data").parts:
        frames[part.file] = frames.get(part.file, 0) + part.count
    shapes = {n: one.datasets[0].shape for n, one in run._catalogue.usable(attr).items()}
    return all(shape and frames.get(n) == shape[0] > 1 for n, shape in shapes.items())


def _unknown(source: CXIStore, target: CXIStore) -> dict[str, str]:
    why = "the new file's protocol has no place for it"
    return {attr: why for attr in source.found if attr not in target.protocol}
