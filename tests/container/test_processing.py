"""What a container makes of its frames: as defined, and the same whether memory holds them."""

import pickle
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import factory
from cxistack import (
    ComposeTransforms,
    Crop,
    CXIProtocol,
    CXIStore,
    Downscale,
    FileChangedError,
    FrameIndexError,
    LayoutError,
    Mirror,
    STData,
)
from cxistack.processing import stacks as room
from cxistack.processing.stacks import ComputedStack
from factory import DATA, MASK, TRANSLATIONS, WHITEFIELD, frames, good_mask, put
from processing import references

RNG = np.random.default_rng(5)
COUNT, GRID = 12, (9, 11)
NAMES = {"data": "stack", "mask": "stack", "whitefield": "frame", "whitefields": "stack"}
OF_NUMBERS = CXIProtocol(
    dict.fromkeys(NAMES, "number"), {name: DATA.replace("data", name) for name in NAMES}, NAMES
)
TRANSFORMS = [
    None,
    Crop([1, 8, 2, 11]),
    ComposeTransforms([Mirror(0, GRID), Crop([0, 7, 3, 10])]),
    Downscale(2),
    Downscale(2, mode="mean"),
]


def detector_frames(dtype="u2"):
    """Frames of a beam that flickers, with hot pixels and an empty frame."""
    beam = 200 * np.exp(-((np.arange(11) - 5) ** 2) / 20) * np.linspace(0.5, 1, 9)[:, None]
    data = RNG.poisson(beam * RNG.uniform(0.7, 1.3, (COUNT, 1, 1)))
    data[[3, 8], [2, 4], [6, 7]] += 5000
    data[5] = 0
    return data.astype(dtype)


@pytest.fixture
def run(tmp_path):
    """Two files of a run, chunked, with a mask of every frame."""
    data, names = detector_frames(), []
    mask = RNG.random(data.shape) > 0.1
    for number, half in enumerate((slice(0, 5), slice(5, COUNT))):
        values = {DATA: data[half], MASK: mask[half], TRANSLATIONS: np.ones((len(data[half]), 3))}
        names.append(put(tmp_path / f"{number}.cxi", values))
    return names


def both_ways(run, transform=None, idxs=None, attributes=("mask", "translations")):
    """Return a container that has its frames in memory, and one that has not."""
    st = STData(CXIStore(run), transform=transform).load(list(attributes), idxs, verbose=False)
    return st.load("data", idxs, verbose=False), st


def small_steps(monkeypatch):
    """Let blocks be of 2 frames of the grid, and bands of few rows."""
    monkeypatch.setattr(room, "BLOCK_BYTES", 2 * 8 * 99)
    monkeypatch.setattr(room, "BAND_BYTES", 2 * 12 * 11 * 8)


METHODS = {
    "mask_frames": lambda st: st.mask_frames().good_frames,
    "no-bad": lambda st: st.update_mask("no-bad").mask,
    "range-bad": lambda st: st.update_mask("range-bad", vmin=1, vmax=300).mask,
    "perc-bad": lambda st: st.update_mask(pmin=1, pmax=99).mask,
    "multiplied": lambda st: st.update_mask(pmax=99, update="multiply").mask,
    "multiplied twice": lambda st: (
        st.update_mask("range-bad", vmax=400, update="multiply")
        .update_mask(pmax=98.5, update="multiply")
        .mask
    ),
    "whitefield": lambda st: st.update_whitefield().whitefield,
    "whitefield of a new mask": lambda st: (
        st.mask_frames().update_mask(pmax=99).update_whitefield().whitefield
    ),
    "whitefields": lambda st: st.update_whitefields(size=5).whitefields,
    "pca": lambda st: st.get_pca(),
    "pca of good frames": lambda st: st.mask_frames().update_mask(pmax=99).get_pca(),
    "whitefields by pca": lambda st: (
        st.update_whitefields("pca", effs=st.get_pca()[1][:3]).whitefields
    ),
    "sums over ss": lambda st: st.integrate_data(0).data,
    "sums over fs": lambda st: st.update_mask(update="multiply").integrate_data(1).data,
}


