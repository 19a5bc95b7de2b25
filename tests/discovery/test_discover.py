"""A protocol is proposed for files of any layout, with reasons, and it works."""

import h5py
import numpy as np
import pytest

import cxistack
from cxistack import CXIProtocol, CXIStore, ProtocolError, discover
from cxistack.protocol.masks import bad_bits
from factory import LAYOUTS as ARRANGEMENTS
from factory import dangling_link, frames, not_hdf5, put
from factory.beamlines import FAULTY, LAYOUTS

FRAMES = frames(5, (16, 20))
GRID = (16, 20)


def load(files, attr="data", **options):
    """Load an attribute by the protocol that is discovered for the files."""
    names = [str(file) for file in files]
    store = CXIStore(names, protocol=CXIProtocol.discover(names))
    return store.load_attribute(attr, verbose=False, **options)


@pytest.fixture
def write(tmp_path):
    def file(tree, name="strange.h5"):
        with h5py.File(tmp_path / name, "w") as h5:
            for path, value in tree.items():
                where, _, attribute = path.partition("@")
                if attribute:
                    (h5[where] if where in h5 else h5.create_group(where)).attrs[attribute] = value
                else:
                    h5[where] = value
        return tmp_path / name

    return file


class TestEveryLayoutOfABeamline:
    @pytest.fixture(params=list(LAYOUTS))
    def run(self, request, tmp_path):
        run = LAYOUTS[request.param](tmp_path)
        return run

    def test_gives_its_frames(self, run):
        np.testing.assert_array_equal(load(run.files), run.data, strict=True)

    def test_gives_its_mask(self, run):
        if run.mask is None:
            pytest.skip("it has none")
        expected = run.mask
        if run.flags is not None:
            convention = "nexus" if run.paths["mask"].endswith("pixel_mask") else "cxi"
            if run.name.startswith("cheetah"):
                convention = "cheetah"
            expected = (run.flags.astype("uint64") & np.uint64(bad_bits(convention))) == 0
        mask, expected = np.broadcast_arrays(load(run.files, "mask"), expected)
        np.testing.assert_array_equal(mask, expected)
        np.broadcast_to(mask, run.data.shape)

    def test_has_its_attributes_and_no_problem_with_frames(self, run):
        found = discover([str(file) for file in run.files])
        store = CXIStore([str(file) for file in run.files], protocol=found.protocol)
        assert set(run.paths) <= set(store.found)
        assert [one for one in found.problems if one.attribute in ("data", "mask")] == []


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_frames_are_found_however_they_are_arranged(arrangement, tmp_path):
    parts = [frames(2, GRID), frames(3, GRID, start=9)]
    names = ARRANGEMENTS[arrangement](tmp_path, parts)
    np.testing.assert_array_equal(load(names), np.concatenate(parts), strict=True)


class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("p25_near_field_ptycho.cxi", "/entry_1/instrument_1/detector_1/data"),
            ("eiger_bitshuffle_frame.h5", "/entry/data/data"),
            ("libcxi_typical_raw.cxi", "/entry_1/instrument_1/detector_1/data"),
            ("cxidb_minimal.cxi", "/entry_1/data_1/data"),
        ],
    )
    def test_the_frames_are_right(self, shared_data, name, path):
        with h5py.File(shared_data / name) as h5:
            expected = h5[path][...]
        loaded = load([shared_data / name])
        np.testing.assert_array_equal(loaded, expected.reshape(loaded.shape), strict=True)

    def test_p25_has_its_mask_its_translations_and_its_geometry(self, shared_data):
        file = shared_data / "p25_near_field_ptycho.cxi"
        with h5py.File(file) as h5:
            translations = h5["/entry_1/sample_1/geometry_1/translation"][...]
        mask = load([file], "mask", idxs=0)
        assert (np.count_nonzero(mask), mask.size) == (9995, 10000)
        np.testing.assert_array_equal(load([file], "translations"), translations)
        store = CXIStore(str(file), protocol=CXIProtocol.discover(str(file)))
        assert {"basis_vectors", "distance", "wavelength", "energy", "x_pixel_size"} <= set(store)


