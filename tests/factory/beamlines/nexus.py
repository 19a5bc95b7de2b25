"""NXmx files of synchrotrons: Diamond's (odin, nexgen), linked ones, the Lambda detector's."""

from dataclasses import replace

import h5py
import hdf5plugin
import numpy as np

from ..values import frames
from .run import (
    ENERGY,
    EV,
    FRAMES,
    NEXUS_FLAGS,
    SHAPE,
    WAVELENGTH_M,
    Fault,
    Run,
    fill,
    good,
    nx_classes,
)

__all__ = ["BITSHUFFLE", "DETECTOR", "FAULTY", "LAYOUTS", "WAVELENGTH", "counts"]

DATA, DETECTOR = "/entry/data/data", "/entry/instrument/detector"
WAVELENGTH = "/entry/instrument/beam/incident_wavelength"
BITSHUFFLE = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")
FLATFIELD = np.linspace(0.9, 1.1, SHAPE[0] * SHAPE[1], dtype="float32").reshape(SHAPE)
PARTS = (slice(0, 5), slice(5, FRAMES))


def counts(dtype="uint32"):
    """Return frames in which a gap holds the type's largest value, as DECTRIS detectors have."""
    stack = frames(FRAMES, SHAPE, dtype)
    stack[:, NEXUS_FLAGS & 1 == 1] = np.iinfo(dtype).max
    return stack


def _geometry(distance, size):
    """Return fields of a detector by name: values with their units."""
    tree = {}
    fields = {"distance": distance, "x_pixel_size": size, "y_pixel_size": size}
    for name, (value, units) in fields.items():
        tree[f"{DETECTOR}/{name}"] = value
        tree[f"{DETECTOR}/{name}@units"] = units
    return tree


GEOMETRY = {"distance": 0.2, "x_pixel_size": 75e-6, "y_pixel_size": 75e-6}
PATHS = {
    "data": DATA,
    **{name: f"{DETECTOR}/{name}" for name in (*GEOMETRY, "saturation_value", "underload_value")},
    "mask": f"{DETECTOR}/pixel_mask",
    "wavelength": WAVELENGTH,
}
CLASSES = {
    "data": "NXdata",
    "instrument": "NXinstrument",
    "instrument/beam": "NXbeam",
    "instrument/detector": "NXdetector",
    "sample": "NXsample",
    "sample/transformations": "NXtransformations",
}


def _entry(h5, axes=("omega", ".", ".")):
    nx_classes(h5, CLASSES)
    tree = {
        "/entry/definition": np.bytes_("NXmx"),
        "/entry/definition@version": "1.5",
        "/entry/start_time": np.bytes_("2022-03-04T05:06:07Z"),
        "/entry/data@signal": "data",
        "/entry/data@axes": list(axes),
        "/entry/data/omega": np.arange(FRAMES) * 0.1,
        "/entry/data/omega@units": "deg",
        "/entry/sample/name": "thaumatin",
        "/entry/sample/depends_on": "/entry/sample/transformations/omega",
        "/entry/sample/transformations/omega": h5py.SoftLink("/entry/data/omega"),
    }
    fill(h5, tree)


def _odin(folder, stack):
    """Write data files and the `_meta` file of Diamond's odin-data; return the data files."""
    files = []
    for n, part in enumerate(PARTS, 1):
        files.append(folder / f"ins_8_5_{n:06}.h5")
        with h5py.File(files[-1], "w") as h5:
            h5.create_dataset("/data", data=stack[part], chunks=(1, *SHAPE), **BITSHUFFLE)
    with h5py.File(folder / "ins_8_5_meta.h5", "w") as h5:
        h5.create_dataset("/mask", data=NEXUS_FLAGS, chunks=SHAPE, **BITSHUFFLE)
        fill(h5, {"/flatfield": FLATFIELD, "/_dectris/x_pixel_size": [75e-6]})
    return files


