"""Data and mask are of one detector, and of one channel; all that says what is bad counts.

The oracle is the definition (NXmx, NXdetector_channel): the mask is the bitwise OR of `pixel_mask`
and every `pixel_mask_N` of the detector and of the channel; a pixel is bad where one of the low 16
bits is set; a mask has the data's axes or all but the first, or one frame stands for all.
"""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import Crop, CXIProtocol, CXIStore, LayoutError
from cxistack.cli import app

SS, FS, N = 6, 8, 4
SHAPE = (SS, FS)


def bits(*places, shape=SHAPE, flag=1):
    mask = np.zeros(shape, "u4")
    for place in places:
        mask[place] = flag
    return mask


def master(path, data, detectors, classes=True, data_link=None):
    """Write an NXmx file: `detectors` maps a name to what its group holds, by path."""
    with h5py.File(path, "w") as h5:
        entry = h5.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"] = "NXmx"
        entry.create_group("instrument").attrs["NX_class"] = "NXinstrument"
        entry.create_group("data").attrs.update(NX_class="NXdata", signal="data")
        for name, tree in detectors.items():
            group = entry.create_group(f"instrument/{name}")
            if classes:
                group.attrs["NX_class"] = "NXdetector"
            for inner, value in tree.items():
                if inner.endswith("@NX_class"):
                    group.require_group(inner.partition("@")[0]).attrs["NX_class"] = value
                else:
                    group[inner] = value
        if data_link is not None:
            entry["data/data"] = h5py.SoftLink(data_link)
        elif data is not None:
            entry["data/data"] = data
    return str(path)


def good(*masks, shape):
    """Return where pixels are good by the definition, in the data's shape."""
    bad = np.zeros(shape, bool)
    for mask in masks:
        bad |= (mask & 0xFFFF) != 0
    return ~bad


DATA = np.arange(N * SS * FS, dtype="u2").reshape(N, SS, FS) % 500
MODULES = np.arange(N * 3 * SS * FS, dtype="u2").reshape(N, 3, SS, FS) % 500
CHANNELS = MODULES[:, :2]
ONE, TWO, TAG = bits((1, 2)), bits((3, 4), flag=256), bits((5, 5), flag=1 << 20)
EACH_FRAME = np.stack([bits((k, k)) for k in range(N)])
EACH_MODULE = np.stack([bits((k, k + 1)) for k in range(3)])

