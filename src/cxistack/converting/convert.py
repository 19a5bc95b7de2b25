"""Converting a run: every attribute of a store into one new file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..checking.agreement import disagreements
from ..errors import LayoutError
from ..kernels import Casting
from ..loading.load import Load
from ..progress import progress_bar
from ..protocol.attribute import Attribute
from ..protocol.protocol import CXIProtocol, cxi_unit
from ..saving import photons
from ..saving.units import stated_unit
from ..store.store import CXIStore
from ..transforms.transforms import TransformLike, transform_of
from .apart import written_apart
from .carrier import Carrier
from .request import LEAVE_OUT, ConvertRequest, listed, names_of

__all__ = ["Conversion", "convert"]


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
        Those whose values are not those that the run's protocol gives, and how they differ: they
        go with the new pixels, or have the units of the new file.
    left_out : mapping of str to str
        Those that the run has and the new file does not, and why.
    whole : mapping of str to str
        Those that are written whole because their frames do not go with those of `data`, and why.
    virtual : tuple of str
        Those whose frames are in other files: in the run's, or in `parts`.
    parts : tuple of str
        The files that the workers of a cluster wrote.
    """

    frames: int
    written: tuple[str, ...]
    changed: Mapping[str, str]
    left_out: Mapping[str, str]
    whole: Mapping[str, str] = field(default_factory=dict)
    virtual: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def convert(
    source: CXIStore,
    target: CXIStore,
    attributes: Iterable[str] | None = None,
    idxs: FrameSelection = None,
    *,
    transform: TransformLike = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "checked",
    sources: Mapping[str, int | str] | None = None,
    by_frame: Iterable[str] = (),
    compression: str | Mapping[str, Any] | None = None,
    chunks: Sequence[int] | None = None,
    num_threads: int | None = None,
    virtual: bool = False,
    client: Any = None,
    verbose: bool = True,
) -> Conversion:
    """Write the attributes of a run to another store's file, all in one commit.

    Frames go batch by batch; the next batch is read while one is encoded and written. Memory holds
    two batches, each of 96 MiB, or of a frame for each thread where that is larger; single images
    are held whole. A mask's bits are copied where they mean the same in the new file.

    Parameters
    ----------
    source, target : CXIStore
        The run, and where it goes (a store open for writing).
    attributes : iterable of str, optional
        What is written; all that the run has and the target's protocol knows when None.
    idxs : None, int, slice, sequence or array of int, or boolean mask
        Which frames, as in :meth:`CXIStore.load_attribute`.
    transform : Transform or list of them, optional
        What is done to frames and stacks. Pixel sizes become those of the new pixels.
    dtype : dtype, optional
        Type of `data`; other attributes keep theirs.
    casting : {"checked", "unsafe"}
        Whether a value of `data` that does not fit `dtype` is refused.
    sources : mapping of str to int or str, optional
        The file (number or name) whose value is written, of scalars and frames that differ from
        file to file.
    by_frame : iterable of str, optional
        Scalars of the protocol that have a value for each frame of their file: the files' values
        are joined, and go with the frames.
    compression, chunks, num_threads
        How stacks are stored; as in :meth:`CXIStore.save_attribute`.
    virtual : bool
        Leave the frames of `data` in the run's files, and make a virtual dataset over them: a small
        file by which any program opens the run as one. Frames may be chosen, and cropped or
        strided; what changes their values is refused. A mask of a frame each is virtual, too, where
        its bits are copied; all else is copied. See the notes.
    client : dask.distributed.Client, optional
        Let the workers of a Dask cluster write the frames, which reach the run's and the new files
        by the same paths: a file for each share of them, of 32 GiB at most and of whole chunks, in
        a folder beside the target's file (``run_parts`` of ``run.cxi``; ``run_parts_2`` where that
        is there). The target's is virtual over them, and has all else. `num_threads` are those of a
        task, 1 when None. When a worker dies, its file is written again; after an error all are
        removed.
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
        Files have different values where the new file has one, or an attribute does not go with the
        frames of `data`, or nothing is left of them by `idxs` or `transform`; says what to do.
    ValueError
        The protocols do not go together, or the arguments do not.

    Notes
    -----
    A virtual file names its sources by the way from its own folder, so that it can be moved
    together with the run (by their whole paths where the two have no folder in common). When it is
    moved alone, or a source is: a store raises LinkError, which names the file that is missing.
    HDF5 itself, and so h5py and other programs, give NaN or the largest integer for its frames,
    without a word. Frames that come to the files later are not in it. HDF5 keeps every source open
    that it has read from: for a run of thousands of files other programs may need a higher limit
    (``ulimit -n``).

    Examples
    --------
    >>> run = CXIStore(example_run)
    >>> done = convert(run, CXIStore("new.cxi", "w"), transform=Crop([0, 4, 0, 4]), verbose=False)
    >>> done.frames, CXIStore("new.cxi")["data"].shape
    (6, (6, 4, 4))
    >>> convert(run, CXIStore("all.cxi", "w"), virtual=True, verbose=False).virtual
    ('data',)
    """
    if virtual and client is not None:
        raise ValueError(
            "virtual= leaves frames where they are, client= has workers write them: say one of both"
        )
    names = names_of(source, target, attributes)
    given, rows = dict(sources or {}), listed(by_frame)
    storage = compression, chunks, num_threads
    chosen = transform_of(transform)
    request = ConvertRequest(names, idxs, chosen, dtype, casting, given, rows, *storage, virtual)
    run = _as_written(source, target, request)
    new_units = run.protocol.units.keys() - source.protocol.units.keys()
    carrier = Carrier(request, run, target, _frames(run, idxs), new_units)
    wanted = [run.protocol.attribute(attr) for attr in names]
    for attribute in wanted:
        carrier.refuse_empty(attribute)
        carrier.check(attribute)
    _refuse_different_values(carrier)
    _refuse_contradictions(carrier)
    parts: tuple[str, ...] = ()
    if client is None:
        _carry(carrier, wanted, verbose)
    else:
        part = partial(_Part.of, source, target.protocol, request)
        with written_apart(client, carrier, wanted, part, verbose) as files:
            _carry(carrier, wanted, verbose)
        parts = tuple(files)
    written = tuple(attr for attr in names if attr not in carrier.left_out)
    why = "the new file's protocol has no place for it"
    unknown = {attr: why for attr in source.found if attr not in target.protocol}
    return Conversion(
        frames=0 if carrier.frames is None else len(carrier.frames),
        written=written,
        changed=carrier.changed,
        left_out=carrier.left_out | unknown,
        whole={attr: why for attr, why in carrier.whole.items() if attr in written},
        virtual=tuple(attr for attr in written if attr in carrier.virtual),
        parts=parts,
    )


