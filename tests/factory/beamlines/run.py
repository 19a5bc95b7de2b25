"""What a synthesised run of a beamline is, and the constants that all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "CXI_FLAGS",
    "ENERGY",
    "EV",
    "FRAMES",
    "HC",
    "NEXUS_FLAGS",
    "SHAPE",
    "WAVELENGTH_M",
    "Fault",
    "Run",
    "fill",
    "good",
    "nx_classes",
]

#: Frames of a run, and pixels of a frame, unless a layout says otherwise.
FRAMES, SHAPE = 8, (16, 20)

#: An electronvolt in joule, and Planck's constant times the speed of light in joule metre (SI).
EV, HC = 1.602176634e-19, 6.62607015e-34 * 299792458

#: The photons of all runs: 12.4 keV.
WAVELENGTH_M = 1e-10
ENERGY = HC / WAVELENGTH_M


@dataclass(frozen=True, eq=False)
class Run:
    """Files as a real program lays them out, and what must come back from them.

    Attributes
    ----------
    name : str
        The name of the layout in `LAYOUTS`.
    protocol : str
        The built-in protocol that must open it: "default", "cxi", "nxmx" or "euxfel"; "discover":
        none does, and a protocol has to be discovered.
    files : tuple of Path
        What a user would name, in this order. Files that these link to are beside them.
    data : ndarray
        All frames of all files in order, shape (frames, ..., ss, fs), in the stored type; the
        single 2-D image of a file is a stack of one frame.
    paths : Mapping of str to str
        Where each attribute is in the files: `data`, `mask`, and the names of `scalars`,
        `sequences` and `images`. A path may name a group of datasets (`data` of a DECTRIS master).
        EuXFEL modules have one path each: these have a ``*`` in place of the source's name.
    mask : ndarray of bool, optional
        True where a pixel is good; broadcasts to `data`. None: the files have none. Of a bit field
        in CXI files and of EuXFEL's, a pixel is good here where no bit is set.
    flags : ndarray of integers, optional
        What is stored as the mask, where that is a bit field: for other opinions on its bits.
    scalars : Mapping of str to float or ndarray
        Values in SI units (metre, joule), whatever the unit in the file, if it names one; an array
        where the program writes one value a frame.
    derived : Mapping of str to float
        What follows from `scalars` and is not in the files: the wavelength of an energy.
    sequences : Mapping of str to ndarray
        Values for each frame (`translations`, `basis_vectors`, ...), in the stored shape, in SI
        units; also the 2-D `basis_vectors` that hold for all frames.
    images : Mapping of str to ndarray
        Attributes that are one image, shape (ss, fs): `whitefield`, `flatfield`.
    others : Mapping of str to ndarray
        Other datasets of `files[0]`, by path, that must not be taken for the run's: the frames of
        a second detector, a second entry.
    promises : tuple of str
        Further paths that are in `files[0]`.
    """

    name: str
    protocol: str
    files: tuple[Path, ...]
    data: np.ndarray
    paths: Mapping[str, str]
    mask: np.ndarray | None = None
    flags: np.ndarray | None = None
    scalars: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, float] = field(default_factory=dict)
    sequences: Mapping[str, np.ndarray] = field(default_factory=dict)
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    promises: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Fault:
    """Files of a run in which something is wrong, as it happens at beamlines.

    Attributes
    ----------
    name, protocol, files
        As in :class:`Run`.
    note : str
        What is wrong.
    at : tuple of str
        The files or modules that are wrong; an error must name one of them.
    frames : int
        The number of frames that are there.
    """

    name: str
    protocol: str
    files: tuple[Path, ...]
    note: str
    at: tuple[str, ...]
    frames: int


def _flags(pixels):
    flags = np.zeros(SHAPE, "uint32")
    for pixel, value in pixels.items():
        flags[pixel] = value
    return flags


#: A CXI mask: invalid, saturated, hot, bad, missing, noisy, has signal (0x1000), and two at once.
CXI_FLAGS = _flags(
    {
        **{(0, 0): 1, (1, 2): 2, (3, 4): 4, (5, 6): 0x80, (7, 8): 0x200, (9, 10): 0x400},
        **{(11, 12): 0x1000, (15, 19): 6},
    }
)

#: A NeXus pixel mask: a column of gap (bit 0), dead (1), under- (2) and over-responding (3), noisy
#: (4), cluster (6), user (8); bit 31 (virtual pixel) alone is good.
NEXUS_FLAGS = _flags(
    {
        **{(row, 10): 1 for row in range(SHAPE[0])},
        **{(0, 0): 2, (1, 2): 4, (3, 4): 8, (5, 6): 0x10, (7, 8): 0x40, (9, 12): 0x100},
        **{(14, 3): 2**31, (15, 3): 2**31 | 1},
    }
)


def good(flags, convention):
    """Return where flags mean a good pixel: "cxi" no bit is set, "nexus" none of the low 16."""
    return flags == 0 if convention == "cxi" else flags & 0xFFFF == 0


def fill(h5, tree):
    """Write values and links by their paths, and attributes by "path@name"."""
    for name, value in tree.items():
        path, _, attribute = name.partition("@")
        if not attribute:
            h5[path] = value
        else:
            (h5[path] if path in h5 else h5.create_group(path)).attrs[attribute] = value


def nx_classes(h5, classes):
    """Mark groups below /entry, by their paths from there, with their NX_class."""
    fill(h5, {"/@default": "entry", "/entry@NX_class": "NXentry", "/entry@default": "data"})
    fill(h5, {f"/entry/{path}@NX_class": kind for path, kind in classes.items()})
