"""Virtual datasets whose sources are not what is mapped, and values in other files."""

import h5py
import numpy as np

from cxistack import LayoutError, LinkError, StorageError

from ..broken import absent_source_printf
from ..values import DATA, frames, put
from .row import faulty, run


def _virtual(folder, source="source.h5", path="/frames", shape=(2, 5, 7), dtype="uint16"):
    """Write a virtual dataset over one source that need not be there."""
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(source, path, shape)[...]
    name = run(folder, libver="latest")
    with h5py.File(name, "a", libver="latest") as h5:
        h5.create_virtual_dataset(DATA, layout)
    return name


@faulty(LinkError, r"\(virtual\): needs the file 'source\.h5', which is not there")
def virtual_source_missing(folder):
    """A virtual dataset of which a source file is gone: HDF5 reads zeros."""
    return _virtual(folder)


@faulty(LinkError, r"its source .*source\.h5:/frames is not there")
def virtual_source_without_the_dataset(folder):
    """The source file is there, and the dataset is not in it."""
    put(folder / "source.h5", {"/other": frames(2)})
    return _virtual(folder)


@faulty(LayoutError, r"maps more of its source .*source\.h5:/frames .*\(1, 5, 7\)")
def virtual_source_too_small(folder):
    """The source has fewer frames than are mapped: HDF5 reads zeros for the rest."""
    put(folder / "source.h5", {"/frames": frames(1)})
    return _virtual(folder)


@faulty(LayoutError, r"type uint16.*source\.h5:/frames has int32.*clip.*name the source itself")
def virtual_source_of_another_type(folder):
    """A source of int32 behind a virtual dataset of uint16: HDF5 clips."""
    put(folder / "source.h5", {"/frames": np.full((2, 5, 7), 70000, "int32")})
    return _virtual(folder)


@faulty(LinkError, r"its source .*source\.h5:/frames is a group, not a dataset")
def virtual_source_is_a_group(folder):
    """The source's path is that of a group."""
    put(folder / "source.h5", {"/frames/deeper": frames(2)})
    return _virtual(folder)


@faulty(StorageError, r"leads to another file: .*source\.h5 cannot be opened as an HDF5 file: it")
def virtual_source_not_hdf5(folder):
    """The source file is something else."""
    (folder / "source.h5").write_bytes(b"II*\0 a picture, say" * 100)
    return _virtual(folder)


@faulty(LayoutError, r"is virtual over .*source\.h5:/frames keeps its values in external raw files")
def virtual_over_external_raw(folder):
    """The source keeps its values in a raw file: it may be any file."""
    (folder / "raw.bin").write_bytes(bytes(140))
    with h5py.File(folder / "source.h5", "w") as h5:
        h5.create_dataset("/frames", (2, 5, 7), "uint16", external=[("raw.bin", 0, 140)])
    return _virtual(folder)


@faulty(LayoutError, r"keeps its values in external raw files \('raw\.bin'.*never read")
def external_raw_storage(folder):
    """`data` keeps its values in a raw file."""
    (folder / "raw.bin").write_bytes(bytes(140))
    name = run(folder)
    with h5py.File(name, "a") as h5:
        h5.create_dataset(DATA, (2, 5, 7), "uint16", external=[("raw.bin", 0, 140)])
    return name


@faulty(LinkError, r"virtual datasets stand on one another in a circle")
def virtual_over_itself(folder):
    """A virtual dataset whose source is itself."""
    return _virtual(folder, "run.cxi", DATA)


# A gap in numbered sources becomes an error of its own words; until then it is a missing source.
@faulty(LinkError, r"block_1\.h5", file="printf.cxi", rest=False)
def virtual_numbered_source_missing(folder):
    """A virtual dataset over block_%b.h5, of which number 1 is gone: HDF5 reads zeros."""
    return absent_source_printf(folder)
