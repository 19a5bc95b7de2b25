"""Runs whose files are known one by one, so that a test can change one of them; read by h5py."""

import h5py
import hdf5plugin
import numpy as np

from cxistack import CXIProtocol, CXIStore

from .values import frames

__all__ = ["COUNT", "FILTERS", "PROTOCOL", "SHAPE", "Run", "read_by_h5py", "states", "write"]

PROTOCOL = CXIProtocol({"data": "uint"}, {"data": ["/frames"]}, {"data": "stack"})
COUNT, SHAPE = 6, (5, 7)  # of a file
FILTERS = {
    "contiguous": {},
    "chunked": {"chunks": (1, *SHAPE)},
    "several frames a chunk": {"chunks": (4, *SHAPE)},
    "several chunks a frame": {"chunks": (1, 3, 4)},
    "bitshuffle": {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(nelems=0, cname="lz4")},
    "bitshuffle, several frames": {"chunks": (4, *SHAPE), **hdf5plugin.Bitshuffle(nelems=0)},
    "deflate": {"chunks": (1, *SHAPE), "compression": "gzip"},
    "deflate, several frames": {"chunks": (4, *SHAPE), "compression": "gzip"},
    "lzf": {"chunks": (1, *SHAPE), "compression": "lzf"},  # through h5py
}


def read_by_h5py(names):
    """Return each frame as plain h5py reads it now, as int64; -1 where it cannot."""
    found = []
    for name in names:
        try:
            h5 = h5py.File(name)
        except OSError:
            found += [np.full(SHAPE, -1)] * COUNT
            continue
        with h5:
            members = h5["/frames"]
            is_group = isinstance(members, h5py.Group)
            for key in sorted(members) if is_group else [None]:
                try:
                    dataset = members[key] if is_group else members
                except (KeyError, OSError):
                    found += [np.full(SHAPE, -1)] * COUNT
                    continue
                for number in range(len(dataset)):
                    try:
                        found.append(dataset[number].astype(np.int64))
                    except OSError:
                        found.append(np.full(SHAPE, -1))
    return np.stack(found)


def write(path, values, layout):
    options = FILTERS.get(layout, FILTERS["bitshuffle"])
    maxshape = (None, *values.shape[1:]) if "chunks" in options else None
    with h5py.File(path, "w") as h5:
        h5.create_dataset("/frames", data=values, maxshape=maxshape, **options)


def states(files, start=0):
    return [frames(COUNT, SHAPE, start=start + 1000 * n) for n in range(files)]


class Run:
    """The files of a run: those that a store opens, and those that hold the frames."""

    def __init__(self, folder, layout, files, process=None):
        self.layout, self.process = layout, process
        self.holders = [folder / f"part_{n}.h5" for n in range(files)]
        for path, values in zip(self.holders, states(files), strict=True):
            write(path, values, layout)
        self.victim = self.holders[-1]  # the second of two
        self.names = [str(path) for path in self.holders]
        if layout == "virtual":
            shape = (files * COUNT, *SHAPE)
            virtual = h5py.VirtualLayout(shape, "uint16")
            for n, path in enumerate(self.holders):
                part = h5py.VirtualSource(path.name, "/frames", (COUNT, *SHAPE))
                virtual[n * COUNT : (n + 1) * COUNT] = part
            with h5py.File(folder / "run.h5", "w", libver="latest") as h5:
                h5.create_virtual_dataset("/frames", virtual)
            self.names = [str(folder / "run.h5")]
        elif layout == "external links":
            with h5py.File(folder / "run.h5", "w") as h5:
                for n, path in enumerate(self.holders):
                    h5[f"/frames/part_{n}"] = h5py.ExternalLink(path.name, "/frames")
            self.names = [str(folder / "run.h5")]

    def open(self):
        return CXIStore(self.names, protocol=PROTOCOL)
