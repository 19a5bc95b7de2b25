"""A lazy array's token is the same in every process, and another as soon as a file changes."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import Crop, CXIProtocol, CXIStore, Downscale, Mirror, Transform
from cxistack.hdf5.stored import leaves
from factory import DATA, MASK, frames, good_mask, many_files, put


@pytest.fixture
def names(tmp_path):
    return many_files(tmp_path, [frames(4), frames(3)])


def token(lazy):
    return lazy.__dask_tokenize__()


def test_it_is_the_same_in_another_process_and_of_another_store(names):
    lazy = CXIStore(names)["data"].transform(Crop([0, 2, 0, 3])).astype("float32")
    code = (
        "import sys, cxistack as cxi; data = cxi.CXIStore(sys.argv[1:])['data'];"
        "print(data.transform(cxi.Crop([0, 2, 0, 3])).astype('float32').__dask_tokenize__())"
    )
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, *names]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        assert done.stdout.strip() == str(token(lazy))


def test_each_way_to_load_has_its_own(names, tmp_path):
    with_mask = put(tmp_path / "m.cxi", {DATA: frames(4), MASK: good_mask((5, 7))})
    data = CXIStore(names)["data"]
    lazies = [
        data,
        data.astype("float32"),
        data.astype("float32", casting="unsafe"),
        data.transform(Crop([0, 2, 0, 3])),
        data.transform(Crop([0, 2, 1, 4])),
        data.transform([Mirror(0, (5, 7)), Crop([0, 2, 1, 4])]),
        data.transform(Downscale(2)),
        data.transform(Downscale(2, mode="sum")),
        CXIStore(names[::-1])["data"],
        CXIStore(names[:1])["data"],
        CXIStore(with_mask)["data"],
        CXIStore(with_mask)["mask"],
        CXIStore(with_mask, protocol=_with_limits())["mask"],
    ]
    assert len({token(lazy) for lazy in lazies}) == len(lazies)


def _with_limits():
    return CXIProtocol.import_default().replace(limits={"mask": "data < 60"})


def test_a_transform_of_ones_own_is_known_by_what_it_holds(names):
    data = CXIStore(names)["data"]
    one, same, other = (token(data.transform(Rows(n))) for n in (1, 1, 2))
    assert one == same != other


class Rows(Transform):
    def __init__(self, first):
        self.first = first

    def index_array(self, ss_idxs, fs_idxs):
        return ss_idxs[self.first :], fs_idxs[self.first :]


@pytest.mark.parametrize("change", ["replaced", "touched", "grown"])
def test_a_change_of_any_file_changes_it(names, change):
    store = CXIStore(names)
    lazy = store["data"]
    before = token(lazy)
    assert token(store["data"]) == before
    if change == "touched":
        os.utime(names[1], ns=(1, 1))
    else:
        new = Path(names[1] + ".new")
        put(new, {DATA: frames(3 if change == "replaced" else 5, start=7)})
        new.replace(names[1])
    assert token(lazy) != before


def test_a_change_of_a_source_behind_a_link_changes_it(tmp_path):
    name = tmp_path / "a.cxi"
    virtual(tmp_path / "v.cxi", name)
    lazy = CXIStore(tmp_path / "v.cxi")["data"]
    before = token(lazy)
    os.utime(name, ns=(1, 1))
    assert token(lazy) != before
    assert np.array_equal(lazy[...], frames(4))


def virtual(path, source):
    """Write `path`, whose data are those of another file that is not named."""
    put(source, {DATA: frames(4)})
    with h5py.File(path, "w") as h5:
        layout = h5py.VirtualLayout((4, 5, 7), "uint16")
        layout[...] = h5py.VirtualSource(str(source), DATA, (4, 5, 7))
        h5.create_virtual_dataset(DATA, layout)


def master(path, second):
    """Write an NXmx file with two masks, of which one is linked from another file."""
    put(second, {MASK: np.zeros((5, 7), "u4")})
    with h5py.File(path, "w") as h5:
        detector = h5.create_group("entry/instrument/detector")
        h5["entry"].attrs["NX_class"] = "NXentry"
        h5["entry/instrument"].attrs["NX_class"] = "NXinstrument"
        detector.attrs["NX_class"] = "NXdetector"
        h5["entry/data/data"] = frames(4)
        detector["pixel_mask"] = np.zeros((5, 7), "u4")
        detector["pixel_mask_2"] = h5py.ExternalLink(str(second), MASK)


@pytest.mark.parametrize("made", ["of limits", "of two masks"])
def test_a_mask_is_known_by_all_that_it_is_made_of(tmp_path, made):
    run, other = tmp_path / "run.cxi", tmp_path / "other.cxi"
    if made == "of limits":
        virtual(run, other)
        put(run, {MASK: good_mask((5, 7))})
        mask = CXIStore(run, protocol=_with_limits())["mask"]
    else:
        master(run, other)
        mask = CXIStore(run, protocol="nxmx")["mask"]
    assert str(other) in {leaf.place.filename for leaf in _leaves(mask._load)}
    before = token(mask)
    os.utime(other, ns=(1, 1))
    assert token(mask) != before


def _leaves(load):
    return [leaf for part in load.all_parts() for leaf in leaves(part.stored)]
