"""What must outlive a dataset that is made anew, and what refuses to let it be made anew."""

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, LayoutError
from factory import DATA, DISTANCE, WHITEFIELD, frames, put

NEW = np.eye(3)  # another shape than what is there


@pytest.fixture
def run(tmp_path):
    """A whitefield that is not of the pixels of `data`, as the one that will replace it is."""
    return put(tmp_path / "run.cxi", {DATA: frames(2, (3, 3)), WHITEFIELD: np.ones((5, 7))})


def save(run, values=NEW, attr="whitefield"):
    with CXIStore(run, mode="r+") as store:
        store.save_attribute(attr, values)


class Unchanged:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        with open(self.path, "rb") as file:  # noqa: PTH123
            self.before = file.read()

    def __exit__(self, *error):
        with open(self.path, "rb") as file:  # noqa: PTH123
            assert file.read() == self.before


def refer_by_dataset(h5, target):
    h5["refs"] = np.array([h5["/"].ref, target.ref], h5py.ref_dtype)


def refer_by_attribute(h5, target):
    h5[DATA].attrs["flatfield"] = target.ref


def refer_by_region(h5, target):
    h5.create_dataset("regions", data=target.regionref[1:3, :], dtype=h5py.regionref_dtype)


def refer_by_field(h5, target):
    kind = np.dtype([("number", "i4"), ("to", h5py.ref_dtype)])
    h5["table"] = np.array([(1, None), (2, target.ref)], kind)


def refer_by_list(h5, target):
    kind = h5py.vlen_dtype(h5py.ref_dtype)
    lists = h5.create_dataset("lists", (2,), kind)
    lists[1] = np.array([target.ref], h5py.ref_dtype)


def refer_by_named_type(h5, target):
    h5["kind"] = np.dtype("f8")
    h5["kind"].attrs["example"] = target.ref


def refer_by_root(h5, target):
    h5.attrs["white"] = target.ref


def refer_by_own_attribute(h5, target):
    target.attrs["me"] = target.ref


def be_a_scale(h5, target):
    target.make_scale("w")
    h5[DATA].dims[1].attach_scale(target)


def have_a_scale(h5, target):
    h5["axis"] = np.arange(5)
    h5["axis"].make_scale("slow")
    target.dims[0].attach_scale(h5["axis"])


REFERENCES = [
    refer_by_dataset,
    refer_by_attribute,
    refer_by_region,
    refer_by_field,
    refer_by_list,
    refer_by_named_type,
    refer_by_root,
    refer_by_own_attribute,
    be_a_scale,
    have_a_scale,
]


class TestReferences:
    @pytest.mark.parametrize("refer", REFERENCES)
    def test_to_what_would_be_made_anew_refuse_that(self, run, refer):
        with h5py.File(run, "r+") as h5:
            refer(h5, h5[WHITEFIELD])
        with Unchanged(run), pytest.raises(LayoutError, match=r"run\.cxi.*refer"):
            save(run)

    @pytest.mark.parametrize("refer", REFERENCES)
    def test_stay_valid_when_the_shape_is_kept(self, tmp_path, refer):
        run = put(tmp_path / "same.cxi", {DATA: frames(2), WHITEFIELD: np.ones((5, 7))})
        with h5py.File(run, "r+") as h5:
            refer(h5, h5[WHITEFIELD])
        save(run, np.full((5, 7), 3.0))
        with h5py.File(run) as h5:
            if refer is refer_by_attribute:
                assert h5[h5[DATA].attrs["flatfield"]] == h5[WHITEFIELD]
            assert (h5[WHITEFIELD][...] == 3).all()

    @pytest.mark.parametrize("refer", REFERENCES[:6])
    def test_to_something_else_do_not_matter(self, run, refer):
        with h5py.File(run, "r+") as h5:
            refer(h5, h5[DATA])
        save(run)
        with h5py.File(run) as h5:
            np.testing.assert_array_equal(h5[WHITEFIELD][...], NEW)
            if refer is refer_by_dataset:
                assert h5[h5["refs"][1]] == h5[DATA]

    def test_that_lead_nowhere_already_do_not_matter(self, run):
        with h5py.File(run, "r+") as h5:
            h5["gone"] = 1
            h5.attrs["to"] = h5["gone"].ref
            del h5["gone"]
        save(run)

    def test_that_would_leave_references_behind_are_refused(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DATA: frames(2), DISTANCE: 1.0})
        with h5py.File(name, "r+") as h5:
            h5["scale"] = np.arange(2)
            h5["scale"].make_scale("frame")
            h5[DATA].dims[0].attach_scale(h5["scale"])
        with pytest.raises(LayoutError, match="refers to it"):
            CXIStore(name, "r+").save_attribute("data", frames(1), mode="append")


