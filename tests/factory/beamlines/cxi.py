"""CXI files as the specification, libcxi, CXIDB and ptychography programs lay them out."""

import h5py
import numpy as np

from ..values import BASIS, DATA, DETECTOR, DISTANCE, MASK, WAVELENGTH, frames
from .run import CXI_FLAGS, ENERGY, FRAMES, HC, SHAPE, WAVELENGTH_M, Run, fill, good

__all__ = [
    "LAYOUTS",
    "LINK",
    "POSITIONS",
    "SIZES",
    "SIZE_PATHS",
    "TRANSLATION",
    "VECTORS",
    "X_SIZE",
    "Y_SIZE",
    "write",
]

LINK = "/entry_1/data_1/data"
IN_J = "/entry_1/instrument_1/source_1/energy"
X_SIZE, Y_SIZE = f"{DETECTOR}/x_pixel_size", f"{DETECTOR}/y_pixel_size"
SAMPLE = "/entry_1/sample_1"
TRANSLATION = f"{SAMPLE}/geometry_1/translation"
PIXEL = 55e-6

#: Positions of the sample in metre: a scan of two rows, each point apart.
POSITIONS = np.array([(n % 4 * 2e-7, n // 4 * 3e-7, 1e-3) for n in range(FRAMES)])

#: The detector's slow axis points down, its fast axis to the right, seen from the sample.
VECTORS = np.array([(0.0, -PIXEL, 0.0), (-PIXEL, 0.0, 0.0)])

SIZES = {"x_pixel_size": PIXEL, "y_pixel_size": PIXEL}
SIZE_PATHS = {"x_pixel_size": X_SIZE, "y_pixel_size": Y_SIZE}


def write(name, version, tree, stack=None, link=True, **options):
    """Write a file; the frames are the detector's, `data_1/data` is a soft link to them."""
    with h5py.File(name, "w") as h5:
        if version is not None:
            h5["/cxi_version"] = version
        if stack is not None:
            h5.create_dataset(DATA, data=stack, **options)
            if link:
                h5[LINK] = h5py.SoftLink(DATA)
        fill(h5, tree)
    return (name,)


def cxidb_minimal(folder):
    """CXIDB's minimal file: one 2-D image, no version, nothing else (cxidb_minimal.cxi)."""
    image = frames(1, SHAPE, "float64")
    files = write(folder / "minimal.cxi", None, {LINK: image[0]})
    return Run("cxidb_minimal", "cxi", files, image, {"data": LINK})


def libcxi_typical_raw(folder):
    """libcxi's example "typical raw": 2-D images of two detectors, energy only, version 120."""
    front, back = frames(2, SHAPE, "float64")
    second = f"{DETECTOR[:-1]}2"
    tree = {
        DATA: front,
        DISTANCE: 0.15,
        f"{second}/data": back,
        f"{second}/distance": 0.65,
        LINK: h5py.SoftLink(DATA),
        "/entry_1/data_2/data": h5py.SoftLink(f"{second}/data"),
        "/entry_1/experimental_identifier": np.bytes_("LCLS_2009_Dec11_170451_21963"),
        "/entry_1/start_time": np.bytes_("2009-12-11T17:04:51-0800"),
        "/entry_1/instrument_1/name": np.bytes_("AMO"),
        IN_J: 2.8893e-16,
        "/entry_1/instrument_1/source_1/pulse_width": 70e-15,
        f"{SAMPLE}/name": np.bytes_("Mimivirus"),
    }
    return Run(
        "libcxi_typical_raw",
        "cxi",
        write(folder / "typical_raw.cxi", 120, tree),
        front[None],
        {"data": DATA, "distance": DISTANCE, "energy": IN_J},
        scalars={"distance": 0.15, "energy": 2.8893e-16},
        derived={"wavelength": HC / 2.8893e-16},
        others={f"{second}/data": back, "/entry_1/data_2/data": back},
        promises=(LINK, "/entry_1/start_time"),
    )


def cxi_100(folder):
    """The first version (Maia, Nature Methods 9, 854 (2012)): an image and its geometry."""
    stack = frames(FRAMES, SHAPE, "float32")
    corner = np.array([-8e-4, 7e-4, 0.5])
    tree = {
        DISTANCE: 0.5,
        X_SIZE: PIXEL,
        Y_SIZE: PIXEL,
        BASIS: VECTORS,
        f"{DETECTOR}/corner_position": corner,
        IN_J: ENERGY,
        "/entry_1/title": "one entry",
    }
    return Run(
        "cxi_100",
        "cxi",
        write(folder / "v100.cxi", 100, tree, stack),
        stack,
        {"data": DATA, "distance": DISTANCE, "basis_vectors": BASIS, "energy": IN_J, **SIZE_PATHS},
        scalars={"distance": 0.5, "energy": ENERGY, **SIZES},
        derived={"wavelength": WAVELENGTH_M},
        sequences={"basis_vectors": VECTORS},
        others={f"{DETECTOR}/corner_position": corner},
        promises=(LINK,),
    )


def cxi_110_arrays_of_one(folder):
    """Every scalar, the version also, is an array of one element, as C programs write them."""
    stack = frames(FRAMES, SHAPE, "int16", start=-500)
    tree = {DISTANCE: [0.5], X_SIZE: [PIXEL], Y_SIZE: [PIXEL], WAVELENGTH: [WAVELENGTH_M]}
    return Run(
        "cxi_110_arrays_of_one",
        "cxi",
        write(folder / "v110.cxi", np.array([110], "int32"), tree, stack),
        stack,
        {"data": DATA, "distance": DISTANCE, "wavelength": WAVELENGTH, **SIZE_PATHS},
        scalars={"distance": 0.5, "wavelength": WAVELENGTH_M, **SIZES},
        promises=(LINK, "/cxi_version"),
    )


def cxi_130_mask_of_frames(folder):
    """A mask for each frame (uint32 bit field), gzipped with the frames; the energy in joule."""
    stack = frames(FRAMES, SHAPE, "uint16")
    flags = np.repeat(CXI_FLAGS[None], FRAMES, axis=0)
    flags[3, 4:6] = 2
    flags[FRAMES - 1] = 0
    tree = {IN_J: ENERGY, DISTANCE: 0.5, "/number_of_entries": 1}
    chunks = {"chunks": (2, 8, 20), "compression": "gzip", "shuffle": True}
    files = write(folder / "v130.cxi", 130, tree, stack, **chunks)
    with h5py.File(files[0], "a") as h5:
        h5.create_dataset(MASK, data=flags, **chunks)
        h5["/entry_1/data_1/mask"] = h5py.SoftLink(MASK)
    return Run(
        "cxi_130_mask_of_frames",
        "cxi",
        files,
        stack,
        {"data": DATA, "mask": MASK, "energy": IN_J, "distance": DISTANCE},
        mask=good(flags, "cxi"),
        flags=flags,
        scalars={"energy": ENERGY, "distance": 0.5},
        derived={"wavelength": WAVELENGTH_M},
        promises=(LINK, "/entry_1/data_1/mask", "/number_of_entries"),
    )


def cxi_140_axes(folder):
    """Axes and identifiers, vectors for each frame, geometry without a number; files of a run."""
    stack = frames(FRAMES, SHAPE, "uint16")
    vectors = VECTORS + np.arange(FRAMES)[:, None, None] * 1e-9
    place = f"{SAMPLE}/geometry/translation"
    files = []
    for n, part in enumerate((slice(0, 5), slice(5, FRAMES))):
        count = len(stack[part])
        tree = {
            "/entry_1/experiment_identifier": [f"shot_{n}_{i}" for i in range(count)],
            "/entry_1/start_time": "2014-03-02T11:22:33+01:00",
            f"{DETECTOR}/experiment_identifier": h5py.SoftLink("/entry_1/experiment_identifier"),
            f"{DATA}@axes": "experiment_identifier:y:x",
            MASK: CXI_FLAGS,
            f"{MASK}@axes": "y:x",
            BASIS: vectors[part],
            place: POSITIONS[part],
            WAVELENGTH: WAVELENGTH_M,
            DISTANCE: 0.5,
        }
        files += write(folder / f"r0042_{n + 9}.cxi", 140, tree, stack[part])
    return Run(
        "cxi_140_axes",
        "cxi",
        tuple(files),
        stack,
        {
            "data": DATA,
            "mask": MASK,
            "basis_vectors": BASIS,
            "translations": place,
            "wavelength": WAVELENGTH,
            "distance": DISTANCE,
        },
        mask=good(CXI_FLAGS, "cxi"),
        flags=CXI_FLAGS,
        scalars={"wavelength": WAVELENGTH_M, "distance": 0.5},
        sequences={"basis_vectors": vectors, "translations": POSITIONS},
        promises=(LINK, f"{DETECTOR}/experiment_identifier"),
    )


def cxi_160(folder):
    """All that version 1.6 of the specification names for a detector, a source and a sample."""
    stack = frames(FRAMES, SHAPE, "uint32")
    dark = frames(1, SHAPE, "float32", start=3)[0] / 4
    tree = {
        "/number_of_entries": 1,
        "/entry_1/experiment_identifier": "run 12",
        "/entry_1/program_name": "beamline control 3.1",
        "/entry_1/start_time": "2021-06-01T08:00:00+02:00",
        "/entry_1/end_time": "2021-06-01T08:10:00+02:00",
        "/entry_1/instrument_1/name": "P11",
        IN_J: ENERGY,
        WAVELENGTH: WAVELENGTH_M,
        MASK: CXI_FLAGS,
        f"{DETECTOR}/data_dark": dark,
        f"{DETECTOR}/data_white": dark + 100,
        f"{DETECTOR}/counts_per_joule": 2.5e12,
        f"{DETECTOR}/description": "Eiger",
        BASIS: VECTORS,
        f"{DETECTOR}/corner_position": [-8e-4, 7e-4, 0.5],
        DISTANCE: 0.5,
        X_SIZE: PIXEL,
        Y_SIZE: PIXEL,
        TRANSLATION: POSITIONS,
        f"{SAMPLE}/geometry_1/orientation": np.tile([1.0, 0, 0, 0, 1, 0], (FRAMES, 1)),
        f"{SAMPLE}/name": "Siemens star",
        "/entry_1/process_1/program": "cheetah",
        "/entry_1/process_1/date": "2021-06-01T08:11:00+02:00",
        f"{DISTANCE}@units": "m",
        f"{WAVELENGTH}@units": "m",
        f"{X_SIZE}@units": "m",
        f"{Y_SIZE}@units": "m",
    }
    return Run(
        "cxi_160",
        "cxi",
        write(folder / "v160.cxi", 160, tree, stack, chunks=(1, *SHAPE), compression="gzip"),
        stack,
        {
            "data": DATA,
            "mask": MASK,
            "basis_vectors": BASIS,
            "translations": TRANSLATION,
            "wavelength": WAVELENGTH,
            "energy": IN_J,
            "distance": DISTANCE,
            **SIZE_PATHS,
        },
        mask=good(CXI_FLAGS, "cxi"),
        flags=CXI_FLAGS,
        scalars={"wavelength": WAVELENGTH_M, "energy": ENERGY, "distance": 0.5, **SIZES},
        sequences={"basis_vectors": VECTORS, "translations": POSITIONS},
        others={f"{DETECTOR}/data_dark": dark, f"{DETECTOR}/data_white": dark + 100},
        promises=(LINK, f"{SAMPLE}/geometry_1/orientation", "/entry_1/process_1/program"),
    )


LAYOUTS = (
    cxidb_minimal,
    libcxi_typical_raw,
    cxi_100,
    cxi_110_arrays_of_one,
    cxi_130_mask_of_frames,
    cxi_140_axes,
    cxi_160,
)