class TestWhichDatasetIsTheFrames:
    def test_what_a_file_says_counts_before_names_and_sizes(self, write):
        tree = {
            "/a/data": frames(9, GRID),
            "/b@NX_class": "NXdata",
            "/b@signal": "counts",
            "/b/counts": FRAMES,
            "/c/larger": frames(4, (40, 50)),
        }
        found = discover(str(write(tree)))
        assert found.protocol.load_paths["data"] == ("/b/counts",)
        assert "signal" in found.reasons["data"][0]
        assert any("/a/data" in text for text in found.others["data"])
        assert any("/c/larger" in text for text in found.others["data"])

    def test_the_default_plot_counts_before_other_signals(self, write):
        tree = {"/@default": "last", "/last@default": "plot"}
        for group in ("first/plot", "last/plot"):
            tree |= {f"/{group}@NX_class": "NXdata", f"/{group}@signal": "y", f"/{group}/y": FRAMES}
        assert discover(str(write(tree))).protocol.load_paths["data"] == ("/last/plot/y",)

    def test_a_curve_that_is_a_signal_is_not_taken(self, write):
        tree = {"/@default": "p", "/p@signal": "y", "/p/y": np.arange(9.0), "/x/data": FRAMES}
        assert discover(str(write(tree))).protocol.load_paths["data"] == ("/x/data",)

    def test_the_data_of_a_detector_counts_before_a_name(self, write):
        tree = {"/e/d@NX_class": "NXdetector", "/e/d/data": FRAMES, "/a/data": frames(9, GRID)}
        assert discover(str(write(tree))).protocol.load_paths["data"] == ("/e/d/data",)

    def test_where_nothing_speaks_for_any_the_largest_frames_are_taken(self, write):
        found = discover(str(write({"/small": frames(9, (8, 8)), "/scan/big": FRAMES})))
        assert found.protocol.load_paths["data"] == ("/scan/big",)
        assert "shape" in found.reasons["data"][0]

    def test_of_numbered_equals_the_lowest_number_is_taken_and_the_others_told(self, write):
        tree = {f"/instrument/detector_{n}/data": FRAMES for n in (10, 9)}
        found = discover(str(write(tree)))
        assert found.protocol.load_paths["data"] == ("/instrument/detector_9/data",)
        assert "/instrument/detector_10/data" in found.others["data"][0]

    @pytest.mark.parametrize("name", ["mask", "gain", "flatfield", "dark", "Pixel_Mask"])
    def test_what_is_named_otherwise_is_never_the_frames(self, write, name):
        tree = {f"/x/{name}": frames(9, (30, 30)), "/y/counts": FRAMES}
        assert discover(str(write(tree))).protocol.load_paths["data"] == ("/y/counts",)

    def test_booleans_text_and_short_rows_are_never_the_frames(self, write):
        tree = {
            "/b": np.ones((3, *GRID), bool),
            "/positions": np.zeros((500, 3)),
            "/text": np.full((3, 20, 20), b"a"),
            "/frames": FRAMES,
        }
        assert discover(str(write(tree))).protocol.load_paths["data"] == ("/frames",)

    def test_numbered_datasets_of_a_group_are_one_series(self, write):
        parts = {f"/s/raw/data_{n}": frames(2, GRID, start=n) for n in (2, 10, 1)}
        file = write(parts)
        expected = np.concatenate([parts[f"/s/raw/data_{n}"] for n in (1, 2, 10)])
        found = discover(str(file))
        assert found.protocol.load_paths["data"] == ("/s/raw",)
        assert "data" not in found.others
        np.testing.assert_array_equal(load([file]), expected, strict=True)

    @pytest.mark.parametrize("dtype", ["int16", "uint8", "float32", "int64"])
    def test_the_stored_type_is_kept(self, write, dtype):
        for path in ("/x/data", "/entry/data/data"):
            assert (
                load([write({path: FRAMES.astype(dtype)}, dtype + path[1] + ".h5")]).dtype == dtype
            )