class TestInMemoryAndByStreams:
    @pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
    @pytest.mark.parametrize("method", METHODS)
    def test_the_same_bit_for_bit(self, run, method, transform, monkeypatch):
        small_steps(monkeypatch)
        for idxs in (None, [7, 0, 3, 3, 11, 10]):
            in_memory, by_stream = both_ways(run, transform, idxs)
            results, computed = METHODS[method](in_memory), METHODS[method](by_stream)
            if not isinstance(results, tuple):
                results, computed = (results,), (computed,)
            for one, other in zip(results, computed, strict=True):
                assert isinstance(one, np.ndarray)
                np.testing.assert_array_equal(np.asarray(other), one, strict=True)

    def test_stacks_are_not_made_in_memory(self, run):
        _, st = both_ways(run)
        made = st.update_mask().update_whitefields()
        cor_data, effs, _ = made.get_pca()
        for stack in (made.mask, made.whitefields, cor_data, effs):
            assert isinstance(stack, ComputedStack)
        assert made.data is None
        assert "computed" in repr(made)
        assert made.clear(["mask", "whitefields"]).contents() == [
            name for name in made.contents() if name not in ("mask", "whitefields")
        ]

    def test_only_the_rows_that_are_asked_for_are_read(self, run, monkeypatch):
        asked = []
        load = CXIStore.load_attribute
        monkeypatch.setattr(
            CXIStore,
            "load_attribute",
            lambda self, attr, *a, **how: (
                asked.append(how["transform"]) or load(self, attr, *a, **how)
            ),
        )
        mask = STData(CXIStore(run), transform=Crop([1, 9, 0, 9])).update_mask(pmax=99).mask
        asked.clear()
        _ = mask[2:4, 3:5]
        assert asked == [ComposeTransforms([Crop([1, 9, 0, 9]), Crop([2, 6, 0, 9])])]

    def test_a_closed_store_is_opened_for_the_time_of_a_call(self, run):
        in_memory, st = both_ways(run)
        st.input_file.close()
        made = st.update_mask(pmax=99)
        np.testing.assert_array_equal(made.mask, in_memory.update_mask(pmax=99).mask)
        assert not st.input_file

    def test_what_is_computed_can_be_pickled(self, run):
        _, st = both_ways(run)
        made = st.update_mask(pmax=99, update="multiply").update_whitefields()
        again = pickle.loads(pickle.dumps(made))
        for attr in ("mask", "whitefields"):
            np.testing.assert_array_equal(again[attr], made[attr])

    @given(references.stacks(dtypes=["u1", "u2", "i4", "f4", "f8"], frames=(2, 5)), some.data())
    def test_any_shape_type_and_mask(self, tmp_path_factory, drawn, more):
        data, mask = drawn
        folder = tmp_path_factory.mktemp("any")
        store = CXIStore(put(folder / "run.cxi", {DATA: data}), protocol=OF_NUMBERS)
        method = more.draw(some.sampled_from(sorted(set(METHODS) - {"mask_frames"})))
        outcomes = []
        for st in (STData(store).load("data", verbose=False), STData(store)):
            try:
                made = METHODS[method](st.replace(mask=mask))
            except ValueError as error:
                made = (str(error),)
            outcomes.append(
                [np.asarray(one) for one in (made if isinstance(made, tuple) else [made])]
            )
        for one, other in zip(*outcomes, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)


class TestMaskFrames:
    def test_drops_the_empty_ones(self, run):
        data = frames(6, start=1)
        data[[0, 3]] = 0
        st = STData(CXIStore(run), data=data).mask_frames()
        np.testing.assert_array_equal(st.good_frames, [1, 2, 4, 5])
        assert st.data is data

    @pytest.mark.parametrize("good", [[0, 4], np.array([True, False] * 6), range(2)])
    def test_takes_numbers_and_boolean_masks(self, run, good):
        expected = np.flatnonzero(good) if isinstance(good, np.ndarray) else list(good)
        for st in both_ways(run):
            np.testing.assert_array_equal(st.mask_frames(good).good_frames, expected)
            assert st.mask_frames([]).good_frames.size == 0

    @pytest.mark.parametrize("good", [[12], [-13], np.ones(5, bool)])
    def test_refuses_frames_that_are_not_there(self, run, good):
        for st in both_ways(run):
            with pytest.raises(FrameIndexError):
                st.mask_frames(good)


