"""Layouts that no built-in protocol describes, to be discovered: bare files, LImA, BLISS."""

import h5py
import numpy as np

from ..values import frames
from .run import FRAMES, SHAPE, Run, fill

__all__ = ["LAYOUTS"]

PARTS = (slice(0, 6), slice(6, FRAMES))


def bare(folder):
    """A script's `np.save` in HDF5: one dataset, `/data`, no group, no attribute."""
    stack = frames(FRAMES, SHAPE, "uint16")
    with h5py.File(folder / "bare.h5", "w") as h5:
        h5["/data"] = stack
    return Run("bare", "discover", (folder / "bare.h5",), stack, {"data": "/data"})


def _lima(name, stack):
    """Write a file as LImA does: the frames in the detector's group, links to them elsewhere."""
    detector = "/entry_0000/ESRF-ID00/eiger"
    with h5py.File(name, "w") as h5:
        h5.create_dataset(f"{detector}/data", data=stack, chunks=(1, *SHAPE))
        tree = {
            "/@NX_class": "NXroot",
            "/@creator": "LIMA-HDF5",
            "/@default": "/entry_0000/ESRF-ID00/eiger/plot",
            "/entry_0000@NX_class": "NXentry",
            "/entry_0000/title": "Lima 2D detector acquisition",
            "/entry_0000/start_time": "2021-05-06T07:08:09.000000",
            "/entry_0000/ESRF-ID00@NX_class": "NXinstrument",
            f"{detector}@NX_class": "NXdetector",
            f"{detector}/data@interpretation": "image",
            f"{detector}/acquisition/exposure_time": 0.1,
            f"{detector}/acquisition/exposure_time@units": "s",
            f"{detector}/detector_information/model": "EIGER 4M",
            f"{detector}/detector_information/pixel_size/xsize": 7.5e-05,
            f"{detector}/image_operation/dimension/xsize": SHAPE[1],
            f"{detector}/plot@NX_class": "NXdata",
            f"{detector}/plot@signal": "data",
            f"{detector}/plot/data": h5py.SoftLink(f"{detector}/data"),
            "/entry_0000/measurement@NX_class": "NXcollection",
            "/entry_0000/measurement/data": h5py.SoftLink(f"{detector}/data"),
        }
        fill(h5, tree)
    return name


def lima(folder):
    """ESRF's LImA: `entry_0000/measurement/data` (as dxtbx's FormatHDF5ESRF reads it) is a link."""
    stack = frames(FRAMES, SHAPE, "uint32")
    files = tuple(_lima(folder / f"eiger_{n:04}.h5", stack[p]) for n, p in enumerate(PARTS))
    return Run(
        "lima",
        "discover",
        files,
        stack,
        {"data": "/entry_0000/measurement/data"},
        promises=("/entry_0000/ESRF-ID00/eiger/plot/data",),
    )


def bliss(folder):
    """ESRF's BLISS: a scan `1.1` whose detector is virtual over LImA's files of that scan."""
    stack = frames(FRAMES, SHAPE, "uint32")
    (folder / "scan0001").mkdir()
    layout = h5py.VirtualLayout(stack.shape, stack.dtype)
    for n, part in enumerate(PARTS):
        name = _lima(folder / "scan0001" / f"eiger_{n:04}.h5", stack[part])
        layout[part] = h5py.VirtualSource(
            f"scan0001/{name.name}", "/entry_0000/measurement/data", stack[part].shape
        )
    path = folder / "sample_0001.h5"
    positions = np.linspace(0, 9, FRAMES)
    with h5py.File(path, "w", libver="latest") as h5:
        h5.create_virtual_dataset("/1.1/instrument/eiger/data", layout)
        tree = {
            "/@NX_class": "NXroot",
            "/@creator": "Bliss",
            "/@default": "1.1",
            "/1.1@NX_class": "NXentry",
            "/1.1/title": "ascan samy 0 9 7 0.1",
            "/1.1/start_time": "2021-05-06T07:08:09.000000+02:00",
            "/1.1/instrument@NX_class": "NXinstrument",
            "/1.1/instrument/eiger@NX_class": "NXdetector",
            "/1.1/instrument/eiger/type": "lima",
            "/1.1/instrument/samy@NX_class": "NXpositioner",
            "/1.1/instrument/samy/value": positions,
            "/1.1/instrument/samy/value@units": "mm",
            "/1.1/instrument/diode/data": positions**2,
            "/1.1/measurement@NX_class": "NXcollection",
            "/1.1/measurement/eiger": h5py.SoftLink("/1.1/instrument/eiger/data"),
            "/1.1/measurement/samy": h5py.SoftLink("/1.1/instrument/samy/value"),
            "/1.1/measurement/diode": h5py.SoftLink("/1.1/instrument/diode/data"),
        }
        fill(h5, tree)
    return Run(
        "bliss",
        "discover",
        (path,),
        stack,
        {"data": "/1.1/instrument/eiger/data"},
        others={"/1.1/instrument/diode/data": positions**2},
        promises=("/1.1/measurement/eiger",),
    )


LAYOUTS = (bare, lima, bliss)