class TestOtherAttributes:
    def test_a_mask_must_have_the_shape_of_the_frames(self, write):
        tree = {
            "/d/data": FRAMES,
            "/d/mask": np.zeros((4, 4), "u1"),
            "/m/mask": np.zeros(GRID, "u1"),
        }
        found = discover(str(write(tree)))
        assert found.protocol.load_paths["mask"] == ("/m/mask",)
        assert any("(4, 4)" in text for text in found.others["mask"])

    @pytest.mark.parametrize(
        ("name", "dtype", "convention"),
        [
            ("mask", "?", "cxi"),
            ("mask", "u1", "cxi"),
            ("pixel_mask", "u4", "nexus"),
            ("good_pixels", "u1", "good"),
        ],
    )
    def test_what_a_mask_means_is_said_by_its_name_and_type(self, write, name, dtype, convention):
        found = discover(str(write({"/data": FRAMES, f"/x/{name}": np.ones(GRID, dtype)})))
        assert found.protocol.conventions["mask"] == (convention,)

    def test_that_nothing_says_what_a_mask_means_is_told(self, write):
        found = discover(str(write({"/data": FRAMES, "/mask": np.ones(GRID, "u1")})))
        assert "nothing says" in " ".join(found.reasons["mask"])

    def test_a_built_in_protocol_says_what_the_mask_that_it_finds_means(self, write):
        file = write({"/entry/data/data": FRAMES, "/mask_maker/mask": np.ones(GRID, "u1")})
        found = discover(str(file))
        assert found.protocol.get_convention("mask", "/mask_maker/mask") == "good"
        assert "convention 'good'" in found.reasons["mask"][-1]
        assert "0 is good" not in " ".join(found.reasons["mask"])

    def test_a_mask_whose_link_leads_nowhere_is_an_error_when_it_is_loaded(self, write):
        file = write({"/x/data": FRAMES, "/x/pixel_mask": h5py.SoftLink("/gone")})
        assert discover(str(file)).protocol.conventions["mask"] == ("nexus",)
        with pytest.raises(cxistack.LinkError, match="gone"):
            load([file], "mask")

    def test_translations_have_a_row_for_each_frame(self, write):
        tree = {
            "/data": FRAMES,
            "/a/translations": np.ones((4, 3)),
            "/b/translations": np.ones((5, 3)),
        }
        found = discover(str(write(tree)))
        assert found.protocol.load_paths["translations"] == ("/b/translations",)

    def test_of_two_distances_that_of_the_detector_is_taken(self, write):
        tree = {"/data": FRAMES, "/attenuator/distance": 1.0, "/my_detector/distance": 2.0}
        assert load([write(tree)], "distance") == 2.0

    def test_names_in_other_spellings_are_known(self, write):
        tree = {"/Data": FRAMES, "/PixelMask": np.zeros(GRID, "u4"), "/Wave-Length": 1.0}
        assert set(discover(str(write(tree))).protocol) == {"data", "mask", "wavelength"}


class TestManyFiles:
    def test_a_file_of_another_layout_adds_its_paths(self, write):
        files = [write({"/a/data": FRAMES}, "1.h5"), write({"/b/images": FRAMES + 1}, "2.h5")]
        np.testing.assert_array_equal(load(files), np.concatenate([FRAMES, FRAMES + 1]))

    def test_a_mask_in_a_file_of_its_own_is_found(self, write):
        flags = np.zeros(GRID, "u1")
        flags[2, 3] = 1
        files = [write({"/a/data": FRAMES}, "1.h5"), write({"/calibration/mask": flags}, "2.h5")]
        assert discover([str(file) for file in files]).protocol.load_paths["mask"]
        np.testing.assert_array_equal(load(files, "mask")[0], flags == 0)

    @pytest.mark.parametrize("layout", ["agipd_raw", "agipd_corr_output"])
    def test_modules_are_not_put_one_after_another(self, tmp_path, layout):
        run = LAYOUTS[layout](tmp_path)
        try:
            data = load(run.files)
        except cxistack.CXIError:
            return
        np.testing.assert_array_equal(data, run.data)


