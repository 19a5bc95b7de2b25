"""Synthesised files, one function a layout, written with plain h5py.

Every layout takes a folder and the frames of each file, and returns the names to open; what must
come back is then `numpy.concatenate` of the frames.
"""

from pathlib import Path

from .broken import (
    absent_source,
    absent_source_printf,
    dangling_link,
    external_raw,
    link_loop,
    not_hdf5,
    truncated,
)
from .layouts import (
    LAYOUTS,
    datasets_in_a_group,
    external_master,
    hard_link,
    image_2d,
    many_files,
    one_file,
    soft_link,
    virtual,
    virtual_beside_its_sources,
    virtual_over_numbered_files,
    virtual_with_a_hole,
)
from .storage import STORAGES, stored_as
from .values import (
    BASIS,
    DATA,
    DETECTOR,
    DISTANCE,
    MASK,
    TRANSLATIONS,
    WAVELENGTH,
    WHITEFIELD,
    attributes,
    frames,
    good_mask,
    put,
)

__all__ = [
    "BASIS",
    "DATA",
    "DETECTOR",
    "DISTANCE",
    "LAYOUTS",
    "MASK",
    "ROOT",
    "STORAGES",
    "TRANSLATIONS",
    "WAVELENGTH",
    "WHITEFIELD",
    "absent_source",
    "absent_source_printf",
    "attributes",
    "dangling_link",
    "datasets_in_a_group",
    "external_master",
    "external_raw",
    "frames",
    "good_mask",
    "hard_link",
    "image_2d",
    "link_loop",
    "many_files",
    "not_hdf5",
    "one_file",
    "put",
    "soft_link",
    "stored_as",
    "truncated",
    "virtual",
    "virtual_beside_its_sources",
    "virtual_over_numbered_files",
    "virtual_with_a_hole",
]

#: Of the repository: what is tested by its sources, its README and its benchmarks lies below it.
ROOT = Path(__file__).resolve().parents[2]
