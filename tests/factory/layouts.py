"""Layouts in which the frames of a run may lie."""

import h5py
import numpy as np

from .storage import low_level
from .values import DATA, DETECTOR, put

__all__ = [
    "LAYOUTS",
    "datasets_in_a_group",
    "external_master",
    "hard_link",
    "image_2d",
    "many_files",
    "one_file",
    "soft_link",
    "virtual",
    "virtual_beside_its_sources",
    "virtual_over_numbered_files",
    "virtual_with_a_hole",
]

GROUP = "/entry/data/data"


def one_file(folder, parts):
    """All frames are one contiguous dataset."""
    return [put(folder / "run.cxi", {DATA: np.concatenate(parts)})]


def many_files(folder, parts):
    """Every part is a file of its own; natural order is not the alphabet's."""
    return [put(folder / f"run_{n + 8}.cxi", {DATA: part}) for n, part in enumerate(parts)]


def image_2d(folder, parts):
    """Every frame is a file that holds one 2-D image."""
    images = np.concatenate(parts)
    return [put(folder / f"image_{n}.cxi", {DATA: image}) for n, image in enumerate(images)]


def datasets_in_a_group(folder, parts):
    """A path of the protocol is a group; its datasets are numbered with gaps."""
    names = {f"{GROUP}/data_{3 * n + 8}": part for n, part in enumerate(parts)}
    return [put(folder / "group.h5", dict(reversed(names.items())))]


def external_master(folder, parts):
    """A DECTRIS master: a group of external links to data files."""
    data = folder / "data"
    data.mkdir()
    with h5py.File(folder / "master.h5", "w") as h5:
        for n, part in enumerate(parts):
            put(data / f"part_{n}.h5", {"/somewhere/else": part})
            h5[f"{GROUP}/data_{n + 9}"] = h5py.ExternalLink(f"data/part_{n}.h5", "/somewhere/else")
    return [str(folder / "master.h5")]


def soft_link(folder, parts):
    """The protocol's path is a soft link to a soft link to the dataset."""
    name = put(folder / "soft.cxi", {"/raw/frames": np.concatenate(parts)})
    with h5py.File(name, "a") as h5:
        h5["/raw/link"] = h5py.SoftLink("frames")
        h5[DATA] = h5py.SoftLink("/raw/link")
    return [name]


def hard_link(folder, parts):
    """The dataset has two names in one file."""
    name = put(folder / "hard.cxi", {"/raw/frames": np.concatenate(parts)})
    with h5py.File(name, "a") as h5:
        h5[DATA] = h5["/raw/frames"]
    return [name]


def virtual(folder, parts):
    """A virtual dataset stacks the frames of other files."""
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    layout = h5py.VirtualLayout(shape, parts[0].dtype)
    start = 0
    for n, part in enumerate(parts):
        put(folder / f"source_{n}.h5", {"/frames": part})
        source = h5py.VirtualSource(f"source_{n}.h5", "/frames", part.shape)
        layout[start : start + len(part)] = source
        start += len(part)
    with h5py.File(folder / "virtual.cxi", "w", libver="latest") as h5:
        h5.create_virtual_dataset(DATA, layout)
    return [str(folder / "virtual.cxi")]


def virtual_beside_its_sources(folder, parts):
    """A group holds datasets and a virtual dataset over them."""
    name = folder / "siblings.h5"
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    layout = h5py.VirtualLayout(shape, parts[0].dtype)
    start = 0
    with h5py.File(name, "w", libver="latest") as h5:
        for n, part in enumerate(parts):
            h5[f"{GROUP}/data_{n}"] = part
            layout[start : start + len(part)] = h5py.VirtualSource(
                ".", f"{GROUP}/data_{n}", part.shape
            )
            start += len(part)
        h5.create_virtual_dataset(f"{GROUP}/all", layout)
    return [str(name)]


def virtual_over_numbered_files(folder, parts):
    """A virtual dataset without end over files of a frame each, named by "block_%b.h5"."""
    images = np.concatenate(parts)
    count, *shape = images.shape
    for n, image in enumerate(images):
        put(folder / f"block_{n}.h5", {"/frames": image[None]})
    endless = (h5py.h5s.UNLIMITED, *shape)
    space = h5py.h5s.create_simple(images.shape, endless)
    space.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), (1, 1, 1), (1, *shape))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(space, b"block_%b.h5", b"/frames", h5py.h5s.create_simple((1, *shape)))
    name, kind = folder / "printf.cxi", h5py.h5t.py_create(images.dtype)
    low_level(name, (count, *shape), kind, plist, endless, libver="latest").close()
    return [str(name)]


def virtual_with_a_hole(folder, part, fill=7):
    """Map every second frame of a virtual dataset; return the name and what must come back."""
    put(folder / "source.h5", {"/frames": part})
    layout = h5py.VirtualLayout((2 * len(part), *part.shape[1:]), part.dtype)
    layout[::2] = h5py.VirtualSource("source.h5", "/frames", part.shape)
    with h5py.File(folder / "hole.cxi", "w", libver="latest") as h5:
        h5.create_virtual_dataset(DATA, layout, fillvalue=fill)
    expected = np.full((2 * len(part), *part.shape[1:]), fill, part.dtype)
    expected[::2] = part
    return str(folder / "hole.cxi"), expected


def cxi_link(folder, parts):
    """As CXI recommends: `data_1/data` is a soft link to the detector's; mixed with a NeXus one."""
    names = []
    for n, part in enumerate(parts):
        names.append(put(folder / f"cxi_{n}.cxi", {f"{DETECTOR}/raw": part, "/cxi_version": 160}))
        with h5py.File(names[-1], "a") as h5:
            h5["/entry_1/data_1/data"] = h5py.SoftLink(f"{DETECTOR}/raw")
    return names


LAYOUTS = {
    function.__name__: function
    for function in (
        one_file,
        many_files,
        image_2d,
        datasets_in_a_group,
        external_master,
        soft_link,
        hard_link,
        virtual,
        virtual_beside_its_sources,
        cxi_link,
    )
}
