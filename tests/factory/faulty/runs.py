"""Runs of beamlines in which a file is missing, as the factory of beamlines makes them."""

from cxistack import CXIProtocol, LinkError

from ..beamlines import FAULTY, LAYOUTS
from .row import faulty

# Just the paths that these programs write; the built-in protocols are tested for themselves.
NEXUS = CXIProtocol(
    {"data": "uint", "mask": "bool"},
    {
        "data": ["/entry/data/data", "/entry/data"],
        "mask": ["/entry/instrument/detector/pixel_mask"],
    },
    {"data": "stack", "mask": "stack"},
    {"mask": ["nexus"]},
)
CXI = CXIProtocol(
    {"data": "float"}, {"data": ["/entry_1/instrument_1/detector_1/data"]}, {"data": "stack"}
)


def _names(fault):
    return [str(file) for file in fault.files]


def _row(path, file, protocol=NEXUS, **more):
    return {"path": path, "file": file, "options": {"protocol": protocol}, "rest": False, **more}


@faulty(
    LinkError,
    r"stopped_data_000004\.h5.*, and \d+ more lead nowhere: the files 'stopped_data_000005\.h5'",
    **_row("/entry/data/data_000004", "stopped_master.h5"),
)
def dectris_links_past_the_end(folder):
    """A DECTRIS master links more files than were written: the scan was stopped."""
    return _names(FAULTY["dectris_links_past_the_end"](folder))


@faulty(
    LinkError,
    r"lost_data_000002\.h5",
    **_row("/entry/data/data_000002", "lost_master.h5", like="dangling_link_in_a_group"),
)
def dectris_lost_file(folder):
    """A data file of a DECTRIS run was not copied."""
    return _names(FAULTY["dectris_lost_file"](folder))


@faulty(
    LinkError,
    r"ins_8_5_000002\.h5",
    **_row("/entry/data/data", "ins_8_5.nxs", like="virtual_source_missing"),
)
def diamond_lost_file(folder):
    """A data file behind Diamond's virtual dataset was not copied."""
    return _names(FAULTY["diamond_lost_file"](folder))


@faulty(
    LinkError,
    r"ins_8_5_meta\.h5",
    **_row(
        "/entry/instrument/detector/pixel_mask",
        "ins_8_5.nxs",
        attr="mask",
        like="dangling_external_link",
    ),
)
def diamond_lost_meta(folder):
    """The file behind the mask's link was not copied; the frames load all the same."""
    return _names(FAULTY["diamond_lost_meta"](folder))


@faulty(
    LinkError,
    r"AGIPD07",
    **_row(
        "/entry_1/instrument_1/detector_1/data",
        "virtual_cxi.cxi",
        CXI,
        like="virtual_source_missing",
    ),
)
def euxfel_lost_module(folder):
    """The file of a module behind EuXFEL's virtual CXI file was not copied."""
    run = LAYOUTS["virtual_cxi"](folder)
    next(folder.glob("*AGIPD07*")).unlink()
    return _names(run)
