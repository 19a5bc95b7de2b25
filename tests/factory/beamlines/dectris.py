"""Masters and data files of DECTRIS' filewriter, versions 1 and 2, and groups of datasets."""

import h5py
import numpy as np

from ..values import frames
from .nexus import BITSHUFFLE, DETECTOR, WAVELENGTH, counts
from .run import FRAMES, NEXUS_FLAGS, SHAPE, WAVELENGTH_M, Fault, Run, fill, good, nx_classes

__all__ = ["FAULTY", "LAYOUTS"]

SPECIFIC = f"{DETECTOR}/detectorSpecific"
FLATFIELD = np.linspace(0.9, 1.1, SHAPE[0] * SHAPE[1], dtype="float32").reshape(SHAPE)
PARTS = (slice(0, 3), slice(3, 6), slice(6, FRAMES))
CLASSES = {
    "data": "NXdata",
    "instrument": "NXinstrument",
    "instrument/beam": "NXbeam",
    "instrument/detector": "NXdetector",
    "instrument/detector/detectorSpecific": "NXcollection",
    "sample": "NXsample",
}
SCALARS = {
    "distance": 0.2,
    "x_pixel_size": np.float32(75e-6),
    "y_pixel_size": np.float32(75e-6),
    "wavelength": WAVELENGTH_M,
}
PATHS = {
    "distance": f"{DETECTOR}/detector_distance",
    "x_pixel_size": f"{DETECTOR}/x_pixel_size",
    "y_pixel_size": f"{DETECTOR}/y_pixel_size",
    "wavelength": WAVELENGTH,
}


def _header(h5):
    """Write what a master of filewriter 1 says of the detector; all numbers are float32."""
    nx_classes(h5, CLASSES)
    lengths = {"detector_distance": 0.2, "x_pixel_size": 75e-6, "y_pixel_size": 75e-6}
    tree = {
        "/entry/definition": np.bytes_("NXmx"),
        "/entry/definition@version": np.bytes_("1.4"),
        f"{DETECTOR}/description": np.bytes_("Dectris EIGER2 Si 16M"),
        f"{DETECTOR}/bit_depth_image": np.uint32(32),
        f"{DETECTOR}/countrate_correction_applied": np.int32(1),
        f"{SPECIFIC}/countrate_correction_count_cutoff": np.uint32(46051),
        f"{SPECIFIC}/nimages": np.uint32(FRAMES),
        f"{SPECIFIC}/ntrigger": np.uint32(1),
        f"{SPECIFIC}/photon_energy": np.float32(12398.4),
        f"{SPECIFIC}/photon_energy@units": np.bytes_("eV"),
        f"{SPECIFIC}/pixel_mask": NEXUS_FLAGS,
        f"{SPECIFIC}/flatfield": FLATFIELD,
        f"{SPECIFIC}/x_pixels_in_detector": np.uint32(SHAPE[1]),
        f"{SPECIFIC}/y_pixels_in_detector": np.uint32(SHAPE[0]),
        WAVELENGTH: np.float32(1.0),
        f"{WAVELENGTH}@units": np.bytes_("angstrom"),
    }
    for name, value in lengths.items():
        tree[f"{DETECTOR}/{name}"] = np.float32(value)
        tree[f"{DETECTOR}/{name}@units"] = np.bytes_("m")
    fill(h5, tree)


def _frames_of(h5, name, part, low):
    """Write frames as filewriter does, with the numbers of the first and the last image."""
    data = h5.create_dataset(
        name, data=part, chunks=(1, *SHAPE), maxshape=(None, *SHAPE), **BITSHUFFLE
    )
    data.attrs["image_nr_low"] = np.int32(low)
    data.attrs["image_nr_high"] = np.int32(low + len(part) - 1)


def _master(folder, name, links):
    """Write three data files and a master with `links` links to them."""
    stack = counts()
    for n, part in enumerate(PARTS, 1):
        with h5py.File(folder / f"{name}_data_{n:06}.h5", "w") as h5:
            fill(h5, {"/entry@NX_class": "NXentry", "/entry/data@NX_class": "NXdata"})
            _frames_of(h5, "/entry/data/data", stack[part], part.start + 1)
    with h5py.File(folder / f"{name}_master.h5", "w") as h5:
        _header(h5)
        for n in range(1, links + 1):
            h5[f"/entry/data/data_{n:06}"] = h5py.ExternalLink(
                f"{name}_data_{n:06}.h5", "/entry/data/data"
            )
    return folder / f"{name}_master.h5", stack


