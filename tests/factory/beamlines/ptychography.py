"""Files of ptychography and speckle tracking: cdtools, PyNX, speckle-tracking, pyrost."""

import h5py
import numpy as np

from ..values import BASIS, DATA, DETECTOR, DISTANCE, MASK, WAVELENGTH, frames, good_mask
from .cxi import LINK, POSITIONS, SIZE_PATHS, SIZES, TRANSLATION, VECTORS, X_SIZE, Y_SIZE
from .run import CXI_FLAGS, ENERGY, FRAMES, SHAPE, WAVELENGTH_M, Run, fill, good

__all__ = ["LAYOUTS"]

IN_J = "/entry_1/instrument_1/source_1/energy"
WHITE = np.linspace(90, 110, SHAPE[0] * SHAPE[1], dtype="float32").reshape(SHAPE)


def cdtools_ptychography(folder):
    """cdtools' datasets: `basis_vectors` transposed (3, 2), all in float32, awkward chunks.

    As in p25_near_field_ptycho.cxi, a scan at PETRA III (doi 10.5281/zenodo.17899482).
    """
    stack = frames(FRAMES, SHAPE, "int32")
    positions, vectors = POSITIONS.astype("float32"), VECTORS.T.astype("float32")
    with h5py.File(folder / "ptycho.cxi", "w") as h5:
        h5.create_dataset(DATA, data=stack, chunks=(3, 5, 7), compression="gzip")
        tree = {
            "/cxi_version": 160,
            "/number_of_entries": 1,
            LINK: h5py.SoftLink(DATA),
            "/entry_1/data_1/translation": h5py.SoftLink(TRANSLATION),
            MASK: CXI_FLAGS,
            BASIS: vectors,
            DISTANCE: np.float32(0.5),
            X_SIZE: np.float32(SIZES["x_pixel_size"]),
            Y_SIZE: np.float32(SIZES["y_pixel_size"]),
            IN_J: np.float32(ENERGY),
            WAVELENGTH: np.float32(WAVELENGTH_M),
            TRANSLATION: positions,
        }
        fill(h5, tree)
    return Run(
        "cdtools_ptychography",
        "cxi",
        (folder / "ptycho.cxi",),
        stack,
        {
            "data": DATA,
            "mask": MASK,
            "basis_vectors": BASIS,
            "translations": TRANSLATION,
            "distance": DISTANCE,
            "wavelength": WAVELENGTH,
            "energy": IN_J,
            **SIZE_PATHS,
        },
        mask=good(CXI_FLAGS, "cxi"),
        flags=CXI_FLAGS,
        scalars={"distance": 0.5, "wavelength": WAVELENGTH_M, "energy": ENERGY, **SIZES},
        sequences={"translations": positions, "basis_vectors": vectors},
        promises=(LINK, "/entry_1/data_1/translation"),
    )


def pynx_ptychography(folder):
    """PyNX's `save_ptycho_data_cxi`: NX classes and CXI paths; positions are (3, frames).

    The positions are no sequence of frames, so they are in `others`.
    """
    stack = frames(FRAMES, SHAPE, "float32")
    vectors = VECTORS.astype("float32")
    positions = np.ascontiguousarray(POSITIONS.T, "float32")
    flags = (CXI_FLAGS != 0).astype("int8")
    gzip = {"shuffle": True, "compression": "gzip"}
    with h5py.File(folder / "pynx.cxi", "w") as h5:
        h5.create_dataset(DATA, data=stack, chunks=(1, *SHAPE), **gzip)
        h5.create_dataset(MASK, data=flags, chunks=True, **gzip)
        tree = {
            "/@creator": "PyNX",
            "/@default": "entry_1",
            "/@file_time": "2020-11-03T10:20:30+0100",
            "/cxi_version": 140,
            "/entry_1@NX_class": "NXentry",
            "/entry_1@default": "data_1",
            "/entry_1/program_name": "PyNX 2020.2",
            "/entry_1/start_time": "2020-11-03T10:20:30+0100",
            "/entry_1/sample_1@NX_class": "NXgeometry",
            TRANSLATION: positions,
            "/entry_1/data_1@NX_class": "NXdata",
            "/entry_1/data_1@signal": "data",
            "/entry_1/data_1@interpretation": "image",
            "/entry_1/data_1/translation": h5py.SoftLink(TRANSLATION),
            LINK: h5py.SoftLink(DATA),
            "/entry_1/instrument_1@NX_class": "NXinstrument",
            "/entry_1/instrument_1/name": "ESRF id16A",
            IN_J: ENERGY,
            f"{IN_J}@note": "Incident photon energy (instead of source energy)",
            f"{DETECTOR}@NX_class": "NX_detector",
            DISTANCE: 0.5,
            f"{DISTANCE}@units": "m",
            X_SIZE: SIZES["x_pixel_size"],
            f"{X_SIZE}@units": "m",
            Y_SIZE: SIZES["y_pixel_size"],
            f"{Y_SIZE}@units": "m",
            f"{MASK}@note": "Mask of invalid pixels, applying to each frame",
            BASIS: vectors,
            f"{DETECTOR}/translation": h5py.SoftLink(TRANSLATION),
            "/entry_1/data_1/process_1/program": "PyNX",
        }
        fill(h5, tree)
    return Run(
        "pynx_ptychography",
        "cxi",
        (folder / "pynx.cxi",),
        stack,
        {
            "data": DATA,
            "mask": MASK,
            "basis_vectors": BASIS,
            "distance": DISTANCE,
            "energy": IN_J,
            **SIZE_PATHS,
        },
        mask=good(flags, "cxi"),
        flags=flags,
        scalars={"distance": 0.5, "energy": ENERGY, **SIZES},
        derived={"wavelength": WAVELENGTH_M},
        sequences={"basis_vectors": vectors},
        others={TRANSLATION: positions},
        promises=(LINK, f"{DETECTOR}/translation", "/entry_1/data_1/translation"),
    )


