"""Converting on a Dask cluster: workers write a file each, and what is read is as ever."""

import sys

import h5py
import numpy as np
import pytest

from cxistack import CastError, Crop, CXIStore, Downscale, LayoutError, convert
from cxistack.converting import apart
from cxistack.streaming import cluster
from factory import DATA, MASK, TRANSLATIONS, WHITEFIELD, good_mask, put
from factory.clusters import die_while_writing

RUN = np.random.default_rng(5).poisson(40, (43, 9, 12)).astype("u2")
PARTS = [RUN[:11], RUN[11:17], RUN[17:30], RUN[30:]]
QUIET = {"verbose": False}


@pytest.fixture
def run(tmp_path):
    names = []
    for number, part in enumerate(PARTS):
        values = {
            DATA: part,
            MASK: good_mask(part.shape, [(0, 1, 1), (1, number, 4)]),
            TRANSLATIONS: np.arange(3.0 * len(part)).reshape(-1, 3) + number,
            WHITEFIELD: np.ones((9, 12)),
        }
        names.append(put(tmp_path / f"{number}.cxi", values))
    return CXIStore(names)


@pytest.fixture
def client(two_workers, monkeypatch):
    """Have files of few frames."""
    monkeypatch.setattr(apart, "_FILE_BYTES", 8 * RUN[0].nbytes)
    return two_workers


@pytest.fixture
def by_value():
    """Let workers, which cannot import the tests, have their functions."""
    import cloudpickle

    module = sys.modules[die_while_writing.__module__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def same(new, expected):
    """Compare with what one process writes."""
    assert set(new.found) == set(expected.found)
    for attr in expected.found:
        assert new.describe(attr) == expected.describe(attr)
        np.testing.assert_array_equal(new.load_attribute(attr), expected.load_attribute(attr))


@pytest.mark.parametrize("protocol", ["cxi", None])
@pytest.mark.parametrize("embedded", [1 << 20, 0])
def test_what_is_read_is_what_one_process_writes(
    run, tmp_path, client, monkeypatch, protocol, embedded
):
    monkeypatch.setattr(cluster, "_EMBEDDED", embedded)
    words = {"idxs": [40, *range(2, 41), 0, 0], "transform": Crop([1, 9, 0, 10]), **QUIET}
    one = convert(run, CXIStore(tmp_path / "one.cxi", "w", protocol), **words)
    done = convert(run, CXIStore(tmp_path / "new.cxi", "w", protocol), client=client, **words)
    assert (done.frames, done.written, done.changed) == (one.frames, one.written, one.changed)
    assert set(done.virtual) == {"data", "mask"}
    assert len(done.parts) > 2
    assert sorted(map(str, (tmp_path / "new_parts").iterdir())) == list(done.parts)
    new = CXIStore(tmp_path / "new.cxi", protocol=protocol)
    same(new, CXIStore(tmp_path / "one.cxi", protocol=protocol))
    assert "h5py" not in new.explain("data")
    with h5py.File(tmp_path / "new.cxi") as h5:
        dataset = h5[new.find_dataset("data")]
        assert dataset.is_virtual
        np.testing.assert_array_equal(dataset[()], RUN[words["idxs"], 1:9, :10])
    for name in done.parts:
        with h5py.File(name) as h5:
            assert h5[new.find_dataset("data")].chunks


def test_as_another_type_and_binned(run, tmp_path, client):
    words = {"transform": Downscale(2, mode="sum"), "dtype": "uint32", **QUIET}
    convert(run, CXIStore(tmp_path / "one.cxi", "w"), **words)
    convert(run, CXIStore(tmp_path / "new.cxi", "w"), client=client, compression="zstd", **words)
    same(CXIStore(tmp_path / "new.cxi"), CXIStore(tmp_path / "one.cxi"))


def test_it_may_be_moved_with_its_parts(run, tmp_path, client):
    convert(run, CXIStore(tmp_path / "new.cxi", "w"), client=client)
    (tmp_path / "there").mkdir()
    for name in ("new.cxi", "new_parts"):
        (tmp_path / name).rename(tmp_path / "there" / name)
    np.testing.assert_array_equal(CXIStore(tmp_path / "there/new.cxi").load_attribute("data"), RUN)


def test_one_that_is_replaced_is_whole_until_it_is(run, tmp_path, client):
    for number in range(2):
        idxs = slice(number, None)
        convert(run, CXIStore(tmp_path / "new.cxi", "w"), idxs=idxs, client=client, **QUIET)
    assert (tmp_path / "new_parts_2").is_dir()
    np.testing.assert_array_equal(CXIStore(tmp_path / "new.cxi").load_attribute("data"), RUN[1:])


def test_a_worker_that_is_killed_costs_its_file(run, tmp_path, client, by_value):
    client.run(die_while_writing, str(tmp_path / "killed"))
    done = convert(run, CXIStore(tmp_path / "new.cxi", "w"), client=client, **QUIET)
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(CXIStore(tmp_path / "new.cxi").load_attribute("data"), RUN)
    # What a kill leaves of a copy has no name of a file of frames, and the next save removes it.
    assert sorted(map(str, (tmp_path / "new_parts").iterdir())) == list(done.parts)
    for name in done.parts:
        assert len(CXIStore(name)["data"])


def test_nothing_is_left_after_an_error(tmp_path, client):
    values = RUN.astype("i4")
    values[30, 1, 2] = -1
    run = CXIStore(put(tmp_path / "a.cxi", {DATA: values}))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CastError, match=r"a\.cxi"):
        convert(run, CXIStore(tmp_path / "new.cxi", "w"), dtype="uint16", client=client, **QUIET)
    assert sorted(tmp_path.iterdir()) == before


def test_what_makes_no_sense_is_refused(run, tmp_path, client):
    target = CXIStore(tmp_path / "new.cxi", "w")
    with pytest.raises(ValueError, match="say one of both"):
        convert(run, target, virtual=True, client=client)
    with pytest.raises(ValueError, match="frames of 'data'"):
        convert(run, target, ["whitefield"], client=client)
    with pytest.raises(TypeError, match=r"dask\.distributed\.Client"):
        convert(run, target, client="tcp://here")
    there = CXIStore(put(tmp_path / "there.cxi", {DATA: RUN}), "r+")
    with pytest.raises(LayoutError, match="has 'data' already"):
        convert(run, there, client=client)
    assert not list(tmp_path.glob("*_parts*"))
