"""Detectors with a file for each module: stacked frame by frame, or an error that says why not."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from cxistack import Crop, CXIError, CXIProtocol, CXIStore, Downscale, LayoutError, Mirror, STData
from factory.beamlines import FAULTY, LAYOUTS

EUXFEL = CXIProtocol.import_named("euxfel")
MODULES, COUNT = 4, 9
TRAINS = np.repeat([100, 101, 103], 3)
PULSES = np.tile([0, 4, 8], 3)
DATA = np.arange(COUNT * MODULES * 6 * 10).reshape(COUNT, MODULES, 6, 10).astype("float32")
FLAGS = (np.arange(DATA.size) % 7 == 0).reshape(DATA.shape).astype("uint32") << 5


def write(path, module, rows=slice(None), values=DATA, flags=FLAGS, trains=TRAINS, **options):
    """Write the file of a module; an id column is (rows, 1) as the DAQ has it."""
    image = f"INSTRUMENT/SPB_DET_AGIPD1M-1/DET/{module}CH0:xtdf/image"
    options = {"chunks": (1, *values.shape[2:]), **options}
    with h5py.File(path, "w") as h5:
        h5.create_dataset(f"{image}/data", data=values[rows, module], **options)
        if flags is not None:
            h5.create_dataset(f"{image}/mask", data=flags[rows, module])
        h5[f"{image}/trainId"] = np.asarray(trains)[rows, None].astype("uint64")
        h5[f"{image}/pulseId"] = PULSES[rows].astype("uint64")
        h5[f"{image}/cellId"] = PULSES[rows].astype("uint16") + 1
        h5["INSTRUMENT/SPB_DET_AGIPD1M-1/DET/STATE"] = 3
        h5["INSTRUMENT/OTHER/XGM/DOOCS/image/data"] = np.zeros((2, 2, 2))
    return str(path)


@pytest.fixture
def run(tmp_path):
    """Return the pattern of files of which some are in two sequences, cut at different frames."""
    for module in range(MODULES):
        name = f"CORR-R0012-AGIPD{module:02}-S0000"
        if module == 2:
            write(tmp_path / f"{name}0.h5", module)
        else:
            write(tmp_path / f"{name}0.h5", module, slice(0, 3 + module))
            write(tmp_path / f"{name}1.h5", module, slice(3 + module, None))
    return str(tmp_path / "CORR-R0012-AGIPD*-S*.h5")


def test_frames_of_all_modules_are_one_stack(run):
    store = CXIStore(run, protocol=EUXFEL)
    assert store.problems == []
    assert store.frame_count == COUNT
    assert store.describe("data") == (DATA.shape, np.dtype("float32"))
    np.testing.assert_array_equal(store.load_attribute("data"), DATA, strict=True)
    np.testing.assert_array_equal(store.load_attribute("data", [8, 0, 0]), DATA[[8, 0, 0]])
    part = store.load_attribute("data", slice(1, 8, 3), transform=Crop([1, 5, 2, 9]), dtype="f8")
    np.testing.assert_array_equal(part, DATA[1:8:3, :, 1:5, 2:9])
    np.testing.assert_array_equal(store["data"][3, 1:, ::-2], DATA[3, 1:, ::-2])
    mirrored = store.load_attribute("data", transform=Mirror(0, (6, 10)), num_threads=1)
    np.testing.assert_array_equal(mirrored, DATA[:, :, ::-1])
    told = store.explain("data", [0])
    assert "put together of 4 datasets" in told
    assert "read beside libhdf5: 4 of" in told


def test_masks_bins_and_the_container(run):
    store = CXIStore(run, protocol=EUXFEL)
    good = FLAGS == 0
    np.testing.assert_array_equal(store.load_attribute("mask"), good, strict=True)
    np.testing.assert_array_equal(
        store.load_attribute("mask", [5, 2], transform=Downscale(2, mode="mean")),
        good[[5, 2]].reshape(2, MODULES, 3, 2, 5, 2).all(axis=(3, 5)),
    )
    st = STData(store).load(["data", "mask"], idxs=[1, 7], verbose=False)
    np.testing.assert_array_equal(st.data, DATA[[1, 7]])
    np.testing.assert_array_equal(st.mask, good[[1, 7]])


def test_ids_are_those_of_one_module(run):
    store = CXIStore(run, protocol=EUXFEL)
    np.testing.assert_array_equal(store.load_attribute("train_id")[:, 0], TRAINS)
    np.testing.assert_array_equal(store.load_attribute("pulse_id", [8, 1]), PULSES[[8, 1]])
    np.testing.assert_array_equal(store.load_attribute("cell_id"), PULSES + 1)


def test_raw_frames_have_axes_of_their_own_and_any_filter(tmp_path):
    raw = np.arange(COUNT * MODULES * 2 * 6 * 10).reshape(COUNT, MODULES, 2, 6, 10).astype("u2")
    filters = [
        {},
        {"compression": "gzip"},
        {"compression": "lzf"},
        {"chunks": (4, 2, 6, 10), **hdf5plugin.Bitshuffle()},
    ]
    for module, options in enumerate(filters):
        write(tmp_path / f"RAW-{module}.h5", module, values=raw, flags=None, **options)
    store = CXIStore(str(tmp_path / "RAW-*.h5"), protocol=EUXFEL)
    assert "mask" not in store
    np.testing.assert_array_equal(store.load_attribute("data", dtype="uint16"), raw)
    np.testing.assert_array_equal(store.load_attribute("data", [7, 3]), raw[[7, 3]])
    assert "read by h5py" in store.explain("data")


def test_files_in_any_order_and_others_among_them(run, tmp_path):
    with h5py.File(tmp_path / "DA01.h5", "w") as h5:
        h5["INDEX/trainId"] = np.arange(3)
    names = [str(tmp_path / "DA01.h5"), *map(str, sorted(Path(run).parent.glob("CORR*"))[::-1])]
    # of a module's two files the later one comes first now: its frames do, too
    with pytest.raises(LayoutError, match="frame 0"):
        CXIStore(names, protocol=EUXFEL).load_attribute("data")
    names[1:] = sorted(names[1:], key=lambda name: (name.split("-")[-1], name[::-1]))
    np.testing.assert_array_equal(CXIStore(names, protocol=EUXFEL).load_attribute("data"), DATA)


@pytest.mark.parametrize("attr", ["data", "mask", "train_id"])
def test_a_module_that_has_other_trains_is_an_error_that_names_the_first(run, tmp_path, attr):
    other = np.where(TRAINS == 101, 102, TRAINS)
    bad = write(tmp_path / "CORR-R0012-AGIPD02-S00000.h5", 2, trains=other)
    store = CXIStore(run, protocol=EUXFEL)
    with pytest.raises(LayoutError, match="trainId 102") as error:
        store.load_attribute(attr)
    assert bad in str(error.value)
    assert "trainId 101" in str(error.value)
    assert "frame 3" in str(error.value)
    assert attr in {problem.attribute for problem in store.problems}


def test_a_module_that_lost_frames_is_an_error(run, tmp_path):
    write(tmp_path / "CORR-R0012-AGIPD02-S00000.h5", 2, slice(0, 7))
    with pytest.raises(LayoutError, match="no more than 7 frames"):
        CXIStore(run, protocol=EUXFEL).load_attribute("data")


def test_a_missing_module_is_an_error_that_names_its_file(run, tmp_path):
    (tmp_path / "CORR-R0012-AGIPD02-S00000.h5").unlink()
    with pytest.raises(LayoutError, match=r"module 2 .*CORR-R0012-AGIPD02-S0000"):
        CXIStore(run, protocol=EUXFEL).load_attribute("data")


def test_a_pattern_may_say_which_modules_there_are(run):
    def read(modules):
        path = f"/INSTRUMENT/SPB_DET_AGIPD1M-1/DET/{modules}CH0:xtdf/image/data"
        protocol = CXIProtocol({"data": "float"}, {"data": [path]}, {"data": "stack"})
        return CXIStore(run, protocol=protocol).load_attribute("data")

    np.testing.assert_array_equal(read("{module:0-3}"), DATA)
    np.testing.assert_array_equal(read("1"), DATA[:, 1])
    for modules, wrong in [("{module:0-4}", "module 4"), ("{module:1-3}", "module 0")]:
        with pytest.raises(LayoutError, match=wrong):
            read(modules)


def test_modules_of_other_shapes_types_or_two_detectors_are_errors(run, tmp_path):
    name = tmp_path / "CORR-R0012-AGIPD02-S00000.h5"
    for values in (DATA.astype("f8"), DATA[..., :-1]):
        write(name, 2, values=values)
        with (
            CXIStore(run, protocol=EUXFEL) as store,
            pytest.raises(LayoutError, match=r"differ.*AGIPD02"),
        ):
            store.load_attribute("data")
    write(name, 2)
    with h5py.File(name, "a") as h5:
        h5.copy("INSTRUMENT/SPB_DET_AGIPD1M-1", "INSTRUMENT/MID_DET_AGIPD1M-1")
    with pytest.raises(LayoutError, match=r"module 2 .*twice.*MID_DET"):
        CXIStore(run, protocol=EUXFEL).load_attribute("data")


def test_frames_without_ids_are_refused(run, tmp_path):
    with h5py.File(tmp_path / "CORR-R0012-AGIPD02-S00000.h5", "a") as h5:
        del h5["INSTRUMENT/SPB_DET_AGIPD1M-1/DET/2CH0:xtdf/image/trainId"]
    with pytest.raises(LayoutError, match=r"AGIPD02.*trainId"):
        CXIStore(run, protocol=EUXFEL).load_attribute("data")


def test_an_image_of_each_module_is_one_frame(tmp_path):
    for module in range(3):
        with h5py.File(tmp_path / f"flat_{module}.h5", "w") as h5:
            h5[f"/flat/Q{module}/map"] = DATA[0, module]
    kinds = {"whitefield": "frame", "distance": "scalar"}
    paths = {attr: ["/flat/Q{module}/map"] for attr in kinds}
    protocol = CXIProtocol(dict.fromkeys(kinds, "float"), paths, kinds)
    store = CXIStore(str(tmp_path / "flat_*.h5"), protocol=protocol)
    np.testing.assert_array_equal(store.load_attribute("whitefield"), DATA[0, :3], strict=True)
    part = store.load_attribute("whitefield", transform=Crop([0, 3, 1, 4]))
    np.testing.assert_array_equal(part, DATA[0, :3, 0:3, 1:4])
    with pytest.raises(LayoutError, match="scalar"):
        store.load_attribute("distance")


def test_a_path_without_a_module_is_meant_to_the_letter(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5["/entry/*/data"] = DATA[:, 0]
        h5["/entry/x/data"] = DATA[:, 1]
    protocol = CXIProtocol({"data": "float"}, {"data": ["/entry/*/data"]}, {"data": "stack"})
    store = CXIStore(tmp_path / "a.h5", protocol=protocol)
    np.testing.assert_array_equal(store.load_attribute("data"), DATA[:, 0])


def test_nothing_is_saved_to_a_pattern(tmp_path):
    name = write(tmp_path / "a.h5", 0)
    with pytest.raises(LayoutError, match="module"):
        CXIStore(name, mode="r+", protocol=EUXFEL).save_attribute("data", DATA[:, :1])


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name.startswith("agipd")])
def test_runs_as_the_facility_writes_them(tmp_path, name):
    run = LAYOUTS[name](tmp_path)
    with CXIStore(run.files, protocol=EUXFEL) as store:
        assert store.problems == []
        data = store.load_attribute("data", dtype=run.data.dtype)
        np.testing.assert_array_equal(data, run.data, strict=True)
        assert ("mask" in store) == (run.mask is not None)
        if run.mask is not None:
            np.testing.assert_array_equal(store.load_attribute("mask"), run.mask, strict=True)
        for attr, values in run.sequences.items():
            np.testing.assert_array_equal(np.ravel(store.load_attribute(attr)), values)


@pytest.mark.parametrize("name", [name for name in FAULTY if name.startswith("agipd")])
def test_faulty_runs_raise_and_name_the_file(tmp_path, name):
    fault = FAULTY[name](tmp_path)
    with pytest.raises(CXIError, match="|".join(fault.at)):
        CXIStore(fault.files, protocol=EUXFEL).load_attribute("data", [0])


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name.startswith("virtual_cxi")])
def test_virtual_files_over_modules_are_read_beside_libhdf5(tmp_path, name):
    run = LAYOUTS[name](tmp_path)
    protocol = CXIProtocol(
        {"data": "float", "mask": "bool"},
        {attr: [run.paths.get(attr, "/none")] for attr in ("data", "mask")},
        {"data": "stack", "mask": "stack"},
        {"mask": ["cxi"]},
    )
    with CXIStore(run.files, protocol=protocol) as store:
        for attr in set(run.paths) & {"data", "mask"}:
            assert "read beside libhdf5" in store.explain(attr)
            assert "h5py" not in store.explain(attr)
            expected = getattr(run, attr)
            dtype = expected.dtype if attr == "data" else None
            np.testing.assert_array_equal(store.load_attribute(attr, dtype=dtype), expected)