# name: what the detector's group holds, the data, the masks that count
LAYOUTS = {
    "pixel_mask": ({"pixel_mask": ONE}, DATA, [ONE]),
    "a tag in the high bits is not bad": ({"pixel_mask": ONE | TAG}, DATA, [ONE]),
    "pixel_mask_1 alone": ({"pixel_mask_1": TWO}, DATA, [TWO]),
    "pixel_mask and pixel_mask_2": ({"pixel_mask": ONE, "pixel_mask_2": TWO}, DATA, [ONE, TWO]),
    "three of them": (
        {"pixel_mask": ONE, "pixel_mask_1": TWO, "pixel_mask_10": bits((0, 0))},
        DATA,
        [ONE, TWO, bits((0, 0))],
    ),
    "a mask of each frame": ({"pixel_mask": EACH_FRAME}, DATA, [EACH_FRAME]),
    "a mask of each frame, and one for all": (
        {"pixel_mask": ONE, "pixel_mask_1": EACH_FRAME},
        DATA,
        [ONE, EACH_FRAME],
    ),
    "(1, ss, fs) stands for all": ({"pixel_mask": ONE[None]}, DATA, [ONE]),
    "a mask of each module": ({"pixel_mask": EACH_MODULE}, MODULES, [EACH_MODULE]),
    "(1, modules, ss, fs)": ({"pixel_mask": EACH_MODULE[None]}, MODULES, [EACH_MODULE]),
    "as many frames as modules": (
        {"pixel_mask": EACH_MODULE},
        MODULES[:3],
        [EACH_MODULE],
    ),
    "a channel's own mask": (
        {"hi_channel/pixel_mask": TWO, "hi_channel@NX_class": "NXdetector_channel"},
        DATA,
        [TWO],
    ),
    "the detector's and its channel's": (
        {"pixel_mask": ONE, "hi_channel/pixel_mask": TWO},
        DATA,
        [ONE, TWO],
    ),
    "pixel_mask_applied is no mask": (
        {"pixel_mask": ONE, "pixel_mask_applied": np.True_},
        DATA,
        [ONE],
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("detector", ["detector", "eiger"])
def test_the_mask_is_what_the_definition_says(tmp_path, name, detector):
    tree, data, masks = LAYOUTS[name]
    store = CXIStore(master(tmp_path / "m.nxs", data, {detector: tree}), protocol="nxmx")
    expected = good(*masks, shape=data.shape)
    np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)
    np.testing.assert_array_equal(store["mask"][1], expected[1])
    idxs = [2, 0, 0]
    roi = Crop([1, 5, 2, 7])
    some = store.load_attribute("mask", idxs, transform=roi, dtype="uint8", verbose=False)
    np.testing.assert_array_equal(some, expected[idxs][..., 1:5, 2:7])
    assert not store.check(verbose=False)
    for mask in store.explain("mask").split("pixel_mask")[1:]:
        assert mask


def test_raw_flags_are_those_that_any_of_the_masks_sets(tmp_path):
    name = master(tmp_path / "m.nxs", DATA, {"detector": {"pixel_mask": ONE, "pixel_mask_1": TWO}})
    raw = CXIStore(name, protocol="nxmx").load_attribute("mask", raw=True, verbose=False)
    np.testing.assert_array_equal(raw, np.broadcast_to(ONE | TWO, DATA.shape))


def test_limits_narrow_all_of_the_masks(tmp_path):
    tree = {"pixel_mask": ONE, "pixel_mask_1": EACH_FRAME, "saturation_value": 300}
    name = master(tmp_path / "m.nxs", DATA, {"detector": tree})
    mask = CXIStore(name, protocol="nxmx").load_attribute("mask", verbose=False)
    np.testing.assert_array_equal(mask, good(ONE, EACH_FRAME, shape=DATA.shape) & (DATA <= 300))


A = {"data": DATA, "pixel_mask": ONE, "x_pixel_size": 1.0}
B = {"data": DATA[::-1], "pixel_mask": TWO, "x_pixel_size": 2.0}
HI_AND_LO = {"hi_channel/pixel_mask": ONE, "lo_channel/pixel_mask": TWO}


class TestTwoDetectors:
    @pytest.mark.parametrize("classes", [True, False])
    @pytest.mark.parametrize(("name", "data", "mask", "size"), [("b", DATA[::-1], TWO, 2.0)])
    def test_all_is_read_of_the_one_that_the_data_lead_to(
        self, tmp_path, classes, name, data, mask, size
    ):
        names = {"a": "detector", "b": "detector_2"} if not classes else {"a": "a", "b": "b"}
        file = master(
            tmp_path / "m.nxs",
            None,
            {names["a"]: A, names["b"]: B},
            classes,
            f"/entry/instrument/{names[name]}/data",
        )
        store = CXIStore(file, protocol="nxmx")
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), data)
        expected = good(mask, shape=DATA.shape)
        np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)
        assert store.load_attribute("x_pixel_size") == size

    @pytest.mark.parametrize(("name", "tree"), [("a", A), ("b", B)])
    def test_one_is_chosen_by_name(self, tmp_path, name, tree):
        file = master(tmp_path / "m.nxs", None, {"a": A, "b": B}, True, "/entry/instrument/a/data")
        store = CXIStore(file, protocol="nxmx", detector=name)
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), tree["data"])
        expected = good(tree["pixel_mask"], shape=DATA.shape)
        np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)
        assert store.load_attribute("x_pixel_size") == tree["x_pixel_size"]

    def test_a_hard_link_is_a_pair_as_well(self, tmp_path):
        file = master(tmp_path / "m.nxs", None, {"a": A, "b": B})
        with h5py.File(file, "a") as h5:
            h5["entry/data/data"] = h5["entry/instrument/b/data"]
        mask = CXIStore(file, protocol="nxmx").load_attribute("mask", verbose=False)
        np.testing.assert_array_equal(mask, good(TWO, shape=DATA.shape))

    def test_where_nothing_tells_the_error_lists_them(self, tmp_path):
        file = master(tmp_path / "m.nxs", DATA, {"a": A, "b": B})
        with pytest.raises(LayoutError, match=r"2 detectors .*detector=, of a, b"):
            CXIStore(file, protocol="nxmx").load_attribute("mask")

    def test_one_that_is_not_there_raises(self, tmp_path):
        file = master(tmp_path / "m.nxs", DATA, {"a": A, "b": B})
        with pytest.raises(LayoutError, match=r"no detector 'c' .* has a, b"):
            CXIStore(file, protocol="nxmx", detector="c").load_attribute("mask")

    def test_a_protocol_may_name_its_paths(self, tmp_path):
        file = master(tmp_path / "m.nxs", DATA, {"a": A, "b": B})
        protocol = CXIProtocol(
            {"data": "number", "mask": "bool"},
            {"data": "/entry/instrument/a/data", "mask": "/entry/instrument/a/pixel_mask"},
            {"data": "stack", "mask": "stack"},
            conventions={"mask": "nexus"},
        )
        mask = CXIStore(file, protocol=protocol).load_attribute("mask", verbose=False)
        np.testing.assert_array_equal(mask, good(ONE, shape=DATA.shape))


