"""A store as an xarray Dataset; the oracle is xarray over plain arrays, and h5py."""

import asyncio
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from cxistack import (
    AttributeMissingError,
    CastError,
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    Mirror,
    Transform,
)
from factory import (
    DATA,
    DETECTOR,
    DISTANCE,
    LAYOUTS,
    MASK,
    WHITEFIELD,
    attributes,
    frames,
    good_mask,
    put,
)
from factory.beamlines import euxfel

xr = pytest.importorskip("xarray")

PITCH = {f"{DETECTOR}/y_pixel_size": 2e-4, f"{DETECTOR}/x_pixel_size": np.array([1e-4])}


def equal(found, expected):
    """Hold a variable against an array, without what is read being kept."""
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.values, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frames_of_any_layout_have_dimensions_and_numbers(tmp_path, layout):
    parts = [frames(4, start=500 * n) for n in range(3)]
    whole = np.concatenate(parts)
    ds = CXIStore(LAYOUTS[layout](tmp_path, parts)).to_xarray()
    assert ds["data"].dims == ("frame", "ss", "fs")
    equal(ds["data"].isel(frame=[11, 0, -1], ss=slice(4, 0, -2)), whole[[11, 0, -1], 4:0:-2])
    equal(ds["data"], whole)
    equal(ds["data"].isel(frame=slice(0, 4, -1), ss=[], fs=[3, -1]), whole[0:4:-1, :0, [3, -1]])
    for dim, size in zip(("frame", "ss", "fs"), whole.shape, strict=True):
        np.testing.assert_array_equal(ds[dim], np.arange(size))


def test_every_index_of_xarrays_means_what_it_means_for_an_array(tmp_path):
    array = frames(6, (8, 9))
    ours = CXIStore(put(tmp_path / "a.cxi", {DATA: array})).to_xarray()["data"].variable
    theirs = xr.Variable(("frame", "ss", "fs"), array)
    draw = np.random.default_rng(7)

    def index(size):
        match draw.integers(6):
            case 0:
                return int(draw.integers(-size, size))
            case 1:
                return slice(*sorted(draw.integers(-size, size, 2).tolist()), 2)
            case 2:
                return slice(None, None, -int(draw.integers(1, 4)))
            case 3:
                return draw.integers(-size, size, draw.integers(0, 5))
            case 4:
                return xr.Variable("p", draw.integers(-size, size, 3))
            case _:
                return slice(None)

    for _ in range(150):
        key = {dim: index(size) for dim, size in theirs.sizes.items()}
        some, expected = ours.isel(key), theirs.isel(key)
        assert (some.dims, some.shape) == (expected.dims, expected.shape), key
        np.testing.assert_array_equal(some.values, expected.values, err_msg=str(key))
    points = {dim: xr.Variable(("p", "q"), draw.integers(0, 6, (3, 2))) for dim in theirs.dims}
    np.testing.assert_array_equal(ours.isel(points).values, theirs.isel(points).values)


def test_an_index_from_the_end_is_one_whoever_asks(tmp_path):
    from xarray.core.indexing import OuterIndexer

    from cxistack.adapters.xarray import StackArray

    array = frames(6, (8, 9))
    ours = StackArray(CXIStore(put(tmp_path / "a.cxi", {DATA: array}))["data"])
    rows, columns = np.array([-1, 0, -8]), np.array([3, -9, -2])
    got = ours[OuterIndexer((slice(None), rows, columns))]
    np.testing.assert_array_equal(got, array[:, rows][:, :, columns])


def test_only_what_an_index_needs_is_read(tmp_path):
    huge = put(tmp_path / "huge.h5", {})
    with h5py.File(huge, "r+") as h5:
        h5.create_dataset(DATA, (1000, 20000, 20000), "u2", chunks=(1, 100, 100), fillvalue=3)
    data = CXIStore(huge).to_xarray()["data"]
    assert (data[:, 3, 4].values == 3).all()
    assert data[5, [17000, 17002], 19000:].values.shape == (2, 1000)
    where = xr.DataArray([0, 999, 500], dims="peak")
    pixel = xr.DataArray([19900, 19999, 19907], dims="peak")
    assert data.isel(frame=where, ss=pixel, fs=pixel).values.tolist() == [3, 3, 3]


