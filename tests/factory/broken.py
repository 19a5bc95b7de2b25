"""Files that must raise, and not come back as something else."""

import os
from pathlib import Path

import h5py
import numpy as np

from .layouts import virtual, virtual_over_numbered_files
from .values import DATA, frames, put

__all__ = [
    "absent_source",
    "absent_source_printf",
    "dangling_link",
    "external_raw",
    "link_loop",
    "not_hdf5",
    "truncated",
]


def external_raw(folder):
    """Pixels that HDF5 would take from any file that the user may read."""
    secret = folder / "secret.bin"
    secret.write_bytes(bytes(range(70)))
    with h5py.File(folder / "external.cxi", "w") as h5:
        h5.create_dataset(DATA, (1, 5, 7), "uint16", external=[(str(secret), 0, 70)])
    return str(folder / "external.cxi")


def absent_source(folder):
    """A virtual dataset; the second of its two source files is gone."""
    (name,) = virtual(folder, [frames(2), frames(2)])
    (folder / "source_1.h5").unlink()
    return name


def absent_source_printf(folder):
    """A virtual dataset over files with numbered names ("block_%b.h5"); number 1 is gone."""
    (name,) = virtual_over_numbered_files(folder, [frames(3)])
    (folder / "block_1.h5").unlink()
    return name


def dangling_link(folder, link):
    """`data` is a link that leads nowhere: to a "file", to a "path" in one, or "soft"."""
    name = folder / f"dangling_{link}.cxi"
    put(folder / "other.h5", {"/frames": frames(2)}, "w")
    with h5py.File(name, "w") as h5:
        h5[DATA] = {
            "file": h5py.ExternalLink("gone.h5", "/frames"),
            "path": h5py.ExternalLink("other.h5", "/gone"),
            "soft": h5py.SoftLink("/gone"),
        }[link]
    return str(name)


def link_loop(folder, link):
    """`data` is a link to a link to itself, "soft" or "external"."""
    name = folder / f"loop_{link}.cxi"
    with h5py.File(name, "w") as h5:
        if link == "soft":
            h5[DATA] = h5py.SoftLink("/other")
            h5["/other"] = h5py.SoftLink(DATA)
        else:
            h5[DATA] = h5py.ExternalLink("loop_back.h5", "/back")
            with h5py.File(folder / "loop_back.h5", "w") as back:
                back["/back"] = h5py.ExternalLink(name.name, DATA)
    return str(name)


def not_hdf5(folder, content=b"#!/bin/sh\necho frames\n"):
    """Return a file that is something else."""
    name = folder / "notes.cxi"
    name.write_bytes(content)
    return str(name)


def truncated(folder, keep):
    """Return a file of which the first `keep` (a fraction) is there."""
    name = put(
        folder / "truncated.cxi",
        {DATA: np.arange(70000, dtype="uint16").reshape(-1, 10, 7)},
        chunks=(100, 10, 7),
    )
    os.truncate(name, int(Path(name).stat().st_size * keep))
    return name