class TestUpdateMask:
    def test_as_defined(self, run):
        st, _ = both_ways(run)
        expected = references.percentile_mask(st.data, 0, 99.99)
        np.testing.assert_array_equal(st.update_mask().mask, expected, strict=True)
        assert np.count_nonzero(~expected) == 1
        np.testing.assert_array_equal(st.update_mask("no-bad").mask, np.ones(st.shape, bool))
        in_range = (st.data >= 0) & (st.data < 65535)
        np.testing.assert_array_equal(st.update_mask("range-bad").mask, in_range, strict=True)

    def test_multiplied_with_what_is_bad_already(self, run):
        st, _ = both_ways(run)
        expected = references.percentile_mask(st.data * st.mask, 2, 98) & st.mask
        found = st.update_mask("perc-bad", 2, 98, update="multiply").mask
        np.testing.assert_array_equal(found, expected, strict=True)
        again = st.update_mask("no-bad", update="multiply").mask
        np.testing.assert_array_equal(again, st.mask, strict=True)

    def test_one_mask_stands_for_all_frames(self, run):
        mask = good_mask(GRID, [(0, 0)])
        for st in both_ways(run):
            st = st.replace(mask=mask)
            made = st.update_mask("range-bad", vmax=300, update="multiply").mask
            data = CXIStore(run).load_attribute("data", verbose=False)
            np.testing.assert_array_equal(made, (data < 300) & mask)
            assert not st.update_whitefield().whitefield[0, 0]

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ({"method": "worst"}, "no-bad, range-bad, perc-bad, not 'worst'"),
            ({"update": "add"}, "reset, multiply"),
            ({"vmin": 3, "vmax": 3}, "vmin"),
            ({"pmin": 50, "pmax": 5}, "pmin"),
            ({"pmax": 101}, "0 to 100"),
            ({"pmin": np.nan}, "pmin"),
        ],
    )
    def test_words_that_make_no_sense(self, run, words, told):
        with pytest.raises(ValueError, match=told):
            STData(CXIStore(run)).update_mask(**words)

    def test_nan_is_put_right_by_a_range(self, run):
        data = detector_frames("f4")
        data[2, 3, 4] = np.nan
        st = STData(CXIStore(run), data=data)
        with pytest.raises(ValueError, match="range-bad"):
            st.update_mask()
        st = st.update_mask("range-bad").update_mask(pmax=99, update="multiply")
        assert not st.mask[2, 3, 4]
        assert np.isfinite(st.update_whitefield().whitefield).all()
        assert np.isfinite(st.get_pca()[1]).all()


