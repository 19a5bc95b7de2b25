"""A lazy array says how it lies in its files; plain h5py is the oracle."""

import h5py
import numpy as np
import pytest

from cxistack import Crop, CXIProtocol, CXIStore, Downscale
from factory import DATA, DETECTOR, DISTANCE, MASK, TRANSLATIONS, WHITEFIELD, frames, good_mask, put


def made(path, count, chunks, **options):
    with h5py.File(path, "w") as h5:
        h5.create_dataset(DATA, data=frames(count), chunks=chunks, **options)
    return str(path)


class TestChunks:
    @pytest.mark.parametrize("chunks", [(1, 5, 7), (3, 5, 7), (2, 2, 7), (1, 5, 3)])
    def test_are_those_of_the_dataset(self, tmp_path, chunks):
        store = CXIStore(made(tmp_path / "a.cxi", 6, chunks, compression="gzip"))
        assert store["data"].chunks == chunks
        assert store["data"].astype("float32").chunks == chunks

    def test_are_cut_to_the_array(self, tmp_path):
        name = made(tmp_path / "a.cxi", 3, (8, 16, 16), maxshape=(None, None, None))
        assert CXIStore(name)["data"].chunks == (3, 5, 7)

    def test_of_contiguous_and_of_different_ones_are_none(self, tmp_path):
        assert CXIStore(made(tmp_path / "a.cxi", 3, None))["data"].chunks is None
        one, two = (made(tmp_path / f"{n}.cxi", 4, (n, 5, 7)) for n in (1, 2))
        assert CXIStore([one, two])["data"].chunks is None
        assert CXIStore([one, made(tmp_path / "c.cxi", 9, (1, 5, 7))])["data"].chunks == (1, 5, 7)

    def test_of_transformed_frames_have_whole_frames(self, tmp_path):
        data = CXIStore(made(tmp_path / "a.cxi", 6, (2, 2, 3)))["data"]
        assert data.transform(Crop([1, 5, 0, 6])).chunks == (2, 4, 6)
        assert data.transform([Crop([1, 5, 0, 6]), Downscale(2, mode="sum")]).chunks == (2, 2, 3)

    def test_of_frames_sequences_and_scalars(self, tmp_path):
        name = made(tmp_path / "a.cxi", 6, (1, 5, 7))
        with h5py.File(name, "r+") as h5:
            h5.create_dataset(TRANSLATIONS, data=np.zeros((6, 3)), chunks=(4, 3))
            h5.create_dataset(WHITEFIELD, data=np.zeros((5, 7)), chunks=(2, 7))
            h5[MASK], h5[DISTANCE] = good_mask((5, 7)), 1.0
        store = CXIStore(name)
        wanted = {"translations": (4, 3), "whitefield": (2, 7), "mask": None, "distance": None}
        assert {attr: store[attr].chunks for attr in wanted} == wanted

    def test_of_a_virtual_dataset_are_those_of_its_sources(self, tmp_path):
        names = [made(tmp_path / f"{n}.cxi", 4, (2, 5, 7)) for n in range(2)]
        layout = h5py.VirtualLayout((8, 5, 7), "uint16")
        for n, name in enumerate(names):
            layout[4 * n : 4 * n + 4] = h5py.VirtualSource(name, DATA, (4, 5, 7))
        with h5py.File(tmp_path / "v.cxi", "w") as h5:
            h5.create_virtual_dataset(DATA, layout)
        data = CXIStore(tmp_path / "v.cxi")["data"]
        assert data.chunks == (2, 5, 7)
        assert [(one.filename, one.frames) for one in data.source] == [
            (names[0], range(4)),
            (names[1], range(4, 8)),
        ]


class TestSource:
    def test_is_each_dataset_with_its_frames(self, tmp_path):
        names = [made(tmp_path / f"{n}.cxi", count, None) for n, count in enumerate((4, 1, 3))]
        sources = CXIStore(names)["data"].source
        assert sources == (
            (names[0], DATA, range(4)),
            (names[1], DATA, range(4, 5)),
            (names[2], DATA, range(5, 8)),
        )

    def test_is_where_a_link_leads(self, tmp_path):
        name = made(tmp_path / "a.cxi", 4, None)
        with h5py.File(tmp_path / "master.cxi", "w") as h5:
            h5[DATA] = h5py.ExternalLink("a.cxi", DATA)
        assert CXIStore(tmp_path / "master.cxi")["data"].source == ((name, DATA, range(4)),)

    def test_of_a_scalar_has_no_frames(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DISTANCE: 1.0})
        assert CXIStore(name)["distance"].source == ((str(name), DISTANCE, None),)


class TestUnits:
    def test_are_the_protocols(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DISTANCE: 150.0})
        with h5py.File(name, "r+") as h5:
            h5[DISTANCE].attrs["units"] = "mm"
        store = CXIStore(name, protocol="cxi")
        assert (store["distance"].units, store["distance"][()]) == ("m", 0.15)

    def test_are_else_those_that_the_dataset_states(self, tmp_path):
        name = put(tmp_path / "a.cxi", {DISTANCE: 150.0, DATA: frames(2), MASK: good_mask((5, 7))})
        with h5py.File(name, "r+") as h5:
            h5[DISTANCE].attrs["units"] = "mm"
            h5[DATA].attrs["units"] = "counts"
        store = CXIStore(name)
        assert [store[attr].units for attr in ("distance", "data", "mask")] == [
            "mm",
            "counts",
            None,
        ]

    def test_are_none_where_files_state_others(self, tmp_path):
        names = []
        for number, unit in enumerate(("m", "mm")):
            tree = {DATA: frames(2), TRANSLATIONS: np.ones((2, 3))}
            names.append(put(tmp_path / f"{number}.cxi", tree))
            with h5py.File(names[-1], "r+") as h5:
                h5[TRANSLATIONS].attrs["units"] = unit
        assert CXIStore(names[0])["translations"].units == "m"
        assert CXIStore(names)["translations"].units is None
        assert CXIStore(names, protocol="cxi")["translations"].units == "m"

    def test_are_none_where_nothing_states_them(self, tmp_path):
        protocol = CXIProtocol(
            {"title": "str"}, {"title": f"{DETECTOR}/title"}, {"title": "scalar"}
        )
        name = put(tmp_path / "a.cxi", {DISTANCE: 1.0, f"{DETECTOR}/title": "run 7"})
        assert CXIStore(name)["distance"].units is None
        assert CXIStore(name, protocol=protocol)["title"].units is None
