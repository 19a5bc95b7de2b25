"""European XFEL: a file for each of 16 modules, raw and corrected, and virtual CXI over them.

As the DAQ and the calibration write them, by EXtra-data's documentation ("Data files format") and
its mock files (extra_data/tests/mockdata); module sizes, trains and pulses are small.
"""

from dataclasses import replace

import h5py
import numpy as np

from ..values import frames
from .run import Fault, Run, fill, good

__all__ = ["FAULTY", "LAYOUTS", "MODULES", "TRAINS"]

MODULES, MODULE = 16, (8, 16)

#: Frames of each train.
TRAINS = {10000: 2, 10001: 3, 10002: 2}
COUNT = sum(TRAINS.values())
TRAIN_IDS = np.repeat(list(TRAINS), list(TRAINS.values())).astype("uint64")
PULSE_IDS = np.concatenate([np.arange(n, dtype="uint64") * 4 for n in TRAINS.values()])

#: Bits of the calibration's mask, 0 is good (BadPixels); all 16 modules have their own.
FLAGS = np.zeros((COUNT, MODULES, *MODULE), "uint32")
FLAGS[:, :, 0, 0] = 1
FLAGS[:, 3, 2:4, 5] = 0x2000
FLAGS[2, 9, 7, 15] = 1 << 21

IMAGE = "/INSTRUMENT/*/image"
IDS = {"train_id": "trainId", "pulse_id": "pulseId", "cell_id": "cellId"}


def _source(module, corrected_name=False):
    if corrected_name:
        return f"SPB_DET_AGIPD1M-1/CORR/{module}CH0:output"
    return f"SPB_DET_AGIPD1M-1/DET/{module}CH0:xtdf"


def _metadata(h5, source):
    parts = ("detector", "header", "image", "trailer")
    devices = [f"{source}/{part}" for part in parts]
    text = h5py.string_dtype("ascii")
    columns = {
        "dataSourceId": [f"INSTRUMENT/{device}" for device in devices],
        "deviceId": devices,
        "root": ["INSTRUMENT"] * len(parts),
    }
    for name, values in columns.items():
        padded = values + [""] * (16 - len(values))
        h5.create_dataset(f"METADATA/dataSources/{name}", data=padded, dtype=text, maxshape=(None,))
    tree = {
        "METADATA/dataFormatVersion": np.array([b"1.0"]),
        "METADATA/creationDate": np.array([b"20220304T050607Z"]),
        "METADATA/proposalNumber": np.array([700000], "uint32"),
        "METADATA/runNumber": np.array([12], "uint32"),
        "METADATA/sequenceNumber": np.array([0], "uint32"),
    }
    fill(h5, tree)


def _padded(values, raw):
    """Pad an index as the DAQ does: to a multiple of 16 rows of zeros; the calibration does not."""
    values = np.asarray(values, "uint64")
    return np.concatenate([values, np.zeros(-len(values) % 16, "uint64")]) if raw else values


def _module(path, module, data, flags=None, trains=TRAINS, source=None):
    """Write the file of a module; without `flags` it is raw. `trains` says the frames of each."""
    source = source or _source(module)
    raw = flags is None
    counts = np.array(list(trains.values()))
    index, image = f"INDEX/{source}/image", f"INSTRUMENT/{source}/image"
    column = (lambda values: values[:, None]) if raw else (lambda values: values)
    kept = np.isin(TRAIN_IDS, [train for train, count in trains.items() if count])
    per_frame = {
        "trainId": TRAIN_IDS[kept],
        "pulseId": PULSE_IDS[kept],
        "cellId": PULSE_IDS[kept].astype("uint16"),
        "length": np.full(len(data), data[0].nbytes, "uint32"),
        "status": np.zeros(len(data), "uint16"),
    }
    with h5py.File(path, "w") as h5:
        _metadata(h5, source)
        rows = {"chunks": (1, *data.shape[1:]), "maxshape": (None if raw else len(data),)}
        rows["maxshape"] += data.shape[1:]
        h5.create_dataset(f"{image}/data", data=data, **rows)
        if not raw:
            gzip = {**rows, "compression": "gzip", "compression_opts": 1}
            h5.create_dataset(f"{image}/mask", data=flags, **gzip)
            h5.create_dataset(f"{image}/gain", data=np.zeros(data.shape, "uint8"), **gzip)
        fill(h5, {f"{image}/{name}": column(values) for name, values in per_frame.items()})
        tree = {
            "INDEX/trainId": _padded(list(trains), raw),
            "INDEX/timestamp": _padded(np.arange(len(trains)) * 10**8 + 1, raw),
            "INDEX/flag": _padded(np.ones(len(trains)), raw).astype("int32"),
            f"{index}/first": _padded(np.cumsum(counts) - counts, raw),
            f"{index}/count": _padded(counts, raw),
            f"INSTRUMENT/{source}/header/trainId": np.array(list(trains), "uint64"),
            f"INSTRUMENT/{source}/header/pulseCount": counts.astype("uint64"),
        }
        fill(h5, tree)
    return path


