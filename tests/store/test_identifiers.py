"""Frames by identifier; NumPy is the oracle, and files are as beamlines write them."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack import (
    AttributeMissingError,
    CXIProtocol,
    CXIStore,
    FrameIndexError,
    LayoutError,
)
from cxistack.store.identifiers import numbers_of
from factory import DATA, TRANSLATIONS, frames, put
from factory.beamlines import LAYOUTS
from factory.beamlines.euxfel import PULSE_IDS, TRAIN_IDS


class TestNumbers:
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.data())
    def test_of_a_list_are_those_of_each_value_in_turn(self, ids, data):
        dtype = data.draw(st.sampled_from(["uint64", "int32", "float64", object]))
        asked = data.draw(st.lists(st.sampled_from(ids), max_size=6))
        array = np.array([str(one) for one in ids], object) if dtype is object else np.array(ids)
        got = numbers_of(array if dtype is object else array.astype(dtype), asked, "id")
        expected = [n for value in asked for n, one in enumerate(ids) if one == value]
        assert got.tolist() == expected
        assert got.dtype == np.int64

    @given(
        st.lists(st.integers(0, 9), min_size=1, max_size=30),
        st.integers(-2, 11) | st.none(),
        st.integers(-2, 11) | st.none(),
    )
    def test_of_a_slice_are_those_within(self, ids, first, stop):
        expected = [
            n
            for n, one in enumerate(ids)
            if (first is None or one >= first) and (stop is None or one < stop)
        ]
        if expected:
            got = numbers_of(np.array(ids, "uint64"), slice(first, stop), "id")
            assert got.tolist() == expected
        else:
            with pytest.raises(FrameIndexError, match="no frame has id in"):
                numbers_of(np.array(ids, "uint64"), slice(first, stop), "id")

    @pytest.mark.parametrize(
        "some", [range(3, 20, 4), range(19, 2, -4), range(0, 8), range(-5, 9, 7)]
    )
    def test_of_a_range_are_those_in_it(self, some):
        ids = np.random.default_rng(0).permutation(20).astype("uint32")
        expected = [n for n, one in enumerate(ids.tolist()) if one in some]
        assert numbers_of(ids, some, "id").tolist() == expected

    @pytest.mark.parametrize("wanted", [-1, 2**64, 1.5, "x", [3, 99], np.int64(-1), 2**53 + 1])
    def test_of_what_is_not_there_are_an_error_that_names_it(self, wanted):
        ids = np.array([3, 2**53, 2**64 - 1], "uint64")
        told = repr(99 if isinstance(wanted, list) else np.asarray(wanted).item())
        with pytest.raises(FrameIndexError, match=f"no frame has id .*{told}"):
            numbers_of(ids, wanted, "id")

    def test_of_many_that_are_not_there_name_a_few(self):
        with pytest.raises(
            FrameIndexError, match=r"id 5, 6, 7, 8 and 2 more; 2 frames have id 1 to 2"
        ):
            numbers_of(np.array([1, 2]), [1, *range(5, 11)], "id")

    def test_of_text_take_bytes_and_integers(self):
        ids = np.array(["1", "ev//0", "10"], object)
        assert numbers_of(ids, ["ev//0", b"10"], "id").tolist() == [1, 2]
        assert numbers_of(ids, 10, "id").tolist() == [2]
        with pytest.raises(ValueError, match="of which there are no ranges"):
            numbers_of(ids, slice("1", None), "id")
        with pytest.raises(ValueError, match="has no step"):
            numbers_of(np.arange(3), slice(0, 3, 2), "id")


@pytest.mark.parametrize("layout", ["agipd_raw", "agipd_corrected", "agipd_two_sequences"])
@pytest.mark.parametrize("names", [("trainId", "pulseId"), ("train_id", "pulse_id")])
def test_trains_and_pulses_of_the_european_xfel(tmp_path, layout, names):
    store = CXIStore(LAYOUTS[layout](tmp_path).files, protocol="euxfel")
    train, pulse = names
    np.testing.assert_array_equal(
        store.frames(**{train: 10001}), np.flatnonzero(TRAIN_IDS == 10001)
    )
    last = store.frames(**{train: [10002, 10000]})
    np.testing.assert_array_equal(TRAIN_IDS[last], np.sort(TRAIN_IDS[last])[::-1])
    both = store.frames(**{train: slice(10001, None), pulse: 4})
    np.testing.assert_array_equal(both, np.flatnonzero((TRAIN_IDS >= 10001) & (PULSE_IDS == 4)))
    with pytest.raises(FrameIndexError, match="10003"):
        store.frames(**{train: [10001, 10003]})


def identified(path, names, start=0):
    with h5py.File(path, "w") as h5:
        h5[DATA] = frames(len(names), start=100 * start)
        h5["entry_1/experiment_identifier"] = np.array(names, "S10")
        h5["entry_1/instrument_1/detector_1/shot"] = np.arange(len(names)) + 10 * start
    return str(path)


def test_events_of_cxi_through_several_files(tmp_path):
    names = [
        identified(tmp_path / "a.cxi", ["x", "y", "z"]),
        identified(tmp_path / "b.cxi", ["v"], 1),
    ]
    for protocol in (None, "cxi", "cheetah"):
        store = CXIStore(names, protocol=protocol)
        numbers = store.frames(experiment_identifier=["v", "x"])
        assert numbers.tolist() == [3, 0]
        np.testing.assert_array_equal(
            store.load_attribute("data", numbers), np.stack([frames(1, start=100)[0], frames(1)[0]])
        )
    assert store.frames(shot=slice(1, 11)).tolist() == [1, 2, 3]
    assert store.frames(shot=[]).tolist() == []
    assert store.frames(shot=[10, 2], experiment_identifier=["z", "v"]).tolist() == [3, 2]


def test_an_attribute_of_a_protocol(tmp_path):
    name = identified(tmp_path / "a.cxi", ["x", "y", "z"])
    protocol = CXIProtocol.import_default().add_attribute(
        "angle", "float", "/entry_1/instrument_1/detector_1/shot", "sequence"
    )
    assert CXIStore(name, protocol=protocol).frames(angle=2.0).tolist() == [2]


def test_what_identifies_no_frames_is_told(tmp_path):
    name = identified(tmp_path / "a.cxi", ["x", "y", "z"])
    put(name, {TRANSLATIONS: np.zeros((3, 3)), "/entry_1/run": np.arange(2)})
    store = CXIStore(name)
    for names, error, told in [
        ({}, ValueError, "takes identifiers"),
        ({"trainId": 1}, AttributeMissingError, "beside their frames; looked at .*/trainId"),
        ({"translations": 0}, LayoutError, "has shape .* and is no identifier of 3 frames"),
        ({"run": 0}, LayoutError, "identifies no frames: .*3 frames of 'data' and 2 of 'run'"),
        ({"experiment_identifier": "w"}, FrameIndexError, "no frame has experiment_identifier 'w'"),
        ({"shot": 0, "experiment_identifier": "y"}, FrameIndexError, "no frame has all of shot=0"),
    ]:
        with pytest.raises(error, match=told):
            store.frames(**names)