def test_what_goes_with_frames_has_names_for_its_axes(tmp_path):
    parts = {4: "a.cxi", 3: "b.cxi"}
    for n, name in parts.items():
        put(tmp_path / name, {DATA: frames(n), **attributes(n), **PITCH})
    store = CXIStore(str(tmp_path / "*.cxi"))
    ds = store.to_xarray()
    dims = {name: variable.dims for name, variable in ds.variables.items()}
    assert dims["data"] == dims["mask"] == ("frame", "ss", "fs")
    assert dims["whitefield"] == ("ss", "fs")
    assert dims["translations"] == ("frame", "xyz")
    assert dims["basis_vectors"] == ("frame", "basis_vectors_1", "basis_vectors_2")
    assert (dims["distance"], dims["wavelength"]) == ((), ("wavelength_0",))
    assert set(ds.coords) == {"frame", "ss", "fs", "y", "x", "xyz", "translations"}
    for name in store:
        equal(ds[name], np.asarray(store.load_attribute(name, verbose=False)))
    equal(ds["y"], np.arange(5) * 2e-4)
    equal(ds["x"], np.arange(7) * 1e-4)
    assert ds["translations"].sel(frame=5, xyz="y").item() == 4.0  # the second of b.cxi


def test_a_mask_for_all_frames_has_no_frame_axis_and_is_true_where_a_pixel_is_good(tmp_path):
    array = frames(3)
    bad = good_mask((5, 7), [(0, 1), (4, 6)])
    ds = CXIStore(put(tmp_path / "a.cxi", {DATA: array, MASK: bad})).to_xarray()
    assert ds["mask"].dims == ("ss", "fs")
    equal(ds["mask"], bad)
    expected = np.where(bad, array.astype(float), np.nan)
    np.testing.assert_array_equal(ds["data"].where(ds["mask"]), expected)


def test_units_are_those_of_the_protocol_or_else_of_the_files(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(2), DISTANCE: 100.0})
    with h5py.File(name, "r+") as h5:
        h5[DISTANCE].attrs["units"] = "mm"
    found = CXIStore(name).to_xarray()["distance"]
    assert (found.item(), found.attrs["units"]) == (100.0, "mm")
    found = CXIStore(name, protocol="cxi").to_xarray()["distance"]
    assert (found.item(), found.attrs["units"]) == (0.1, "m")
    assert "units" not in CXIStore(name).to_xarray()["data"].attrs


def test_what_is_of_another_length_has_dimensions_of_its_own(tmp_path):
    values = {
        DATA: frames(4),
        "/speckle_tracking/good_frames": np.array([0, 2]),
        "/speckle_tracking/whitefields": np.ones((2, 5, 7)),
        WHITEFIELD: np.ones((3, 3)),
    }
    ds = CXIStore(put(tmp_path / "a.cxi", values)).to_xarray()
    assert ds["good_frames"].dims == ("good_frames_0",)
    assert ds["whitefields"].dims == ("whitefields_0", "ss", "fs")
    assert ds["whitefield"].dims == ("whitefield_ss", "whitefield_fs")
    assert ds["good_frames"].values.tolist() == [0, 2]
    assert ds["whitefields"].isel(whitefields_0=1, ss=0).values.tolist() == [1] * 7


def test_numbers_and_texts_of_frames_are_coordinates(tmp_path):
    names = [
        put(tmp_path / f"{n}.cxi", {DATA: frames(2), "/who": [f"event {n}", f"event {n}, again"]})
        for n in range(2)
    ]
    protocol = CXIProtocol.import_default().add_attribute("identifier", "str", ["/who"], "sequence")
    ds = CXIStore(names, protocol=protocol).to_xarray()
    assert ds["identifier"].values.tolist()[-1] == "event 1, again"
    assert ds.set_xindex("identifier")["data"].sel(identifier="event 1").shape == (5, 7)


def test_datasets_beside_the_frames_identify_them(tmp_path):
    who = [f"event {n}" for n in range(3)]
    tree = {
        DATA: frames(3),
        "/entry_1/experiment_identifier": who,
        f"{DETECTOR}/trainId": [7, 7, 9],
    }
    store = CXIStore(put(tmp_path / "a.cxi", tree))
    assert "trainId" not in store.to_xarray().variables
    ds = store.to_xarray(identifiers=["trainId", "experiment_identifier"])
    assert ds["experiment_identifier"].values.tolist() == who
    equal(ds["data"].where(ds["trainId"] == 7, drop=True).astype("u2"), frames(3)[:2])
    with pytest.raises(AttributeMissingError, match="no frame has 'pulseId'"):
        store.to_xarray(identifiers="pulseId")