def _diamond(folder, virtual):
    """Write Diamond's master; `virtual` gives the file and the dataset of each source."""
    stack = counts()
    sources = _odin(folder, stack)
    name = folder / "ins_8_5.nxs"
    transformations = f"{DETECTOR}/transformations"
    with h5py.File(name, "w", libver="latest") as h5:
        _entry(h5)
        for n, source in enumerate(sources, 1):
            h5[f"/entry/data/data_{n:06}"] = h5py.ExternalLink(source.name, "/data")
        layout = h5py.VirtualLayout(stack.shape, stack.dtype)
        for part, source in zip(PARTS, virtual(sources), strict=True):
            layout[part] = h5py.VirtualSource(*source, stack[part].shape)
        h5.create_virtual_dataset(DATA, layout)
        tree = {
            f"{DETECTOR}/description": np.bytes_("Eiger 16M"),
            f"{DETECTOR}/pixel_mask": h5py.ExternalLink("ins_8_5_meta.h5", "/mask"),
            f"{DETECTOR}/flatfield": h5py.ExternalLink("ins_8_5_meta.h5", "/flatfield"),
            f"{DETECTOR}/saturation_value": 46051,
            f"{DETECTOR}/underload_value": -1,
            **_geometry((0.2, "m"), (75e-6, "m")),
            f"{DETECTOR}/depends_on": f"{transformations}/detector_z/det_z",
            f"{transformations}@NX_class": "NXtransformations",
            f"{transformations}/detector_z@NX_class": "NXpositioner",
            f"{transformations}/detector_z/det_z": [200.0],
            f"{transformations}/detector_z/det_z@units": "mm",
            f"{transformations}/detector_z/det_z@transformation_type": "translation",
            f"{transformations}/detector_z/det_z@vector": [0.0, 0.0, 1.0],
            f"{transformations}/detector_z/det_z@depends_on": ".",
            WAVELENGTH: 1.0,
            f"{WAVELENGTH}@units": "angstrom",
        }
        fill(h5, tree)
    return Run(
        "diamond",
        "nxmx",
        (name,),
        stack,
        {**PATHS, "flatfield": f"{DETECTOR}/flatfield"},
        mask=good(NEXUS_FLAGS, "nexus"),
        flags=NEXUS_FLAGS,
        scalars={
            **GEOMETRY,
            "wavelength": WAVELENGTH_M,
            "saturation_value": 46051,
            "underload_value": -1,
        },
        images={"flatfield": FLATFIELD},
        promises=("/entry/data/data_000002", f"{transformations}/detector_z/det_z"),
    )


def diamond_nexgen(folder):
    """Diamond's nexgen: the virtual dataset maps, in the master itself, links to the data files.

    nexgen's vds_tools: ``VirtualSource(".", "/entry/data/data_000001")``, an external link.
    """
    links = [(".", f"/entry/data/data_{n:06}") for n in (1, 2)]
    return replace(_diamond(folder, lambda _: links), name="diamond_nexgen")


def diamond_odin(folder):
    """Diamond's odin: the virtual dataset maps the data files directly, bitshuffle with LZ4."""
    run = _diamond(folder, lambda sources: [(source.name, "/data") for source in sources])
    return replace(run, name="diamond_odin")


def nxmx_energy(folder):
    """One file; the energy in eV alone, the distance in mm, pixels in um, float flatfield."""
    stack = counts("uint16")
    name, energy = folder / "energy.nxs", "/entry/instrument/beam/incident_energy"
    with h5py.File(name, "w") as h5:
        h5.create_dataset(DATA, data=stack)
        _entry(h5)
        tree = {
            f"{DETECTOR}/pixel_mask": NEXUS_FLAGS,
            f"{DETECTOR}/pixel_mask_applied": False,
            f"{DETECTOR}/flatfield": FLATFIELD,
            f"{DETECTOR}/saturation_value": 60000,
            f"{DETECTOR}/underload_value": 0,
            **_geometry((200.0, "mm"), (75.0, "um")),
            energy: ENERGY / EV,
            f"{energy}@units": "eV",
        }
        fill(h5, tree)
    paths = {name: path for name, path in PATHS.items() if name != "wavelength"}
    return Run(
        "nxmx_energy",
        "nxmx",
        (name,),
        stack,
        {**paths, "energy": energy, "flatfield": f"{DETECTOR}/flatfield"},
        mask=good(NEXUS_FLAGS, "nexus"),
        flags=NEXUS_FLAGS,
        scalars={**GEOMETRY, "energy": ENERGY, "saturation_value": 60000, "underload_value": 0},
        derived={"wavelength": WAVELENGTH_M},
        images={"flatfield": FLATFIELD},
    )