def dectris_master(folder):
    """Filewriter 1.x: a master of external links; mask and flatfield in detectorSpecific only."""
    master, stack = _master(folder, "insulin_1", len(PARTS))
    return Run(
        "dectris_master",
        "nxmx",
        (master,),
        stack,
        {
            "data": "/entry/data",
            "mask": f"{SPECIFIC}/pixel_mask",
            "flatfield": f"{SPECIFIC}/flatfield",
            **PATHS,
        },
        mask=good(NEXUS_FLAGS, "nexus"),
        flags=NEXUS_FLAGS,
        scalars=SCALARS,
        images={"flatfield": FLATFIELD},
        promises=("/entry/data/data_000003", f"{SPECIFIC}/nimages"),
    )


def dectris_data_files(folder):
    """Name the data files of such a master, not the master: frames, and nothing else."""
    _, stack = _master(folder, "insulin_2", len(PARTS))
    files = tuple(folder / f"insulin_2_data_{n:06}.h5" for n in (1, 2, 3))
    return Run("dectris_data_files", "nxmx", files, stack, {"data": "/entry/data/data"})


def group_with_gaps(folder):
    """All data files merged into one, the numbers 1, 3 and 10: after a file was left out."""
    stack = counts()
    name = folder / "merged.h5"
    with h5py.File(name, "w") as h5:
        _header(h5)
        for number, part in reversed(list(zip((1, 3, 10), PARTS, strict=True))):
            _frames_of(h5, f"/entry/data/data_{number:06}", stack[part], part.start + 1)
    return Run(
        "group_with_gaps",
        "nxmx",
        (name,),
        stack,
        {"data": "/entry/data", "mask": f"{SPECIFIC}/pixel_mask", **PATHS},
        mask=good(NEXUS_FLAGS, "nexus"),
        flags=NEXUS_FLAGS,
        scalars=SCALARS,
        promises=("/entry/data/data_000010",),
    )


def dectris_channels(folder):
    """Filewriter 2: (frames, channels, ss, fs), virtual; a mask for each channel, none for all."""
    stack = frames(2 * FRAMES, SHAPE, "uint32").reshape(FRAMES, 2, *SHAPE)
    layout = h5py.VirtualLayout(stack.shape, stack.dtype)
    for n, part in enumerate(PARTS, 1):
        source = f"two_data_{n:06}.h5"
        with h5py.File(folder / source, "w") as h5:
            h5.create_dataset(
                "/entry/data/data", data=stack[part], chunks=(1, 1, *SHAPE), **BITSHUFFLE
            )
        layout[part] = h5py.VirtualSource(source, "/entry/data/data", stack[part].shape)
    name = folder / "two_master.h5"
    channel = f"{DETECTOR}/threshold_1_channel"
    with h5py.File(name, "w", libver="latest") as h5:
        nx_classes(h5, CLASSES)
        h5.create_virtual_dataset("/entry/data/data", layout)
        tree = {
            "/entry/definition": "NXmx",
            "/entry/program_name": "DECTRIS-DAQ",
            "/entry/data@signal": "data",
            "/entry/data@axes": ["image_id", "channel", ".", "."],
            "/entry/data@image_id_indices": 0,
            "/entry/data@channel_indices": 1,
            "/entry/data/image_id": np.arange(1, FRAMES + 1),
            "/entry/data/channel": ["threshold_1", "threshold_2"],
            f"{DETECTOR}/distance": 0.2,
            f"{DETECTOR}/distance@units": "m",
            f"{channel}@NX_class": "NXdetector_channel",
            f"{channel}/pixel_mask": NEXUS_FLAGS,
            f"{channel}/threshold_energy": 6200.0,
            WAVELENGTH: 1.0,
            f"{WAVELENGTH}@units": "angstrom",
        }
        fill(h5, tree)
    return Run(
        "dectris_channels",
        "nxmx",
        (name,),
        stack,
        {"data": "/entry/data/data", "distance": f"{DETECTOR}/distance", "wavelength": WAVELENGTH},
        scalars={"distance": 0.2, "wavelength": WAVELENGTH_M},
        others={f"{channel}/pixel_mask": NEXUS_FLAGS},
    )


def dectris_links_past_the_end(folder):
    """Filewriter links all files that a scan may need; a scan that stops early writes fewer."""
    master, _ = _master(folder, "stopped", len(PARTS) + 2)
    note = "five links, three files: data_000004 and data_000005 were never written"
    at = ("stopped_data_000004.h5", "stopped_data_000005.h5")
    return Fault("dectris_links_past_the_end", "nxmx", (master,), note, at, FRAMES)


def dectris_lost_file(folder):
    """A data file in the middle of a run was not copied."""
    master, _ = _master(folder, "lost", len(PARTS))
    (folder / "lost_data_000002.h5").unlink()
    note = "the second of three data files is gone: frames 3 to 5"
    return Fault("dectris_lost_file", "nxmx", (master,), note, ("lost_data_000002.h5",), 5)


LAYOUTS = (dectris_master, dectris_data_files, group_with_gaps, dectris_channels)
FAULTY = (dectris_links_past_the_end, dectris_lost_file)