@dataclass(frozen=True)
class _Part:
    """What workers write a share of.

    Attributes
    ----------
    run : CXIStore
        The run, as the user gave it.
    data : Load
        Where its frames lay when the work began: their numbers must mean the same everywhere.
    protocol : CXIProtocol
        That of the new files.
    request : ConvertRequest
        What is written of each frame, and how.
    """

    run: CXIStore
    data: Load
    protocol: CXIProtocol
    request: ConvertRequest

    @classmethod
    def of(
        cls, run: CXIStore, protocol: CXIProtocol, request: ConvertRequest, names: Sequence[str]
    ) -> _Part:
        """Return what writes some of the attributes."""
        return cls(run, run._prepare("data"), protocol, request.of(names))

    def write(self, numbers: NDArray[np.int64], path: str) -> None:
        """Write some frames to a new file; one that is there is of an attempt before this."""
        one = self.request
        self.data.refuse_moved(self.run._prepare("data"))
        convert(
            self.run,
            CXIStore(path, "w", self.protocol),
            one.attributes,
            numbers,
            transform=one.transform,
            dtype=one.dtype,
            casting=one.casting,
            compression=one.compression,
            chunks=one.chunks,
            num_threads=one.num_threads or 1,
            verbose=False,
        )


def _carry(carrier: Carrier, wanted: Sequence[Attribute], verbose: bool) -> None:
    """Write all that is wanted, in one commit."""
    streamed = [one for one in wanted if one.name not in carrier.virtual]
    total = sum(len(carrier.numbers(one)) for one in streamed if carrier.is_streamed(one))
    bar = progress_bar(total, "Converting") if verbose and total else nullcontext()
    with carrier.target.transaction(), bar as shown, ThreadPoolExecutor(1) as reader:
        for attribute in wanted:
            for count in carrier.carry(attribute, reader):
                if shown is not None:
                    shown.update(count)