def _corrected():
    """Return frames of all modules as the calibration makes them."""
    return frames(COUNT * MODULES, MODULE, "float32").reshape(COUNT, MODULES, *MODULE) / 4


def _run(name, files, data, flags=None):
    paths = {key: f"{IMAGE}/{field}" for key, field in IDS.items()}
    sequences = {"train_id": TRAIN_IDS, "pulse_id": PULSE_IDS, "cell_id": PULSE_IDS}
    mask = None
    if flags is not None:
        paths["mask"] = f"{IMAGE}/mask"
        mask = good(flags, "cxi")
    return Run(
        name,
        "euxfel",
        tuple(files),
        data,
        {"data": f"{IMAGE}/data", **paths},
        mask=mask,
        flags=flags,
        sequences={key: values.astype("uint64") for key, values in sequences.items()},
        promises=("/INDEX/trainId", "/METADATA/dataSources/dataSourceId"),
    )


def agipd_raw(folder):
    """The DAQ's files: data (frames, 2, ss, fs), analogue and gain, in uint16; ids (frames, 1)."""
    data = frames(COUNT * MODULES * 2, MODULE, "uint16").reshape(COUNT, MODULES, 2, *MODULE)
    files = [
        _module(folder / f"RAW-R0012-AGIPD{m:02}-S00000.h5", m, data[:, m]) for m in range(MODULES)
    ]
    return _run("agipd_raw", files, data)


def agipd_corrected(folder):
    """The calibration's files: data float32 and mask uint32 of (frames, ss, fs), one sequence."""
    data = _corrected()
    files = [
        _module(folder / f"CORR-R0012-AGIPD{m:02}-S00000.h5", m, data[:, m], FLAGS[:, m])
        for m in range(MODULES)
    ]
    return _run("agipd_corrected", files, data, FLAGS)


def agipd_two_sequences(folder):
    """A run in two sequence files a module: two trains in S00000, one in S00001."""
    data, files = _corrected(), []
    sequences = (slice(0, 5), (10000, 10001)), (slice(5, COUNT), (10002,))
    for m in range(MODULES):
        for number, (part, trains) in enumerate(sequences):
            files.append(
                _module(
                    folder / f"CORR-R0012-AGIPD{m:02}-S{number:05}.h5",
                    m,
                    data[part, m],
                    FLAGS[part, m],
                    {train: TRAINS[train] for train in trains},
                )
            )
    return _run("agipd_two_sequences", files, data, FLAGS)


def agipd_corr_output(folder):
    """Newer calibration: sources are called CORR/0CH0:output, the old names are soft links."""
    data, files = _corrected(), []
    for m in range(MODULES):
        name = folder / f"CORR-R0012-AGIPD{m:02}-S00000.h5"
        source = _source(m, corrected_name=True)
        files.append(_module(name, m, data[:, m], FLAGS[:, m], source=source))
        with h5py.File(name, "a") as h5:
            for root in ("INDEX", "INSTRUMENT"):
                h5[f"{root}/{_source(m)}"] = h5py.SoftLink(f"/{root}/{source}")
    return _run("agipd_corr_output", files, data, FLAGS)


def _lacking(folder, module=5, train=10001):
    """Write a corrected run of which one module lacks a train: a count of 0, fewer frames."""
    run = agipd_corrected(folder)
    kept = train != TRAIN_IDS
    data, flags = run.data[kept, module], FLAGS[kept, module]
    _module(run.files[module], module, data, flags, {**TRAINS, train: 0})
    expected, stored = run.data.copy(), FLAGS.copy()
    expected[~kept, module], stored[~kept, module] = np.nan, 0xFFFFFFFF
    return replace(run, data=expected, mask=good(stored, "cxi"), flags=stored)