def nxmx_linked(folder):
    """`/entry/data/data` is an external link; arrays of one element; pixels in mm."""
    stack = counts()
    with h5py.File(folder / "frames.h5", "w") as h5:
        h5.create_dataset(DATA, data=stack, chunks=(1, *SHAPE), **BITSHUFFLE)
    name = folder / "scan_7.nxs"
    with h5py.File(name, "w") as h5:
        h5[DATA] = h5py.ExternalLink("frames.h5", DATA)
        _entry(h5)
        tree = {
            f"{DETECTOR}/pixel_mask": NEXUS_FLAGS,
            f"{DETECTOR}/saturation_value": [46051],
            f"{DETECTOR}/underload_value": [0],
            **_geometry(([20.0], "cm"), ([0.075], "mm")),
            WAVELENGTH: [0.1],
            f"{WAVELENGTH}@units": "nm",
        }
        fill(h5, tree)
    scalars = {
        **GEOMETRY,
        "wavelength": WAVELENGTH_M,
        "saturation_value": 46051,
        "underload_value": 0,
    }
    return Run(
        "nxmx_linked",
        "nxmx",
        (name,),
        stack,
        PATHS,
        mask=good(NEXUS_FLAGS, "nexus"),
        flags=NEXUS_FLAGS,
        scalars=scalars,
    )


def lambda_nxmx(folder):
    """X-Spectrum's Lambda (PETRA III): frames in the detector's group, arrays of one, um.

    As dxtbx's FormatHDF5Lambda reads it; the NXmx protocol also finds its mask and its units.
    """
    data = f"{DETECTOR}/data"
    stack = counts("uint16")
    files = []
    for n, part in enumerate(PARTS, 1):
        files.append(folder / f"scan_{n:05}_Lambda.nxs")
        with h5py.File(files[-1], "w") as h5:
            h5.create_dataset(
                data,
                data=stack[part],
                maxshape=(None, *SHAPE),
                chunks=(1, *SHAPE),
                compression="gzip",
                compression_opts=2,
            )
            nx_classes(h5, {"instrument": "NXinstrument", "instrument/detector": "NXdetector"})
            tree = {
                f"{DETECTOR}/description": np.array([b"Lambda"]),
                f"{DETECTOR}/layout": np.array([b"20X16"]),
                f"{DETECTOR}/pixel_mask": NEXUS_FLAGS,
                f"{DETECTOR}/saturation_value": np.array([60000], "int32"),
                f"{DETECTOR}/sensor_material": np.array([b"Si"]),
                f"{DETECTOR}/sensor_thickness": np.array([300.0]),
                f"{DETECTOR}/collection@NX_class": "NXcollection",
                f"{DETECTOR}/collection/frame_numbers": np.array([len(stack[part])]),
                **_geometry(([0.2], "m"), ([75.0], "um")),
            }
            fill(h5, tree)
    names = ("distance", "x_pixel_size", "y_pixel_size", "saturation_value", "mask")
    return Run(
        "lambda_nxmx",
        "nxmx",
        tuple(files),
        stack,
        {"data": data, **{name: PATHS[name] for name in names}},
        mask=good(NEXUS_FLAGS, "nexus"),
        flags=NEXUS_FLAGS,
        scalars={**GEOMETRY, "saturation_value": 60000},
        promises=(f"{DETECTOR}/collection/frame_numbers",),
    )


def lambda_default(folder):
    """Open the same files by the default protocol: the frames; no mask; values as stored."""
    run = lambda_nxmx(folder)
    paths = {"data": run.paths["data"]}
    return replace(
        run,
        name="lambda_default",
        protocol="default",
        paths=paths,
        mask=None,
        flags=None,
        scalars={},
    )


def diamond_lost_file(folder):
    """A data file behind the virtual dataset was not copied."""
    run = diamond_odin(folder)
    (folder / "ins_8_5_000002.h5").unlink()
    note = "the second data file is gone; HDF5 reads its frames as zeros"
    return Fault("diamond_lost_file", "nxmx", run.files, note, ("ins_8_5_000002.h5",), 5)


def diamond_lost_meta(folder):
    """The `_meta` file was not copied: the mask's link leads nowhere."""
    run = diamond_odin(folder)
    (folder / "ins_8_5_meta.h5").unlink()
    note = "the links of pixel_mask and flatfield lead to a file that is gone"
    return Fault("diamond_lost_meta", "nxmx", run.files, note, ("ins_8_5_meta.h5",), FRAMES)


LAYOUTS = (diamond_nexgen, diamond_odin, nxmx_energy, nxmx_linked, lambda_nxmx, lambda_default)
FAULTY = (diamond_lost_file, diamond_lost_meta)