def _frames(run: CXIStore, idxs: FrameSelection) -> NDArray[np.int64] | None:
    """Return the numbers of the frames of `data` that are written; None where there is none."""
    # `data` is looked for with all others, so that each file is opened once.
    if "data" in run.found and run.protocol.attribute("data").is_data:
        return frame_numbers(idxs, run.frame_count, "data")
    if idxs is not None:
        raise ValueError("idxs= are numbers of frames of 'data', and the run has none")
    return None


def _as_written(source: CXIStore, target: CXIStore, request: ConvertRequest) -> CXIStore:
    """Return the run with its values as they are written: in their units, and by frame if so asked.

    The units are the target's; CXI's where it states none; else that of the first file.
    """
    protocol = source.protocol
    units = dict(protocol.units)
    for attr in request.attributes:
        attribute = protocol.attribute(attr)
        if not attribute.is_number:
            continue
        unit = target.protocol.attribute(attr).unit or cxi_unit(attr)
        if unit is None and attribute.unit is None:
            unit = stated_unit(source._catalogue, attr, of_first=True)
        if unit is not None and attribute.unit not in (None, unit):
            raise ValueError(
                f"{attr!r} comes in {attribute.unit!r} by the run's protocol, and is written in "
                f"{unit!r}: give both the same unit"
            )
        if unit is not None and attribute.unit is None:
            units[attr] = (unit,) * len(attribute.paths)
    for attr in request.by_frame:
        if (kind := protocol.kinds[attr]) != "scalar":
            raise ValueError(
                f"by_frame= names scalars only, and {attr!r} is a {kind} in the protocol"
            )
    kinds = {**protocol.kinds, **dict.fromkeys(request.by_frame, "sequence")}
    if (units, kinds) == (protocol.units, protocol.kinds):
        return source
    protocol = protocol.replace(units=units, kinds=kinds)
    return source._part(source.paths(), protocol)


def _refuse_different_values(carrier: Carrier) -> None:
    """Raise where files have different values of what there is one of, or perhaps one a frame."""
    run, request, catalogue = carrier.run, carrier.request, carrier.run._catalogue
    names = [attr for attr in request.attributes if attr not in request.sources]
    single = [attr for attr in names if catalogue.found(attr) and _is_single(run, attr)]
    unclear = [
        attr
        for attr in single
        if (carrier.is_chosen or len(catalogue.found(attr)) > 1)
        and _may_be_by_frame(run, run.protocol.attribute(attr))
    ]
    if unclear:
        found = catalogue.found(unclear[0])
        shape, name = found[min(found)].datasets[0].shape, run.filenames()[min(found)]
        more = f" (and so have {', '.join(map(repr, unclear[1:]))})" if unclear[1:] else ""
        raise LayoutError(
            f"{unclear[0]!r} has shape {shape} in {name}, which has {shape[0]} frames{more}. If "
            "there is a value for each frame, say so (by_frame=, --by-frame); if not, say which "
            f"file's value is written (sources=, --source); or {LEAVE_OUT}"
        )
    differ = disagreements(catalogue, single, request.transform)
    if differ:
        told = "; ".join(one.told(run.filenames()) for one in differ)
        raise LayoutError(
            f"the new file has one value where files of the run differ: {told}. Say which file's "
            f"value is written (sources=, --source), or {LEAVE_OUT}"
        )


def _may_be_by_frame(run: CXIStore, attribute: Attribute) -> bool:
    """Tell whether a scalar has as many values in each file as that has frames."""
    if attribute.kind != "scalar" or attribute.is_point or not run.frame_count:
        return False
    frames = run._catalogue.frame_counts()
    found = run._catalogue.usable(attribute.name)
    shapes = {number: one.datasets[0].shape for number, one in found.items()}
    return all(shape and frames.get(number) == shape[0] > 1 for number, shape in shapes.items())


def _refuse_contradictions(carrier: Carrier) -> None:
    """Raise where the run's energy and wavelength contradict each other."""
    target = carrier.target
    said = {
        attr: photons.Said(
            photons.saved_path(target._catalogue, attr),
            np.asarray(carrier.value(carrier.run.protocol.attribute(attr))),
        )
        for attr in carrier.request.attributes
        if photons.has_other(target.protocol, attr)
    }
    photons.refuse_contradictions(target._catalogue, said, carrier.run.filenames()[0])


def _is_single(run: CXIStore, attr: str) -> bool:
    """Tell whether the new file has place for one value; whether it is one a frame is asked."""
    return run.protocol.attribute(attr).kind == "scalar" or not run.is_indexed(attr)