def test_modules_of_the_european_xfel(tmp_path):
    run = euxfel.agipd_corrected(tmp_path)
    ds = CXIStore(run.files, protocol="euxfel").to_xarray()
    assert ds["data"].dims == ds["mask"].dims == ("frame", "module", "ss", "fs")
    equal(ds["data"].isel(module=[3, 1], ss=2), run.data[:, [3, 1], 2])
    assert {"train_id", "pulse_id"} <= set(ds.coords)
    np.testing.assert_array_equal(ds["train_id"], euxfel.TRAIN_IDS)


class TestTransforms:
    @pytest.fixture
    def store(self, tmp_path):
        return CXIStore(
            put(tmp_path / "a.cxi", {DATA: frames(3, (8, 9)), **attributes(3, (8, 9)), **PITCH})
        )

    @pytest.mark.parametrize(
        "transform",
        [
            Crop([2, 6, 1, 9]),
            Downscale(2),
            Downscale(3, mode="sum"),
            Mirror(1, (8, 9)),
            ComposeTransforms([Crop([1, 8, 0, 8]), Mirror(0, (7, 8)), Downscale(2, mode="mean")]),
        ],
        ids=repr,
    )
    def test_pixels_keep_their_numbers(self, store, transform):
        ds = store.to_xarray(transform=transform)
        for name in ("data", "mask", "whitefield"):
            equal(ds[name], store.load_attribute(name, transform=transform, verbose=False))
        ss, fs = np.indices((8, 9), dtype=float)
        np.testing.assert_allclose(ds["ss"], transform.forward(ss).mean(axis=1) * _of(transform))
        np.testing.assert_allclose(ds["fs"], transform.forward(fs).mean(axis=0) * _of(transform))
        np.testing.assert_allclose(ds["y"], ds["ss"] * 2e-4)

    def test_what_does_not_act_by_axis_has_no_pixel_numbers(self, store):
        class Transpose(Transform):
            def index_array(self, ss_idxs, fs_idxs):
                return ss_idxs.T, fs_idxs.T

            def backward_points(self, x, y):
                return y, x

        ds = store.to_xarray(transform=Transpose())
        assert ds["data"].shape == (3, 9, 8)
        assert not {"ss", "fs", "y", "x"} & set(ds.coords)

    def test_a_type_is_for_what_has_pixels_but_masks(self, store):
        ds = store.to_xarray(dtype="float32")
        assert ds["data"].dtype == ds["whitefield"].dtype == np.float32
        assert (ds["mask"].dtype, ds["translations"].dtype) == (bool, np.float64)
        ds = store.to_xarray(dtype={"translations": "float32", "data": np.int64})
        assert (ds["translations"].dtype, ds["data"].dtype) == (np.float32, np.int64)


def _of(transform):
    """Sums of bins are of their pixels: divide by how many there are."""
    return 1 / 9 if transform == Downscale(3, mode="sum") else 1


def test_what_does_not_fit_can_be_left_out_or_be_given_a_type(tmp_path):
    store = CXIStore(put(tmp_path / "a.cxi", {DATA: frames(2, dtype="float64"), DISTANCE: 1.0}))
    with pytest.raises(CastError) as raised:
        store.to_xarray()
    assert raised.value.__notes__ == ["drop_variables='data' leaves it out"]
    assert list(store.to_xarray(drop_variables="data").variables) == ["distance"]
    assert store.to_xarray(dtype={"data": "float32"})["data"].dtype == np.float32


def test_nothing_found_is_an_error(tmp_path):
    with pytest.raises(AttributeMissingError, match=r"a\.cxi: none of the protocol's attributes"):
        CXIStore(put(tmp_path / "a.cxi", {"/else": 1})).to_xarray()