class TestWhitefields:
    def test_as_defined(self, run):
        st, _ = both_ways(run)
        good = st.mask_frames([0, 2, 5, 7])
        expected = references.whitefield(st.data, st.mask, [0, 2, 5, 7])
        np.testing.assert_array_equal(good.update_whitefield().whitefield, expected, strict=True)
        moving = references.moving_medians(st.data, st.mask, expected, 11)
        found = good.update_whitefields().whitefields
        np.testing.assert_array_equal(found, moving, strict=True)

    def test_appears_by_itself_where_there_is_data(self, run):
        st = STData(CXIStore(run)).load("data", verbose=False)
        np.testing.assert_array_equal(st.whitefield, st.update_whitefield().whitefield)
        assert st.whitefield is st.whitefield
        assert "whitefield" in st.contents()
        other = st.replace(mask=np.zeros(st.shape, bool))
        assert not other.whitefield.any()
        st["data"] = st.data + np.uint16(1)
        np.testing.assert_array_equal(st.whitefield, st.update_whitefield().whitefield)
        assert st.mask_frames([]).whitefield is None
        assert "whitefield" not in st.mask_frames([]).contents()
        assert STData(CXIStore(run)).whitefield is None

    def test_it_is_not_saved_unless_it_is_named(self, run, tmp_path):
        output = CXIStore(tmp_path / "results.cxi", "a")
        st = STData(CXIStore(run), output_file=output).load("data", verbose=False)
        st.save()
        assert set(output) == {"data"}
        st.save("whitefield")
        np.testing.assert_array_equal(output.load_attribute("whitefield"), st.whitefield)

    def test_what_was_made_of_other_frames_is_made_anew(self, run):
        for st in both_ways(run):
            st = st.update_whitefield()
            good = st.mask_frames([1, 2, 3])
            np.testing.assert_array_equal(good.whitefield, good.update_whitefield().whitefield)
            assert not np.array_equal(good.whitefield, st.whitefield)
            assert st.mask_frames([]).whitefield is None

    def test_of_no_frames_or_of_words_there_are_none(self, run):
        for st in both_ways(run):
            for make in (STData.update_whitefield, STData.update_whitefields, STData.get_pca):
                with pytest.raises(ValueError, match="good"):
                    make(st.mask_frames([]))
            with pytest.raises(ValueError, match="median, pca, not 'mean'"):
                st.update_whitefields("mean")
            with pytest.raises(ValueError, match="effs"):
                st.update_whitefields("pca")

    def test_masked_arrays_are_refused(self, run):
        st = STData(CXIStore(run), data=np.ma.masked_equal(detector_frames(), 0))
        with pytest.raises(TypeError, match="mask"):
            st.update_whitefield()

    @pytest.mark.parametrize("shape", [(3, *GRID), (2, 2)])
    def test_a_mask_that_does_not_fit_is_refused(self, run, shape):
        for st in both_ways(run):
            with pytest.raises(ValueError, match="the mask has shape"):
                st.replace(mask=np.ones(shape, bool)).update_whitefield()


class TestPCA:
    def test_the_flicker_of_a_beam_is_one_component(self, run):
        beam = RNG.uniform(100, 200, GRID)
        data = beam * np.linspace(0.8, 1.2, 7)[:, None, None]
        st = STData(CXIStore(run), data=data)
        cor_data, effs, eig_vals = st.get_pca()
        np.testing.assert_allclose(cor_data, data - data[3])
        np.testing.assert_allclose(eig_vals, [1, 0, 0, 0, 0, 0, 0], atol=1e-12)
        made = st.update_whitefields("pca", effs=effs[:1])
        np.testing.assert_allclose(made.whitefields, data)
        again = st.update_whitefields("pca", cor_data=cor_data, effs=effs[:1])
        np.testing.assert_array_equal(again.whitefields, made.whitefields)

    def test_of_good_frames_by_good_pixels(self, run):
        st, _ = both_ways(run)
        cor_data, effs, eig_vals = st.mask_frames([0, 1, 4, 9]).get_pca()
        white = references.whitefield(st.data, st.mask, [0, 1, 4, 9])
        expected = np.where(st.mask, st.data.astype("i8") - white, 0)[[0, 1, 4, 9]]
        np.testing.assert_array_equal(cor_data, expected, strict=True)
        values, vectors = np.linalg.eigh(np.tensordot(expected, expected, ((1, 2), (1, 2))))
        np.testing.assert_allclose(eig_vals, values[::-1] / values.sum())
        for one, other in zip(effs, np.tensordot(vectors.T[::-1], expected, 1), strict=True):
            np.testing.assert_allclose(one * np.sign(np.vdot(one, other)), other, atol=1e-6)

    def test_what_is_left_of_good_frames_does_not_do_for_all(self, run):
        st, _ = both_ways(run)
        good = st.mask_frames([0, 1, 4, 9])
        cor_data, effs, _ = good.get_pca()
        with pytest.raises(ValueError, match="cor_data"):
            good.update_whitefields("pca", cor_data=cor_data, effs=effs)
        assert good.update_whitefields("pca", effs=effs).whitefields.shape == st.shape

    def test_one_frame_and_equal_frames_have_no_components(self, run):
        for data in (detector_frames()[:1], np.full((4, 3, 3), 7)):
            with pytest.raises(ValueError, match="differs from the whitefield"):
                STData(CXIStore(run), data=data).get_pca()