def speckle_tracking_cxidb(folder):
    """A. Morgan's speckle-tracking: its CXI input, and what its steps add beside it.

    The default protocol's paths /mask_maker, /make_whitefield and /frame_selector come from it.
    """
    stack = frames(FRAMES, SHAPE, "uint16")
    vectors = np.repeat(VECTORS[None], FRAMES, axis=0)
    mask = good_mask(SHAPE, [(2, 3), (4, 5)])
    selected = np.array([0, 1, 2, 4, 5, 7])
    paths = {
        "data": DATA,
        "mask": "/mask_maker/mask",
        "basis_vectors": BASIS,
        "translations": "/entry_1/sample_1/geometry/translation",
        "distance": DISTANCE,
        "wavelength": WAVELENGTH,
        "whitefield": "/make_whitefield/whitefield",
        "good_frames": "/frame_selector/good_frames",
        **SIZE_PATHS,
    }
    with h5py.File(folder / "speckle.cxi", "w") as h5:
        h5.create_dataset(DATA, data=stack, chunks=(1, *SHAPE), compression="gzip")
        tree = {
            LINK: h5py.SoftLink(DATA),
            paths["mask"]: mask,
            BASIS: vectors,
            paths["translations"]: POSITIONS,
            DISTANCE: 0.5,
            WAVELENGTH: WAVELENGTH_M,
            IN_J: ENERGY,
            X_SIZE: SIZES["x_pixel_size"],
            Y_SIZE: SIZES["y_pixel_size"],
            paths["whitefield"]: WHITE,
            paths["good_frames"]: selected,
        }
        fill(h5, tree)
    return Run(
        "speckle_tracking_cxidb",
        "default",
        (folder / "speckle.cxi",),
        stack,
        paths,
        mask=mask,
        scalars={"distance": 0.5, "wavelength": WAVELENGTH_M, **SIZES},
        sequences={
            "basis_vectors": vectors,
            "translations": POSITIONS,
            "good_frames": selected,
        },
        images={"whitefield": WHITE},
        promises=(LINK,),
    )


def pyrost_results(folder):
    """What pyrost saves: every attribute at the first path of its protocol, a mask a frame."""
    stack = frames(FRAMES, SHAPE, "uint16")
    mask = good_mask(stack.shape, [(n, n, n + 1) for n in range(FRAMES)])
    vectors = np.repeat(VECTORS[None], FRAMES, axis=0)
    paths = {
        "data": "/entry/data/data",
        "mask": "/speckle_tracking/mask",
        "basis_vectors": "/speckle_tracking/basis_vectors",
        "translations": "/speckle_tracking/translations",
        "good_frames": "/speckle_tracking/good_frames",
        "distance": "/entry/instrument/detector/distance",
        "x_pixel_size": "/entry/instrument/detector/x_pixel_size",
        "y_pixel_size": "/entry/instrument/detector/y_pixel_size",
        "wavelength": "/entry/instrument/source/wavelength",
        "defocus_x": "/speckle_tracking/defocus_x",
        "defocus_y": "/speckle_tracking/defocus_y",
        "whitefield": "/speckle_tracking/whitefield",
        "phase": "/speckle_tracking/phase",
    }
    run = Run(
        "pyrost_results",
        "default",
        (folder / "results.cxi",),
        stack,
        paths,
        mask=mask,
        scalars={
            "distance": 0.5,
            "wavelength": WAVELENGTH_M,
            "defocus_x": 1.5e-4,
            "defocus_y": -2e-4,
            **SIZES,
        },
        sequences={
            "basis_vectors": vectors,
            "translations": POSITIONS,
            "good_frames": np.arange(FRAMES),
        },
        images={"whitefield": WHITE, "phase": WHITE.astype("float64") / 50},
    )
    with h5py.File(run.files[0], "w") as h5:
        for name in ("data", "mask"):
            array = getattr(run, name)
            h5.create_dataset(paths[name], data=array, maxshape=(None, *SHAPE), chunks=(1, *SHAPE))
        values = {**run.scalars, **run.sequences, **run.images}
        fill(h5, {paths[name]: value for name, value in values.items()})
    return run


LAYOUTS = (cdtools_ptychography, pynx_ptychography, speckle_tracking_cxidb, pyrost_results)
