"""Virtual datasets whose sources are not what is mapped, and values in other files."""

import h5py
import numpy as np

from cxistack import LayoutError, LinkError, StorageError

from ..layouts import virtual, virtual_over_numbered_files
from ..values import DATA, frames, put
from .row import faulty, run

#: What rows say in which the source of a virtual dataset is at fault.
VIRTUAL = {"breaks": virtual, "file": "virtual.cxi"}
SOURCE = "source_0.h5"


@faulty(LinkError, r"\(virtual\): needs the file 'source_0\.h5', which is not there", **VIRTUAL)
def virtual_source_missing(folder):
    """A virtual dataset of which a source file is gone: HDF5 reads zeros."""
    (folder / SOURCE).unlink()


@faulty(LinkError, r"its source .*source_0\.h5:/frames is not there", **VIRTUAL)
def virtual_source_without_the_dataset(folder):
    """The source file is there, and the dataset is not in it."""
    put(folder / SOURCE, {"/other": frames(2)}, "w")


@faulty(LayoutError, r"takes more of its source .*source_0\.h5:/frames .*\(1, 5, 7\)", **VIRTUAL)
def virtual_source_too_small(folder):
    """The source has fewer frames than are mapped: HDF5 reads zeros for the rest."""
    put(folder / SOURCE, {"/frames": frames(1)}, "w")


@faulty(
    LayoutError,
    r"type uint16.*source_0\.h5:/frames has int32.*clip.*name the source itself",
    **VIRTUAL,
)
def virtual_source_of_another_type(folder):
    """A source of int32 behind a virtual dataset of uint16: HDF5 clips."""
    put(folder / SOURCE, {"/frames": np.full((2, 5, 7), 70000, "int32")}, "w")


@faulty(LinkError, r"its source .*source_0\.h5:/frames is a group, not a dataset", **VIRTUAL)
def virtual_source_is_a_group(folder):
    """The source's path is that of a group."""
    put(folder / SOURCE, {"/frames/deeper": frames(2)}, "w")


@faulty(
    StorageError,
    r"leads to another file: .*source_0\.h5 cannot be opened as an HDF5 file: it",
    **VIRTUAL,
)
def virtual_source_not_hdf5(folder):
    """The source file is something else."""
    (folder / SOURCE).write_bytes(b"II*\0 a picture, say" * 100)


@faulty(
    LayoutError,
    r"has a source that cannot be read: .*source_0\.h5:/frames keeps its .* in external raw files",
    **VIRTUAL,
)
def virtual_over_external_raw(folder):
    """The source keeps its values in a raw file: it may be any file."""
    _in_a_raw_file(folder, SOURCE, "/frames", "w")


def _in_a_raw_file(folder, name, path, mode):
    (folder / "raw.bin").write_bytes(bytes(140))
    with h5py.File(folder / name, mode) as h5:
        h5.create_dataset(path, (2, 5, 7), "uint16", external=[("raw.bin", 0, 140)])


@faulty(LayoutError, r"keeps its values in external raw files \('raw\.bin'.*never read")
def external_raw_storage(folder):
    """`data` keeps its values in a raw file."""
    name = run(folder)
    _in_a_raw_file(folder, name, DATA, "a")
    return name


@faulty(LinkError, r"virtual datasets are sources of one another, in a circle")
def virtual_over_itself(folder):
    """A virtual dataset whose source is itself."""
    layout = h5py.VirtualLayout((2, 5, 7), "uint16")
    layout[...] = h5py.VirtualSource("run.cxi", DATA, (2, 5, 7))
    name = run(folder, libver="latest")
    with h5py.File(name, "a", libver="latest") as h5:
        h5.create_virtual_dataset(DATA, layout)
    return name


# A gap in numbered sources becomes an error of its own words; until then it is a missing source.
@faulty(
    LinkError,
    r"block_1\.h5",
    breaks=virtual_over_numbered_files,
    count=3,
    file="printf.cxi",
)
def virtual_numbered_source_missing(folder):
    """A virtual dataset over block_%b.h5, of which number 1 is gone: HDF5 reads zeros."""
    (folder / "block_1.h5").unlink()