class TestIntegrating:
    @pytest.mark.parametrize("axis", [0, 1])
    def test_sums_good_pixels_and_keeps_the_axis(self, run, axis):
        for st in both_ways(run):
            made = st.integrate_data(axis)
            data, mask = (CXIStore(run).load_attribute(name) for name in ("data", "mask"))
            expected = (data.astype("u8") * mask).sum(axis + 1, keepdims=True)
            np.testing.assert_array_equal(made.data, expected, strict=True)
            assert made.mask.shape == expected.shape
            assert made.translations is st.translations

    def test_needs_an_axis_of_the_detector(self, run):
        with pytest.raises(ValueError, match="axis"):
            STData(CXIStore(run)).integrate_data(2)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_needs_data_says_so(tmp_path, method):
    name = put(tmp_path / "none.cxi", {WHITEFIELD: np.ones((2, 3))})
    with pytest.raises(ValueError, match="'data'"):
        METHODS[method](STData(CXIStore(name)))
    with pytest.raises(ValueError, match="frames are needed"):
        METHODS[method](STData(CXIStore(name), data=np.ones((2, 3))))


class TestSavingWhatIsComputed:
    """Files of computed stacks are those of arrays."""

    @staticmethod
    def saved(st, name, **how):
        with CXIStore(name, "a") as output:
            st.update_output_file(output).save(["mask", "whitefields", "whitefield"], **how)
        with h5py.File(name) as h5:
            found = {}
            h5.visititems(
                lambda path, one: found.update({path: one[()]}) if hasattr(one, "shape") else None
            )
        return {path: value for path, value in found.items() if "process" not in path}

    @pytest.fixture
    def processed(self, run, monkeypatch):
        small_steps(monkeypatch)

        def process(st):
            return st.mask_frames().update_mask(pmax=99).update_whitefields(size=5)

        return [process(st) for st in both_ways(run, Crop([1, 8, 2, 11]))]

    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    @pytest.mark.parametrize("apply_transform", [False, True])
    def test_the_same_as_arrays(self, processed, tmp_path, mode, apply_transform):
        contents = []
        for number, st in enumerate(processed):
            assert isinstance(st.mask, ComputedStack) == bool(number)
            how = {"mode": mode, "apply_transform": apply_transform}
            contents.append(self.saved(st, tmp_path / f"out{number}.cxi", **how))
        assert contents[0].keys() == contents[1].keys()
        for path, value in contents[0].items():
            np.testing.assert_array_equal(contents[1][path], value, strict=True)
        masks = [value for path, value in contents[1].items() if path.endswith("/mask")]
        assert masks[0].shape == (11, *(GRID if apply_transform else (7, 9)))

    def test_one_after_the_other_and_in_between(self, processed, tmp_path):
        contents = []
        for number, st in enumerate(processed):
            name = tmp_path / f"out{number}.cxi"
            with CXIStore(name, "a") as output:
                st = st.update_output_file(output)
                for mode, idxs in (
                    ("append", None),
                    ("append", None),
                    ("insert", range(22, 0, -2)),
                ):
                    st.save("mask", mode=mode, idxs=idxs)
                st.save("whitefields", compression="deflate", mode="overwrite")
                contents.append([output.load_attribute(one) for one in ("mask", "whitefields")])
        for one, other in zip(*contents, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)
        assert len(contents[0][0]) == 23

    def test_an_error_leaves_nothing_of_the_commit(self, processed, tmp_path, monkeypatch):
        _, st = processed
        name = tmp_path / "results.cxi"
        output = CXIStore(name, "a")
        calls = []

        def failing(self, frames):
            calls.append(len(frames))
            if len(calls) > 2:
                raise OSError("no space left")

        monkeypatch.setattr("cxistack.store.writer.FrameWriter.append", failing)
        with pytest.raises(OSError, match="no space"):
            st.update_output_file(output).save(["whitefield", "mask"])
        with h5py.File(name) as h5:
            assert not set(h5)
        assert len(calls) == 3
        assert max(calls) <= 4

    def test_what_does_not_go_with_data_is_refused(self, processed, tmp_path):
        _, st = processed
        name = put(tmp_path / "other.cxi", {DATA: frames(4, (7, 9))})
        with pytest.raises(LayoutError, match="'mask'"):
            st.update_output_file(CXIStore(name, "a")).save("mask")
        with h5py.File(name) as h5:
            assert MASK not in h5

    def test_a_part_of_frames_that_are_there_is_not_overwritten(self, processed, tmp_path):
        _, st = processed
        st = st.update_output_file(CXIStore(tmp_path / "results.cxi", "a"))
        st.save("mask", apply_transform=True)
        with pytest.raises(NotImplementedError, match="replace"):
            st.save("mask", apply_transform=True, mode="overwrite")
        with pytest.raises(FrameIndexError, match="11"):
            st.save("mask", apply_transform=True, mode="insert", idxs=[1])

    def test_into_the_file_that_it_is_computed_of(self, tmp_path):
        data = detector_frames()
        name = put(tmp_path / "run.cxi", {DATA: data})
        with CXIStore(name, "r+") as store:
            STData(store, output_file=store).update_mask(pmax=99).save("mask")
            expected = references.percentile_mask(data, 0, 99)
            np.testing.assert_array_equal(store.load_attribute("mask"), expected)
            np.testing.assert_array_equal(store.load_attribute("data"), data)