class TestHDF5Attributes:
    def write(self, h5):
        target = h5[WHITEFIELD]
        h5["colour"] = h5py.enum_dtype({"RED": 0, "BLUE": 7}, "i2")
        target.attrs.update(text="α", bytes=np.bytes_(b"ab"), empty=h5py.Empty("f4"))
        target.attrs["texts"] = np.array(["one", "three"], object)
        target.attrs.create("enum", 7, dtype=h5["colour"])
        target.attrs.create("big", [1, 2], dtype=">i4")
        target.attrs.create("complex", 1 + 2j)
        target.attrs.create("table", np.array([(1, 2.5)], [("a", "i1"), ("b", ">f8")]))
        lists = np.empty(2, object)
        lists[:] = [np.arange(3, dtype="i4"), np.arange(1, dtype="i4")]
        target.attrs.create("lists", lists, dtype=h5py.vlen_dtype("i4"))
        target.attrs.create("array", np.ones((2, 3)), dtype=np.dtype(("f4", (3,))))
        target.attrs["to"] = h5[DATA].ref
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(h5py.h5t.STR_SPACEPAD)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        padded = h5py.h5a.create(target.id, b"padded", kind, space)
        padded.write(np.array(b"ab    ", "S6"))

    def told(self, h5):
        target = h5[WHITEFIELD]
        kinds, values = {}, {}
        for name in target.attrs:
            one = target.attrs.get_id(name)
            kinds[name] = (one.get_type(), one.shape)
            value = target.attrs[name]
            values[name] = repr(value.tolist() if isinstance(value, np.ndarray) else value)
        values["to"] = h5[target.attrs["to"]].name
        return kinds, values

    def test_keep_type_and_value(self, tmp_path, run):
        with h5py.File(run, "r+") as h5:
            self.write(h5)
        put(tmp_path / "same.h5", {DATA: frames(2), WHITEFIELD: np.ones((5, 7))})
        with h5py.File(tmp_path / "same.h5", "r+") as h5:
            self.write(h5)
        save(run)
        with h5py.File(run) as h5, h5py.File(tmp_path / "same.h5") as same:
            assert h5[WHITEFIELD].shape == (3, 3)
            kinds, values = self.told(h5)
            expected_kinds, expected_values = self.told(same)
            assert values == expected_values
            assert kinds.keys() == expected_kinds.keys()
            for name, (kind, shape) in kinds.items():
                assert kind.equal(expected_kinds[name][0]), name
                assert shape == expected_kinds[name][1], name
            assert h5[WHITEFIELD].attrs.get_id("enum").get_type().committed()


class TestTheDataset:
    @pytest.mark.parametrize("options", [{}, {"chunks": (2, 3), "compression": "gzip"}])
    @pytest.mark.parametrize("values", [np.eye(3), np.eye(9, 12)])
    def test_keeps_fill_value_and_track_times(self, tmp_path, options, values):
        name = str(tmp_path / "run.cxi")
        with h5py.File(name, "w") as h5:
            h5.create_dataset(
                WHITEFIELD, data=np.ones((5, 7)), fillvalue=-7, track_times=True, **options
            )
        save(name, values)
        with h5py.File(name) as h5:
            assert h5[WHITEFIELD].fillvalue == -7
            assert h5[WHITEFIELD].id.get_create_plist().get_obj_track_times()
            assert h5[WHITEFIELD].compression == options.get("compression")

    def test_keeps_a_committed_type(self, run):
        with h5py.File(run, "r+") as h5:
            del h5[WHITEFIELD]
            h5["kind"] = np.dtype(">f4")
            h5.create_dataset(WHITEFIELD, data=np.ones((5, 7)), dtype=h5["kind"])
        save(run)
        with h5py.File(run) as h5:
            assert h5[WHITEFIELD].id.get_type().committed()
            assert h5[WHITEFIELD].dtype == np.dtype(">f4")

    @pytest.mark.parametrize("shape", [(), (1,), (4,)])
    @pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
    def test_of_a_scalar_may_become_any_other(self, tmp_path, shape, options):
        path = "/entry_1/instrument_1/detector_1/distance"
        name = put(tmp_path / "run.cxi", {path: np.ones(2)}, **options)
        save(name, np.full(shape, 0.25), "distance")
        with h5py.File(name) as h5:
            assert h5[path].shape == shape
            assert (h5[path][()] == 0.25).all()

    def test_compact_grows_too_large_for_that(self, tmp_path):
        name = str(tmp_path / "run.cxi")
        with h5py.File(name, "w") as h5:
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_layout(h5py.h5d.COMPACT)
            group = h5.create_group("/speckle_tracking")
            space = h5py.h5s.create_simple((5, 7))
            h5py.h5d.create(group.id, b"whitefield", h5py.h5t.IEEE_F64LE, space, plist)
        save(name, np.eye(200))
        with h5py.File(name) as h5:
            np.testing.assert_array_equal(h5[WHITEFIELD][...], np.eye(200))
