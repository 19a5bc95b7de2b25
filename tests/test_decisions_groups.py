"""Decisions on behaviour: Frames, continued. Groups of datasets, and scalars in several files."""

import h5py
import numpy as np
import pytest

import factory
from cxistack import AttributeMissingError, CXIStore, LayoutError
from factory import DATA, DISTANCE, WAVELENGTH, WHITEFIELD, frames, put

GROUP = "/entry/data/data"


class TestAPathMayNameAGroup:
    def test_its_datasets_are_one_sequence_in_natural_order_over_gaps(self, tmp_path):
        parts = {
            "data_2": frames(2),
            "data_10": frames(1, start=500),
            "data_9": frames(3, start=900),
        }
        name = put(tmp_path / "g.h5", {f"{GROUP}/{key}": part for key, part in parts.items()})
        expected = np.concatenate([parts[key] for key in ("data_2", "data_9", "data_10")])
        np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), expected)

    def test_only_direct_children_that_are_datasets_count(self, tmp_path):
        values = {f"{GROUP}/data_1": frames(2), f"{GROUP}/deeper/data_2": frames(2)}
        assert len(CXIStore(put(tmp_path / "g.h5", values)).load_attribute("data")) == 2

    def test_each_underlying_dataset_counts_once(self, tmp_path):
        name = put(tmp_path / "g.h5", {f"{GROUP}/data_1": frames(2), "/raw": frames(1, start=99)})
        with h5py.File(name, "a") as h5:
            h5[f"{GROUP}/data_2"] = h5[f"{GROUP}/data_1"]
            h5[f"{GROUP}/data_3"] = h5py.SoftLink(f"{GROUP}/data_1")
            h5[f"{GROUP}/data_4"] = h5py.SoftLink("/raw")
            h5[f"{GROUP}/data_5"] = h5["/raw"]
            h5[f"{GROUP}/data_6"] = h5py.ExternalLink(name, "/raw")
        expected = np.concatenate([frames(2), frames(1, start=99)])
        np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), expected)

    def test_a_virtual_child_over_its_siblings_is_used_alone(self, tmp_path):
        parts = [frames(2), frames(3, start=100)]
        names = factory.virtual_beside_its_sources(tmp_path, parts)
        np.testing.assert_array_equal(CXIStore(names).load_attribute("data"), np.concatenate(parts))

    @pytest.mark.parametrize("other", [frames(1, (5, 8)), frames(1, dtype="int32")])
    def test_children_of_unequal_shape_or_type_raise(self, tmp_path, other):
        name = put(tmp_path / "g.h5", {f"{GROUP}/data_1": frames(2), f"{GROUP}/data_2": other})
        with pytest.raises(LayoutError, match=r"g\.h5"):
            CXIStore(name).load_attribute("data")

    def test_a_group_of_one_is_that_dataset(self, tmp_path):
        name = put(tmp_path / "g.h5", {f"{GROUP}/frames": frames(2)})
        np.testing.assert_array_equal(CXIStore(name).load_attribute("data"), frames(2))

    def test_the_first_path_that_exists_is_used(self, tmp_path):
        values = {DATA: frames(4), f"{GROUP}/data_1": frames(2, start=7)}
        np.testing.assert_array_equal(
            CXIStore(put(tmp_path / "g.h5", values)).load_attribute("data"), frames(2, start=7)
        )


class TestScalars:
    @pytest.mark.parametrize("value", [
        np.float64(0.25), np.array([0.25]), np.array([1.0, 2.0]), np.eye(3), np.zeros((0,)),
    ], ids=repr)  # fmt: skip
    def test_come_back_in_the_datasets_own_shape(self, tmp_path, value):
        loaded = CXIStore(put(tmp_path / "s.h5", {DISTANCE: value})).load_attribute("distance")
        np.testing.assert_array_equal(loaded, value, strict=True)

    def test_of_no_dimension_are_numpy_scalars(self, tmp_path):
        loaded = CXIStore(put(tmp_path / "s.h5", {DISTANCE: 0.25})).load_attribute("distance")
        assert isinstance(loaded, np.float64)

    def test_come_from_the_first_file_that_has_them(self, tmp_path):
        names = [
            put(tmp_path / "a.h5", {DATA: frames(1)}),
            put(tmp_path / "b.h5", {DISTANCE: 0.25}),
            put(tmp_path / "c.h5", {DISTANCE: 0.5}),
        ]
        assert CXIStore(names).load_attribute("distance") == 0.25
        assert CXIStore(names[::-1]).load_attribute("distance") == 0.5

    def test_that_differ_are_a_problem_that_names_the_files(self, tmp_path):
        names = [
            put(tmp_path / f"{n}.h5", {DISTANCE: 0.5, WAVELENGTH: [value]})
            for n, value in enumerate([1.0, 1.0, 3.0])
        ]
        (problem,) = CXIStore(names).problems
        assert (problem.attribute, problem.filename) == ("wavelength", names[2])
        assert "2.h5" in str(problem)

    def test_that_are_nan_everywhere_do_not_differ(self, tmp_path):
        names = [put(tmp_path / f"{n}.h5", {DISTANCE: np.nan}) for n in range(2)]
        assert CXIStore(names).problems == []

    @pytest.mark.parametrize("source", [1, -1, "b.h5", "full name"])
    def test_source_picks_one(self, tmp_path, source):
        names = [put(tmp_path / f"{c}.h5", {DISTANCE: v}) for c, v in [("a", 1.0), ("b", 2.0)]]
        source = names[1] if source == "full name" else source
        assert CXIStore(names).load_attribute("distance", source=source) == 2.0

    @pytest.mark.parametrize("source", [2, -3, "c.h5", 0])
    def test_a_source_that_has_it_not_raises(self, tmp_path, source):
        names = [put(tmp_path / "a.h5", {DATA: frames(1)}), put(tmp_path / "b.h5", {DISTANCE: 2.0})]
        with pytest.raises(AttributeMissingError):
            CXIStore(names).load_attribute("distance", source=source)


class TestFramesInSeveralFiles:
    def test_the_first_is_loaded_and_the_others_are_compared(self, tmp_path):
        white = np.ones((5, 7))
        names = [put(tmp_path / f"{n}.h5", {WHITEFIELD: white + (n > 1)}) for n in range(3)]
        store = CXIStore(names)
        np.testing.assert_array_equal(store.load_attribute("whitefield"), white)
        assert [problem.filename for problem in store.problems] == [names[2]]
        np.testing.assert_array_equal(store.load_attribute("whitefield", source=2), white + 1)