def test_frames_that_move_are_told_where_they_are_computed(run):
    st = STData(CXIStore(run)).update_mask("range-bad")
    assert np.asarray(st.mask).shape == (COUNT, *GRID)
    put(f"{run[0]}.new", {DATA: detector_frames()[:7]})
    Path(f"{run[0]}.new").replace(run[0])
    st.input_file.update_indices()
    with pytest.raises(FileChangedError, match="other numbers"):
        np.asarray(st.mask)


def test_another_transform_drops_what_is_computed(run):
    _, st = both_ways(run)
    new = st.update_mask(pmax=99).update_transform(Crop([0, 4, 0, 4]))
    assert new.mask is None
    assert new.update_mask(pmax=99).mask.shape == (COUNT, 4, 4)


def test_frames_of_modules(tmp_path):
    data = RNG.poisson(30, (6, 2, 5, 4)).astype("u2")
    name = put(tmp_path / "run.cxi", {DATA: data})
    for st in both_ways(name, attributes=()):
        made = st.update_mask(pmax=95).update_whitefields(size=3)
        for number in range(2):
            alone = STData(CXIStore(name), data=data[:, number])
            white = alone.replace(mask=np.asarray(made.mask)[:, number]).update_whitefield()
            np.testing.assert_array_equal(made.whitefield[number], white.whitefield)
        assert st.get_pca()[1].shape == data.shape


def test_factory_frames_have_no_surprises(tmp_path):
    name = put(tmp_path / "run.cxi", {DATA: frames(6), **factory.attributes(6)})
    st = STData(CXIStore(name)).load(verbose=False)
    assert [one for one, value in st.items() if value is not None] == st.contents()


def test_memory_holds_blocks_and_bands_only(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(room, "BAND_BYTES", 1 << 20)
    data = RNG.integers(0, 60, (400, 256, 256), "u2")
    name = put(tmp_path / "run.cxi", {DATA: data})
    size = data.nbytes
    del data
    with CXIStore(name) as store, CXIStore(tmp_path / "results.cxi", "a") as output:
        st = STData(store, output_file=output)
        tracemalloc.start()
        try:
            st = st.mask_frames().update_mask().update_whitefield()
            st.save(["mask", "whitefield"])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < size / 2  # of which the writer's buffer is 16 MiB
        assert output["mask"].shape == (400, 256, 256)