class TestTrouble:
    def test_nothing_to_recognise_is_an_error_that_says_what_is_there(self, write):
        with pytest.raises(
            ProtocolError, match=r"2 groups and 1 datasets: /a/curve \(9,\) float64"
        ):
            discover(str(write({"/a/curve": np.arange(9.0)})))

    def test_metadata_alone_is_a_protocol_that_says_so(self, write):
        found = discover(str(write({"/speckle_tracking/whitefield": np.ones(GRID)})))
        assert found.base == "default"
        assert any("no dataset that could be frames" in note for note in found.notes)

    def test_a_link_that_leads_nowhere_is_told(self, write):
        file = write({"/x/data": FRAMES, "/x/mask": h5py.ExternalLink("gone.h5", "/mask")})
        found = discover(str(file))
        assert any("/x/mask" in note and "gone.h5" in note for note in found.notes)
        np.testing.assert_array_equal(load([file]), FRAMES)

    @pytest.mark.parametrize("link", ["file", "path", "soft"])
    def test_frames_behind_a_dangling_link_raise_when_they_are_loaded(self, tmp_path, link):
        name = dangling_link(tmp_path, link)
        with pytest.raises((cxistack.LinkError, ProtocolError)):
            load([name])

    @pytest.mark.parametrize("fault", list(FAULTY))
    def test_what_is_wrong_with_a_run_is_an_error_and_names_it(self, tmp_path, fault):
        run = FAULTY[fault](tmp_path)
        names = [str(file) for file in run.files]
        try:
            found = discover(names)
        except cxistack.CXIError as error:
            told = str(error)
        else:
            store = CXIStore(names, protocol=found.protocol)
            told = "\n".join([*found.notes, *map(str, found.problems), *map(str, store.problems)])
        assert any(at in told for at in run.at)

    def test_links_stay_in_the_tree_when_asked_to(self, tmp_path):
        (tmp_path / "in").mkdir()
        put(tmp_path / "out.h5", {"/frames": FRAMES})
        with h5py.File(tmp_path / "in" / "run.h5", "w") as h5:
            h5["/x/data"] = h5py.ExternalLink("../out.h5", "/frames")
        name = str(tmp_path / "in" / "run.h5")
        assert discover(name).protocol.load_paths["data"] == ("/x/data",)
        with pytest.raises(ProtocolError, match="outside the folders"):
            discover(name, links="tree")

    def test_a_file_that_is_none_is_an_error(self, tmp_path):
        with pytest.raises(OSError, match="cannot be opened"):
            discover(not_hdf5(tmp_path))


class TestWhatComesBack:
    def test_the_protocol_survives_an_ini_file(self, write, tmp_path):
        protocol = CXIProtocol.discover(str(write({"/data": FRAMES, "/mask": np.ones(GRID, "u1")})))
        protocol.to_ini(tmp_path / "my.ini")
        assert CXIProtocol.import_ini(tmp_path / "my.ini") == protocol

    def test_a_subclass_discovers_itself(self, write):
        class Mine(CXIProtocol):
            pass

        assert type(Mine.discover(str(write({"/data": FRAMES})))) is Mine

    def test_the_text_has_every_attribute_and_its_reasons(self, write):
        found = discover(str(write({"/data": FRAMES, "/mask": np.ones(GRID, "u1")})))
        for attr, reasons in found.reasons.items():
            assert f"{attr} (" in str(found)
            assert all(reason in str(found) for reason in reasons)

    def test_no_pixel_is_read(self, write, monkeypatch):
        file = str(write({"/a/data": FRAMES, "/a/mask": np.ones(GRID, "u1")}))

        def read(*_):
            raise AssertionError("pixels were read")

        monkeypatch.setattr(h5py.Dataset, "__getitem__", read)
        monkeypatch.setattr(h5py.Dataset, "read_direct", read)
        assert set(discover(file).protocol) == {"data", "mask"}
