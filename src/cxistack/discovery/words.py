"""The words by which files of our field name things, and which attribute each stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..protocol.attribute import Attribute

__all__ = ["FRAME_NAMES", "WORDS", "Word", "attribute_of", "plain", "rank_of"]

#: Names of datasets that are frames of a detector.
FRAME_NAMES = ("data", "images", "image", "frames", "frame", "rawdata", "raw", "intensity")


@dataclass(frozen=True)
class Word:
    """An attribute, and what datasets are called that are it.

    Names are as :func:`plain` makes them, the best first; two names of a path together
    (``pixelsizexsize``) are the group's and the dataset's.
    """

    attr: str
    names: tuple[str, ...]
    kind: str
    datatype: str = "float"
    homes: tuple[str, ...] = ()  # what the groups where it belongs have in their path or NX_class
    unit: str = ""
    named_units: tuple[tuple[str, str], ...] = ()  # names that say the unit themselves
    tails: tuple[tuple[int, ...], ...] = ()  # shapes that a row of a sequence may have
    of_any_number: bool = False  # whether a stack need not have as many frames as there are

    @property
    def attribute(self) -> Attribute:
        """The attribute as a protocol without a path for it would have it."""
        return Attribute(self.attr, self.datatype, self.kind, ())


_DETECTOR = ("detector",)
_BEAM = ("beam", "source", "monochromator")

WORDS = (
    Word("mask", ("mask", "pixelmask", "badpixels", "goodpixels", "badpixelmask"), "stack", "bool"),
    Word("whitefield", ("whitefield", "datawhite", "whiteimage"), "frame"),
    Word("whitefields", ("whitefields", "flatfields"), "stack", of_any_number=True),
    Word("flatfield", ("flatfield", "flat", "flatfieldcorrection", "gainmap"), "frame"),
    Word("dark", ("dark", "datadark", "darkfield", "darkframe", "background", "pedestal"), "frame"),
    Word(
        "translations",
        ("translations", "translation", "positions", "samplepositions", "scanpositions"),
        "sequence",
        homes=("sample", "scan", "geometry"),
        unit="m",
        tails=((2,), (3,)),
    ),
    Word("basis_vectors", ("basisvectors",), "sequence", unit="m", tails=((2, 3), (3, 2))),
    Word("good_frames", ("goodframes",), "sequence", "uint"),
    Word(
        "wavelength",
        ("wavelength", "incidentwavelength", "beamwavelength", "photonwavelengtha"),
        "scalar",
        homes=_BEAM,
        unit="m",
        named_units=(("photonwavelengtha", "angstrom"),),
    ),
    Word(
        "energy",
        ("energy", "incidentenergy", "photonenergy", "beamenergy", "photonenergyev"),
        "scalar",
        homes=_BEAM,
        unit="J",
        named_units=(("photonenergyev", "eV"),),
    ),
    Word(
        "distance",
        ("distance", "detectordistance", "cameralength", "sampledetectordistance"),
        "scalar",
        homes=_DETECTOR,
        unit="m",
    ),
    Word(
        "x_pixel_size",
        ("xpixelsize", "pixelsizex", "pixelsizexsize"),
        "scalar",
        homes=_DETECTOR,
        unit="m",
    ),
    Word(
        "y_pixel_size",
        ("ypixelsize", "pixelsizey", "pixelsizeysize"),
        "scalar",
        homes=_DETECTOR,
        unit="m",
    ),
    Word("saturation_value", ("saturationvalue",), "scalar", homes=_DETECTOR),
    Word("underload_value", ("underloadvalue",), "scalar", homes=_DETECTOR),
    Word("exposure_time", ("exposuretime", "counttime"), "scalar", unit="s"),
    Word("train_id", ("trainid",), "sequence", "uint", homes=("image",)),
    Word("pulse_id", ("pulseid",), "sequence", "uint", homes=("image",)),
    Word("cell_id", ("cellid",), "sequence", "uint", homes=("image",)),
)

# Stacks that lie beside the frames and are not the frames.
_OTHERS = frozenset(
    ("gain", "error", "errors", "dataerror", "variance", "weights", "sigma", "maskshared", "phase")
)


def plain(name: str) -> str:
    """Return a name without what spellings differ in.

    Examples
    --------
    >>> plain("Pixel_Mask"), plain("x-pixel size")
    ('pixelmask', 'xpixelsize')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def rank_of(word: Word, path: str) -> int | None:
    """Return how good a name for an attribute the end of a path is: 0 the best, None if none."""
    group, _, name = path.rpartition("/")
    for text in (plain(name), plain(group.rpartition("/")[2]) + plain(name)):
        if text in word.names:
            return word.names.index(text)
    return None


def attribute_of(path: str) -> str | None:
    """Return the attribute whose name the end of a path is, or None.

    That is "other" for a name of stacks that are neither frames nor an attribute.

    Examples
    --------
    >>> attribute_of("/entry/instrument/detector/pixel_mask"), attribute_of("/entry/data/data")
    ('mask', None)
    """
    for word in WORDS:
        if rank_of(word, path) is not None:
            return word.attr
    return "other" if plain(path.rpartition("/")[2]) in _OTHERS else None
