"""CXI files with units, with several detectors or entries, and looser than the specification."""

import h5py
import numpy as np

from ..values import DATA, DETECTOR, DISTANCE, MASK, WAVELENGTH, frames
from .cxi import LINK, POSITIONS, SIZE_PATHS, SIZES, TRANSLATION, X_SIZE, Y_SIZE, write
from .run import CXI_FLAGS, FRAMES, SHAPE, WAVELENGTH_M, Run, good

__all__ = ["LAYOUTS"]


def cxi_units(folder):
    """Values that are not in SI units, and say so by `units`, as the specification allows."""
    stack = frames(FRAMES, SHAPE, "uint16")
    tree = {
        DISTANCE: 500.0,
        f"{DISTANCE}@units": "mm",
        X_SIZE: 55.0,
        f"{X_SIZE}@units": "um",
        Y_SIZE: 0.055,
        f"{Y_SIZE}@units": np.bytes_("mm"),
        WAVELENGTH: 0.1,
        f"{WAVELENGTH}@units": "nm",
        TRANSLATION: POSITIONS * 1e6,
        f"{TRANSLATION}@units": "um",
    }
    return Run(
        "cxi_units",
        "cxi",
        write(folder / "units.cxi", 160, tree, stack),
        stack,
        {
            "data": DATA,
            "distance": DISTANCE,
            "wavelength": WAVELENGTH,
            "translations": TRANSLATION,
            **SIZE_PATHS,
        },
        scalars={"distance": 0.5, "wavelength": WAVELENGTH_M, **SIZES},
        sequences={"translations": POSITIONS},
        promises=(LINK,),
    )


def cxi_two_detectors(folder):
    """Two detectors of unlike shape; `data_1` and `data_2` link to them."""
    stack, second = frames(FRAMES, SHAPE, "uint16"), frames(FRAMES, (10, 12), "uint16", start=7)
    other = f"{DETECTOR[:-1]}2"
    tree = {
        MASK: CXI_FLAGS,
        f"{other}/data": second,
        f"{other}/mask": np.zeros((10, 12), "uint32"),
        f"{other}/distance": 4.5,
        "/entry_1/data_2/data": h5py.SoftLink(f"{other}/data"),
        DISTANCE: 0.5,
    }
    return Run(
        "cxi_two_detectors",
        "cxi",
        write(folder / "two_detectors.cxi", 150, tree, stack),
        stack,
        {"data": DATA, "mask": MASK, "distance": DISTANCE},
        mask=good(CXI_FLAGS, "cxi"),
        flags=CXI_FLAGS,
        scalars={"distance": 0.5},
        others={f"{other}/data": second, "/entry_1/data_2/data": second},
        promises=(LINK,),
    )


def cxi_two_entries(folder):
    """Two entries, each a measurement with its own wavelength."""
    stack, second = frames(FRAMES, SHAPE, "uint16"), frames(3, SHAPE, "uint16", start=9)
    other = DATA.replace("entry_1", "entry_2")
    tree = {
        "/number_of_entries": 2,
        WAVELENGTH: WAVELENGTH_M,
        WAVELENGTH.replace("entry_1", "entry_2"): 2 * WAVELENGTH_M,
        other: second,
        "/entry_2/data_1/data": h5py.SoftLink(other),
    }
    return Run(
        "cxi_two_entries",
        "cxi",
        write(folder / "two_entries.cxi", 150, tree, stack),
        stack,
        {"data": DATA, "wavelength": WAVELENGTH},
        scalars={"wavelength": WAVELENGTH_M},
        others={other: second, "/entry_2/data_1/data": second},
        promises=(LINK,),
    )


def cxi_data_only(folder):
    """The frames are in `data_1` itself, as a program does that keeps no instrument."""
    stack = frames(FRAMES, SHAPE, "uint16")
    tree = {LINK: stack, "/entry_1/data_1/experiment_identifier": [f"{n}" for n in range(FRAMES)]}
    files = write(folder / "data_only.cxi", 130, tree)
    return Run("cxi_data_only", "cxi", files, stack, {"data": LINK})


def cxi_unnumbered_entry(folder):
    """`/entry` in place of `/entry_1`, as hand-made converters write; the rest is CXI's."""
    stack = frames(FRAMES, SHAPE, "uint16")
    data, mask, distance, wavelength = (
        path.replace("/entry_1/", "/entry/") for path in (DATA, MASK, DISTANCE, WAVELENGTH)
    )
    link = LINK.replace("/entry_1/", "/entry/")
    tree = {
        data: stack,
        link: h5py.SoftLink(data),
        mask: CXI_FLAGS,
        distance: 0.5,
        wavelength: WAVELENGTH_M,
    }
    return Run(
        "cxi_unnumbered_entry",
        "cxi",
        write(folder / "unnumbered.cxi", 150, tree),
        stack,
        {"data": data, "mask": mask, "distance": distance, "wavelength": wavelength},
        mask=good(CXI_FLAGS, "cxi"),
        flags=CXI_FLAGS,
        scalars={"distance": 0.5, "wavelength": WAVELENGTH_M},
        promises=(link,),
    )


LAYOUTS = (
    cxi_units,
    cxi_two_detectors,
    cxi_two_entries,
    cxi_data_only,
    cxi_unnumbered_entry,
)
