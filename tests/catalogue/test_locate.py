"""Where an attribute is: the first of its paths that exists, a dataset or a group of datasets."""

import h5py
import numpy as np
import pytest

import factory
from cxistack import CXIStore, LayoutError
from factory import DATA, frames, put

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
