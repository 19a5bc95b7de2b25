"""Files that state units, and a protocol that has its own."""

import h5py
from scipy import constants

from cxistack import CXIProtocol

__all__ = ["EV", "HC", "PROTOCOL", "stating"]

HC, EV = constants.h * constants.c, constants.e


PROTOCOL = CXIProtocol(
    {"data": "number", "frame": "float", "wavelength": "float", "energy": "float", "x": "float"},
    {
        "data": ["/data"],
        "frame": ["/frame"],
        "wavelength": ["/wavelength", "/energy", "/energy_eV"],
        "energy": ["/energy", "/energy_eV", "/wavelength"],
        "x": ["/x", "/x_mm"],
    },
    {"data": "stack", "frame": "frame", "x": "sequence"},
    units={
        "data": "m",
        "frame": "m",
        "wavelength": ["m", "J", "eV"],
        "energy": ["J", "eV", "m"],
        "x": ["m", "mm"],
    },
)


def stating(path, **values):
    """Write datasets, and the unit that each states, by name: value or (value, unit)."""
    with h5py.File(path, "w") as h5:
        for key, value in values.items():
            value, *unit = value if isinstance(value, tuple) else (value,)
            h5[key] = value
            if unit:
                h5[key].attrs["units"] = unit[0]
    return str(path)
