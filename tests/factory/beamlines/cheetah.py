"""CXI files of XFEL programs: Cheetah, its successors' hit files, condor."""

import h5py
import numpy as np

from ..values import DATA, DETECTOR, DISTANCE, MASK, frames
from .cxi import LINK, X_SIZE, Y_SIZE
from .run import ENERGY, EV, FRAMES, HC, SHAPE, Run, fill, good

__all__ = ["LAYOUTS"]

IN_J = "/entry_1/instrument_1/source_1/energy"
IDENTIFIER = "/entry_1/experiment_identifier"

#: Cheetah's own bits beside CXI's, in uint16 (detectorObject.h): in peak mask, ignored, out of
#: resolution, artefact corrected (0x800), failed artefact correction (0x1000), peak (0x2000),
#: photon background corrected (0x4000), in jet (0x8000).
FLAGS = np.zeros(SHAPE, "uint16")
for _n, _value in enumerate((1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800)):
    FLAGS[_n, 2 * (_n % 8)] = _value
for _n, _value in enumerate((0x1000, 0x1800, 0x2000, 0x4000, 0x8000)):
    FLAGS[15, 3 * _n] = _value


def _stack(h5, name, values, axes="experiment_identifier"):
    """Write as Cheetah's `create2DStack` does: room for many events, cut to their number."""
    values = np.asarray(values)
    room = (2 * FRAMES, *values.shape[1:])
    data = h5.create_dataset(
        name, room, values.dtype, maxshape=(None, *values.shape[1:]), chunks=room
    )
    data[: len(values)] = values
    data.resize(len(values), axis=0)
    data.attrs["axes"] = np.array([axes], "S")
    data.attrs["numEvents"] = np.array([len(values)], "int32")


def cheetah(folder):
    """Cheetah's CXI (libcheetah, saveCXI.cpp): everything once an event.

    Extendable stacks whose chunk is larger than the run; a mask for each event;
    `distance`, the pixel sizes and the energy are arrays.
    """
    stack = frames(FRAMES, SHAPE, "int16", start=-400)
    flags = np.repeat(FLAGS[None], FRAMES, axis=0)
    flags[1, 8:10] |= 0x2000
    energies = ENERGY * np.linspace(0.999, 1.001, FRAMES)
    per_event = {
        "energy": (IN_J, energies),
        "distance": (DISTANCE, np.full(FRAMES, 0.565)),
        "x_pixel_size": (X_SIZE, np.full(FRAMES, 110e-6)),
        "y_pixel_size": (Y_SIZE, np.full(FRAMES, 110e-6)),
    }
    with h5py.File(folder / "cxidb-r0163.cxi", "w") as h5:
        h5["/cxi_version"] = np.array([140], "int32")
        _stack(h5, DATA, stack, "experiment_identifier:y:x")
        _stack(h5, MASK, flags, "experiment_identifier:y:x")
        for path, values in per_event.values():
            _stack(h5, path, values)
        _stack(h5, IDENTIFIER, np.array([f"LCLS_2013_Mar20_r0163_{n}" for n in range(FRAMES)], "S"))
        _stack(h5, "/LCLS/photon_energy_eV", energies / EV)
        _stack(h5, "/LCLS/photon_wavelength_A", HC / energies * 1e10)
        _stack(h5, "/LCLS/machineTime", np.arange(FRAMES, dtype="int32") + 1363800000)
        _stack(h5, "/LCLS/detector_1/EncoderValue", np.full(FRAMES, -500.0))
        _stack(h5, "/cheetah/event_data/peakNpix", np.arange(FRAMES, dtype="int32") * 7)
        _stack(h5, "/cheetah/event_data/hit", np.ones(FRAMES, "int32"))
        tree = {
            f"{DETECTOR}/mask_shared": FLAGS,
            f"{DETECTOR}/experiment_identifier": h5py.SoftLink(IDENTIFIER),
            LINK: h5py.SoftLink(DATA),
            "/entry_1/data_1/mask": h5py.SoftLink(MASK),
        }
        fill(h5, tree)
    return Run(
        "cheetah",
        "cxi",
        (folder / "cxidb-r0163.cxi",),
        stack,
        {"data": DATA, "mask": MASK, **{name: path for name, (path, _) in per_event.items()}},
        mask=good(flags, "cxi"),
        flags=flags,
        scalars={name: values for name, (_, values) in per_event.items()},
        others={f"{DETECTOR}/mask_shared": FLAGS},
        promises=(
            LINK,
            "/entry_1/data_1/mask",
            f"{DETECTOR}/experiment_identifier",
            "/LCLS/photon_energy_eV",
            "/cheetah/event_data/peakNpix",
        ),
    )


def cheetah_hits(folder):
    """Hits with peaks (psocake, Cheetah of 2018, btx): all in `data_1`, a static mask beside.

    Several files of a run; the geometry is in CrystFEL's file, the energy in /LCLS only.
    """
    stack = frames(FRAMES, SHAPE, "float32")
    files = []
    for n, part in enumerate((stack[:3], stack[3:])):
        count = len(part)
        files.append(folder / f"r0009-c{n:02}.cxi")
        with h5py.File(files[-1], "w") as h5:
            rows = {"maxshape": (None, *SHAPE), "chunks": (1, *SHAPE)}
            h5.create_dataset(LINK, data=part, **rows)
            tree = {
                f"{LINK}@axes": "experiment_identifier:y:x",
                "/entry_1/data_1/mask": FLAGS,
                "/entry_1/result_1/nPeaks": np.arange(count, dtype="int32") + 1,
                "/entry_1/result_1/peakXPosRaw": np.ones((count, 32), "float32"),
                "/entry_1/result_1/peakYPosRaw": np.ones((count, 32), "float32"),
                "/LCLS/photon_energy_eV": np.full(count, ENERGY / EV),
                "/LCLS/eventNumber": np.arange(count),
            }
            fill(h5, tree)
    return Run(
        "cheetah_hits",
        "cxi",
        tuple(files),
        stack,
        {"data": LINK, "mask": "/entry_1/data_1/mask"},
        mask=good(FLAGS, "cxi"),
        flags=FLAGS,
        promises=("/LCLS/photon_energy_eV", "/entry_1/result_1/nPeaks"),
    )


def condor(folder):
    """condor's simulated patterns: `data_1/data` and `data_1/mask`, 16 bits of flags a frame."""
    stack = frames(FRAMES, SHAPE, "float64") / 8
    flags = np.repeat(FLAGS[None], FRAMES, axis=0)
    rows = {"maxshape": (None, *SHAPE), "chunks": (1, *SHAPE)}
    with h5py.File(folder / "condor.cxi", "w") as h5:
        h5.create_dataset(LINK, data=stack, **rows)
        h5.create_dataset("/entry_1/data_1/mask", data=flags, **rows)
        fill(h5, {"/source/wavelength": np.full(FRAMES, 1e-9), "/particles": np.arange(FRAMES)})
    return Run(
        "condor",
        "cxi",
        (folder / "condor.cxi",),
        stack,
        {"data": LINK, "mask": "/entry_1/data_1/mask"},
        mask=good(flags, "cxi"),
        flags=flags,
    )


LAYOUTS = (cheetah, cheetah_hits, condor)