class TestTwoChannels:
    def test_of_three_axes_nothing_tells_and_the_error_lists_them(self, tmp_path):
        file = master(tmp_path / "m.nxs", DATA, {"detector": HI_AND_LO})
        with pytest.raises(LayoutError, match=r"2 channels.*channel=, of hi_channel, lo_channel"):
            CXIStore(file, protocol="nxmx").load_attribute("mask")

    @pytest.mark.parametrize(("name", "mask"), [("hi", ONE), ("lo_channel", TWO)])
    def test_one_is_chosen_by_name(self, tmp_path, name, mask):
        file = master(tmp_path / "m.nxs", DATA, {"detector": HI_AND_LO})
        store = CXIStore(file, protocol="nxmx", channel=name)
        expected = good(mask, shape=DATA.shape)
        np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)

    def test_along_an_axis_of_the_data_each_has_its_own(self, tmp_path):
        file = master(tmp_path / "m.nxs", CHANNELS, {"detector": HI_AND_LO})
        with h5py.File(file, "a") as h5:
            h5["entry/data/channel"] = ["lo", "hi"]
        mask = CXIStore(file, protocol="nxmx").load_attribute("mask", verbose=False)
        np.testing.assert_array_equal(mask, good(np.stack([TWO, ONE]), shape=CHANNELS.shape))


class TestCXI:
    @pytest.fixture
    def two(self, tmp_path):
        with h5py.File(tmp_path / "two.cxi", "w") as h5:
            for number, mask in ((1, ONE), (2, TWO)):
                group = h5.create_group(f"entry_1/instrument_1/detector_{number}")
                group["data"], group["mask"], group["distance"] = DATA + number, mask, number
        return str(tmp_path / "two.cxi")

    def test_the_detector_is_that_of_data_1(self, two):
        with h5py.File(two, "a") as h5:
            h5["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_2/data")
        store = CXIStore(two, protocol="cxi")
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), DATA + 2)
        expected = np.broadcast_to(TWO == 0, DATA.shape)
        np.testing.assert_array_equal(store.load_attribute("mask", verbose=False), expected)
        assert store.load_attribute("distance") == 2
        assert store.find_dataset("mask") == "/entry_1/instrument_1/detector_2/mask"

    def test_without_it_one_is_to_be_named(self, two):
        with pytest.raises(LayoutError, match="detector_1, detector_2"):
            CXIStore(two, protocol="cxi").load_attribute("data")
        store = CXIStore(two, protocol="cxi", detector="detector_1")
        np.testing.assert_array_equal(store.load_attribute("data", verbose=False), DATA + 1)

    def test_a_new_file_has_detector_1(self, tmp_path):
        store = CXIStore(tmp_path / "new.cxi", "w", protocol="cxi")
        store.save_attribute("data", DATA)
        with h5py.File(tmp_path / "new.cxi") as h5:
            assert "entry_1/instrument_1/detector_1/data" in h5