def test_a_dataset_is_pickled_as_names_and_read_elsewhere(tmp_path):
    array = frames(4)
    ds = CXIStore(put(tmp_path / "a.cxi", {DATA: array, **attributes(4)})).to_xarray()
    saved = pickle.dumps(ds)
    assert len(saved) < 40_000
    code = "import pickle, sys; ds = pickle.load(sys.stdin.buffer); print(ds['data'].values.sum())"
    told = subprocess.run(
        [sys.executable, "-c", code], input=saved, capture_output=True, check=True
    )
    assert int(told.stdout) == array.sum()


def test_it_is_loaded_by_await_too(tmp_path):
    array = frames(4)
    ds = CXIStore(put(tmp_path / "a.cxi", {DATA: array, **attributes(4)})).to_xarray()
    if not hasattr(ds, "load_async"):
        pytest.skip(f"xarray {xr.__version__} does not load so")
    asyncio.run(ds.load_async())
    equal(ds["data"], array)


class TestDask:
    @pytest.fixture
    def names(self, tmp_path):
        names = []
        for n, count in enumerate((50, 33, 41)):
            names.append(str(tmp_path / f"{n}.cxi"))
            with h5py.File(names[-1], "w") as h5:
                h5.create_dataset(
                    DATA, data=frames(count, (300, 300), start=n), chunks=(8, 300, 300)
                )
        return names

    @pytest.fixture
    def whole(self, names):
        return np.concatenate([h5py.File(name)[DATA][...] for name in names])

    def test_no_stored_chunk_is_in_two_of_dasks(self, names, whole):
        pytest.importorskip("dask")
        data = CXIStore(names).to_xarray(chunks={})["data"]
        first = [8] * 6 + [2]
        assert data.chunks[0] == (*first, *[8] * 4, 1, *[8] * 5, 1)
        equal(data, whole)

    def test_chunks_by_dask_and_by_the_user(self, names, whole):
        pytest.importorskip("dask")
        store = CXIStore(names[0])
        equal(store.to_xarray(chunks="auto")["data"], whole[:50])
        data = store.to_xarray(chunks={"frame": 16, "fs": 100})["data"]
        assert data.chunks == ((16, 16, 16, 2), (300,), (100,) * 3)
        equal(data.mean("frame"), whole[:50].mean(axis=0))
        with pytest.warns(UserWarning, match="separate the stored chunks"):
            CXIStore(names).to_xarray(chunks={"frame": 5})

    def test_a_little_array_is_cut_anywhere(self, tmp_path):
        pytest.importorskip("dask")
        store = CXIStore(put(tmp_path / "little.cxi", {DATA: frames(6), **attributes(6)}))
        ds = store.to_xarray(chunks={"frame": 4})
        assert ds["data"].chunks[0] == (4, 2)
        equal(ds["data"], frames(6))
        equal(ds["distance"], np.array(0.5))

    def test_chunks_have_other_names_when_a_file_has_changed(self, tmp_path):
        tokenize = pytest.importorskip("dask.base").tokenize
        name = put(tmp_path / "a.cxi", {DATA: frames(6)})
        store = CXIStore(name)
        before = tokenize(store)
        assert tokenize(store) == before
        store.close()
        put(name, {DATA: frames(6, start=9)}, "w")
        assert tokenize(CXIStore(name)) != before


def test_without_xarray_it_says_what_to_install():
    code = (
        "import sys; sys.modules['xarray'] = None\n"
        "import cxistack.store.doors\n"
        "try: cxistack.store.doors.Doors.to_xarray(None)\n"
        "except ImportError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "Datasets need xarray: pip install 'cxistack[xarray]'\n"


def test_of_real_files(shared_data):
    name = str(shared_data / "p25_near_field_ptycho.cxi")
    ds = CXIStore(name, protocol="cxi").to_xarray()
    with h5py.File(name) as h5:
        data = h5[DATA][...]
    np.testing.assert_array_equal(ds["data"], data)
    assert ds["mask"].dims == ("ss", "fs")
    assert int(ds["mask"].sum()) == 9995
    assert ds["translations"].attrs == ds["distance"].attrs == {"units": "m"}
    name = str(shared_data / "eiger_bitshuffle_frame.h5")
    with h5py.File(name) as h5:
        frame = h5["/entry/data/data"][...]
    part = CXIStore(name).to_xarray()["data"].isel(ss=slice(800, 1200), fs=slice(700, 1300))
    np.testing.assert_array_equal(part.values.squeeze(), frame.squeeze()[800:1200, 700:1300])
