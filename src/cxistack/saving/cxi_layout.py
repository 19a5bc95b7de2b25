"""What makes a file that we create a CXI file: version, entry, links to what is saved, and axes.

An attribute stays at the protocol's first load path, where every reader of that protocol looks.
Where CXI 1.6 has another name for it, that name is a soft link to it: CXI's readers and the
protocol's find one and the same dataset. The groups of CXI also say their NeXus classes, as the
CXI document proposes for programs that know NeXus only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import h5py
import numpy as np

from ..protocol.attribute import Trait
from .change import Change

__all__ = ["CXI_VERSION", "ENTRY", "PROGRAM", "follow", "is_made_here", "make_group"]


CXI_VERSION = 160
ENTRY = "/entry_1"
PROGRAM = "cxistack"
_DATA = f"{ENTRY}/data_1"
_PLOTTED = f"{_DATA}/data"
_DETECTOR = f"{ENTRY}/instrument_1/detector_1"
_SOURCE = f"{ENTRY}/instrument_1/source_1"
_FRAMES = "experiment_identifier"
_FRAME_NUMBERS = "number of the frame in this file"
_NUMBERS = "number along the axis"

# CXI 1.6, appendix A: the name of an attribute, and the implicit axes of its last dimensions.
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "basis_vectors": (f"{_DETECTOR}/basis_vectors", ("dimension", "coordinate")),
    "corner_position": (f"{_DETECTOR}/corner_position", ("coordinate",)),
    "data": (f"{_DETECTOR}/data", ("y", "x")),
    "distance": (f"{_DETECTOR}/distance", ()),
    "energy": (f"{_SOURCE}/energy", ()),
    "mask": (f"{_DETECTOR}/mask", ("y", "x")),
    "translations": (f"{ENTRY}/sample_1/geometry_1/translation", ("coordinate",)),
    "wavelength": (f"{_SOURCE}/wavelength", ()),
    "x_pixel_size": (f"{_DETECTOR}/x_pixel_size", ()),
    "y_pixel_size": (f"{_DETECTOR}/y_pixel_size", ()),
}
_CLASSES = dict.fromkeys(
    ("data", "detector", "entry", "geometry", "instrument", "process", "sample", "source")
)


def is_made_here(h5: h5py.File) -> bool:
    """Tell whether the file is for us to lay out: still empty, or made by us before."""
    if not len(h5):
        return True
    name = h5.get(f"{ENTRY}/program_name")
    return isinstance(name, h5py.Dataset) and name.shape == () and name[()] == PROGRAM.encode()


def follow(h5: h5py.File, change: Change) -> None:
    """Make the file tell, as CXI 1.6 has it, what was just saved.

    Only what is not there is added, so that any save may be followed, in any order.
    """
    if not _begin(h5):
        return
    path, wanted, others = change.place.path, change.attribute, change.others
    dataset = h5[path]
    name, implicit = _NAMES.get(wanted.name, ("", ()))
    # A mask that is True for good pixels is no CXI mask, in which 0 is good: it gets no such name.
    if not name or (wanted.is_mask and change.convention != "cxi"):
        return
    if path != name and not _link(h5, name, path, others):
        name = path
    groups = [name.rpartition("/")[0]]
    if Trait.DATA in wanted.traits:
        is_elsewhere = not path.startswith(f"{_DATA}/")
        if path == _PLOTTED or (is_elsewhere and _link(h5, _PLOTTED, name, others)):
            groups.append(_DATA)
            _be_plotted(h5, dataset)
    if change.by_frame and dataset.ndim > len(implicit):
        _name_axes(h5, dataset, implicit, [one for one in groups if one], others)
    elif "axes" in dataset.attrs and len(_names(dataset)) != dataset.ndim:
        del dataset.attrs["axes"]  # it had more dimensions before


def make_group(h5: h5py.File, path: str) -> h5py.Group | None:
    """Return the group at `path`; each group of CXI on the way says its NeXus class.

    None where a dataset is on the way: a protocol may call its datasets what CXI calls groups.
    """
    group = h5["/"]
    for name in path.strip("/").split("/"):
        if name in group and not isinstance(group[name], h5py.Group):
            return None
        group = group.require_group(name)
        kind = re.fullmatch(r"([a-z]+)_[1-9][0-9]*", name)
        if kind and kind[1] in _CLASSES and "NX_class" not in group.attrs:
            group.attrs["NX_class"] = f"NX{kind[1]}"
    return group


def _begin(h5: h5py.File) -> bool:
    """Write what every CXI file has: a version, a number of entries, an entry, and data in it.

    Return False where the protocol puts something else there.
    """
    entry = make_group(h5, ENTRY)
    if entry is None:
        return False
    h5.attrs["NX_class"] = "NXroot"
    if "cxi_version" not in h5:
        h5["cxi_version"] = CXI_VERSION
    if "program_name" not in entry:
        entry["program_name"] = PROGRAM
    if "data_1" not in entry:
        # Demanded of an entry. It is empty where there are results only: what else could be linked
        # there would be taken for frames.
        entry.create_group("data_1")
    count = sum(1 for name in h5 if re.fullmatch(r"entry_[1-9][0-9]*", name))
    if "number_of_entries" not in h5:
        h5["number_of_entries"] = count
    elif h5["number_of_entries"].shape == () and h5["number_of_entries"][()] != count:
        h5["number_of_entries"][()] = count
    return True


def _link(h5: h5py.File, name: str, target: str, elsewhere: Collection[str]) -> bool:
    """Make `name` a link to `target` if it is free; tell whether something is at `name` now."""
    if name in elsewhere:
        return False
    folder, _, last = name.rpartition("/")
    group = make_group(h5, folder)
    if group is None:
        return False
    if group.get(last, getlink=True) is None:
        group[last] = h5py.SoftLink(target)
    return True


def _be_plotted(h5: h5py.File, dataset: h5py.Dataset) -> None:
    """Let NeXus readers show the frames first."""
    group = make_group(h5, _DATA)
    assert group is not None  # data is in it
    group.attrs["signal"] = "data"
    # None of its axes is a NeXus one: they are numbers of pixels and identifiers of frames.
    group.attrs["axes"] = np.array(["."] * dataset.ndim, h5py.string_dtype())
    h5.attrs["default"] = ENTRY[1:]
    h5[ENTRY].attrs["default"] = "data_1"


def _name_axes(
    h5: h5py.File,
    dataset: h5py.Dataset,
    implicit: tuple[str, ...],
    groups: list[str],
    elsewhere: Collection[str],
) -> None:
    """Say what the dimensions are; beside a dataset lie those that its axes are named after."""
    between = dataset.ndim - len(implicit) - 1
    modules = ["module_identifier"] if between == 1 else [f"axis_{k + 1}" for k in range(between)]
    names = [_FRAMES, *modules]
    dataset.attrs["axes"] = ":".join([*names, *implicit])
    for axis, name in enumerate(names):
        path = f"{ENTRY}/{name}"
        if path not in elsewhere:
            note = _FRAME_NUMBERS if name == _FRAMES else _NUMBERS
            _number(h5, path, _frame_count(h5, dataset) if axis == 0 else dataset.shape[axis], note)
        elif path not in h5:  # the protocol says what it is, and it is not saved yet
            continue
        for group in groups:
            if group != ENTRY and group.startswith(f"{ENTRY}/"):
                _link(h5, f"{group}/{name}", path, elsewhere)


def _names(dataset: h5py.Dataset) -> list[str]:
    return str(dataset.attrs["axes"]).split(":")


def _frame_count(h5: h5py.File, dataset: h5py.Dataset) -> int:
    """Return how many frames there are: of `data` where it is there."""
    data = h5.get(_PLOTTED)
    frames = data if isinstance(data, h5py.Dataset) and data.ndim > 2 else dataset
    return int(frames.shape[0])


def _number(h5: h5py.File, path: str, count: int, note: str) -> None:
    """Give each index along an axis an identifier, its number; those of others stay."""
    labels: Any = h5.get(path)
    if labels is None:
        labels = h5.create_dataset(path, (0,), "S10", chunks=(4096,), maxshape=(None,))
        labels.attrs["description"] = note
    elif labels.attrs.get("description") != note:
        return
    there = labels.shape[0]
    if there != count:
        labels.resize((count,))
        labels[there:] = np.arange(there, count).astype("S10")