class TestLimitsAlone:
    def test_do_not_make_a_mask_while_one_that_nobody_reads_is_there(self, tmp_path):
        tree = {"saturation_value": 300}
        file = master(tmp_path / "m.nxs", DATA, {"detector": tree})
        with h5py.File(file, "a") as h5:
            h5["entry/processing/bad_pixel_mask"] = ONE
        store = CXIStore(file, protocol="nxmx")
        with pytest.raises(LayoutError, match=r"bad_pixel_mask of shape \(6, 8\)"):
            store.load_attribute("mask")

    @pytest.mark.parametrize("other", [np.zeros((3, 3), "u4"), np.zeros(SHAPE[::-1], "u4")])
    def test_make_one_where_nothing_that_fits_is_called_so(self, tmp_path, other):
        file = master(tmp_path / "m.nxs", DATA, {"detector": {"saturation_value": 300}})
        with h5py.File(file, "a") as h5:
            h5["entry/processing/bad_pixel_mask"] = other
            h5["entry/processing/background"] = ONE
        mask = CXIStore(file, protocol="nxmx").load_attribute("mask", verbose=False)
        np.testing.assert_array_equal(mask, DATA <= 300)


def test_a_mask_of_several_datasets_is_not_saved_into_one_of_them(tmp_path):
    tree = {"pixel_mask": ONE, "pixel_mask_1": TWO}
    file = master(tmp_path / "m.nxs", DATA, {"detector": tree})
    store = CXIStore(file, "r+", protocol="nxmx")
    with pytest.raises(LayoutError, match="several datasets say together"):
        store.save_attribute("mask", np.ones(SHAPE, bool), mode="overwrite")


def test_the_table_says_which_entry_is_read(tmp_path):
    file = tmp_path / "two.cxi"
    with h5py.File(file, "w") as h5:
        for entry in ("entry_1", "entry_2"):
            h5[f"{entry}/instrument_1/detector_1/data"] = DATA
    assert "/entry_1 is read, of the entries /entry_1, /entry_2" in repr(CXIStore(file))
    with h5py.File(file, "a") as h5:
        del h5["entry_2"]
    assert "is read" not in repr(CXIStore(file))


def test_commands_take_them_by_name(tmp_path):
    file = master(tmp_path / "m.nxs", DATA, {"a": A, "b": B})
    words = ["explain", file, "--protocol", "nxmx", "--attribute", "mask"]
    unclear = CliRunner().invoke(app, words)
    assert unclear.exit_code == 2
    assert "detector=" in unclear.output
    named = CliRunner().invoke(app, [*words, "--detector", "b"])
    assert named.exit_code == 0
    assert "/entry/instrument/b/pixel_mask" in named.output.replace("\n", "")


@pytest.mark.parametrize("inside", ["pixel_mask", "hi_channel/pixel_mask"])
def test_explain_tells_the_links_that_led_to_the_detector_of_a_mask(tmp_path, inside):
    file = master(tmp_path / "master.h5", DATA, {})
    with h5py.File(file, "r+") as h5:
        h5[f"hardware/eiger/{inside}"] = bits((1, 2))
        h5["hardware/eiger"].attrs["NX_class"] = "NXdetector"
        h5["entry/instrument/detector"] = h5py.SoftLink("/hardware/eiger")
    store = CXIStore(file, protocol="nxmx")
    assert not store["mask"][0][1, 2]
    assert "/entry/instrument/detector -> /hardware/eiger" in store.explain("mask")