def _map(layout, run, key, module):
    """Map the frames of a module, block by block, to the trains of the run that it has."""
    with h5py.File(run.files[module]) as h5:
        source = f"INSTRUMENT/{_source(module)}/image"
        dataset = h5[f"{source}/{key}"]
        trains = h5[f"{source}/trainId"][:].ravel()
        virtual = h5py.VirtualSource(dataset)
        for train in TRAINS:
            there, here = np.flatnonzero(trains == train), np.flatnonzero(train == TRAIN_IDS)
            if len(there):
                block = virtual[there[0] : there[-1] + 1]
                layout[here[0] : here[-1] + 1, module] = block


def _virtual_cxi(folder, run, name):
    """Write CXI 1.50 as EXtra-data's `write_virtual_cxi` does; `data_1` links the detector."""
    raw = run.mask is None
    detector = "/entry_1/instrument_1/detector_1"
    fields = {"data": (run.data.dtype, 0 if raw else np.nan)}
    if not raw:
        fields |= {"gain": (np.dtype("uint8"), 0), "mask": (np.dtype("uint32"), 0xFFFFFFFF)}
    gains = "data_gain:" if raw else ""
    path = folder / f"{name}.cxi"
    with h5py.File(path, "w", libver=("v110", "v110")) as h5:
        for key, (dtype, fillvalue) in fields.items():
            layout = h5py.VirtualLayout(run.data.shape, dtype)
            for module in range(MODULES):
                _map(layout, run, key, module)
            h5.create_virtual_dataset(f"{detector}/{key}", layout, dtype.type(fillvalue))
            h5[f"{detector}/{key}"].attrs["axes"] = (
                f"experiment_identifier:module_identifier:{gains}y:x"
            )
        identifiers = [f"{t}:{p}" for t, p in zip(TRAIN_IDS, PULSE_IDS, strict=True)]
        tree = {
            "/cxi_version": [150],
            "/entry_1/experiment_identifier": identifiers,
            "/entry_1/trainId": TRAIN_IDS,
            "/entry_1/pulseId": PULSE_IDS,
            f"{detector}/experiment_identifier": h5py.SoftLink("/entry_1/experiment_identifier"),
            "/entry_1/data_1": h5py.SoftLink(detector),
            f"{detector}/module_identifier": np.arange(MODULES),
        }
        if raw:
            tree["/entry_1/data_gain"] = ["data", "gain"]
            tree[f"{detector}/data_gain"] = h5py.SoftLink("/entry_1/data_gain")
        fill(h5, tree)
    return replace(
        run,
        name=name,
        protocol="cxi",
        files=(path,),
        paths={key: f"{detector}/{key}" for key in ("data", "mask") if key in fields},
        sequences={},
        promises=(
            "/entry_1/data_1/data",
            "/entry_1/trainId",
            f"{detector}/module_identifier",
            f"{detector}/experiment_identifier",
        ),
    )


def virtual_cxi(folder):
    """`extra-data-make-virtual-cxi` over corrected files: (frames, modules, ss, fs)."""
    return _virtual_cxi(folder, agipd_corrected(folder), "virtual_cxi")


def virtual_cxi_raw(folder):
    """The same over raw files: (frames, modules, data and gain, ss, fs), no mask."""
    return _virtual_cxi(folder, agipd_raw(folder), "virtual_cxi_raw")


def virtual_cxi_missing_train(folder):
    """The same where module 5 lacks a train: there the fill values are, NaN and 0xFFFFFFFF."""
    return _virtual_cxi(folder, _lacking(folder), "virtual_cxi_missing_train")


def agipd_missing_train(folder):
    """The module files of which one lacks a train: its frames do not line up with the others'."""
    run = _lacking(folder)
    note = "module 5 has no frames of train 10001 (4 frames, the others have 7)"
    return Fault("agipd_missing_train", "euxfel", run.files, note, ("AGIPD05",), COUNT)


def agipd_missing_module(folder):
    """The file of a module is not there: it was down, or its file was not copied."""
    run = agipd_corrected(folder)
    run.files[7].unlink()
    files = tuple(file for file in run.files if file.exists())
    note = "module 7 has no file"
    return Fault("agipd_missing_module", "euxfel", files, note, ("AGIPD07",), COUNT)


LAYOUTS = (
    agipd_raw,
    agipd_corrected,
    agipd_two_sequences,
    agipd_corr_output,
    virtual_cxi,
    virtual_cxi_raw,
    virtual_cxi_missing_train,
)
FAULTY = (agipd_missing_train, agipd_missing_module)
