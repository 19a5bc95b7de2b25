"""Streams and reductions that leave out files which cannot be read, and tell of each."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, StorageError
from factory import DATA, frames

SHAPE = (6, 8)
COUNT, FILES = 5, 4
WHOLE = [frames(COUNT, SHAPE, start=1000 * n) for n in range(FILES)]
QUIET = {"verbose": False}


@pytest.fixture
def run(tmp_path):
    """Return the files of a run, of which the third has a chunk that cannot be decoded."""
    names = []
    for number, values in enumerate(WHOLE):
        names.append(str(tmp_path / f"{number}.cxi"))
        with h5py.File(names[-1], "w") as h5:
            data = h5.create_dataset(DATA, data=values, chunks=(1, *SHAPE), compression="gzip")
            where = data.id.get_chunk_info(3)
        if number == 2:
            with Path(names[-1]).open("r+b") as stream:
                stream.seek(where.byte_offset)
                stream.write(b"\xff" * where.size)
    return names


def test_by_default_a_bad_file_is_an_error(run):
    with pytest.raises(StorageError, match=r"2\.cxi"):
        list(CXIStore(run).stream("data"))
    with pytest.raises(StorageError, match=r"2\.cxi"):
        CXIStore(run).reduce("data", "mean", **QUIET)


@pytest.mark.parametrize("batch", [1, 4, 7, 100])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_stream_goes_on_behind_a_bad_file(run, batch, prefetch):
    stream = CXIStore(run).stream("data", batch, prefetch=prefetch, on_error="skip")
    everything, seen = np.concatenate(WHOLE), []
    for found, idxs in stream:
        assert len(idxs)
        np.testing.assert_array_equal(found, everything[idxs])
        seen += idxs.tolist()
    good = [n for n in range(COUNT * FILES) if n // COUNT != 2]
    assert [n for n in seen if n // COUNT != 2] == good
    assert seen == sorted(seen)
    assert 13 not in seen
    (problem,) = stream.problems
    assert problem.filename == run[2]
    assert "it is left out" in problem.message
    assert stream.done == stream.total


@pytest.mark.parametrize("word", ["mean", "max", "median", "std"])
def test_a_reduction_is_that_of_the_good_files(run, word):
    store = CXIStore(run)
    with pytest.warns(RuntimeWarning, match=r"1 of 4 files are left out.*2\.cxi"):
        found = store.reduce("data", word, on_error="skip", memory=1000, **QUIET)
    good = np.concatenate([WHOLE[0], WHOLE[1], WHOLE[3]])
    np.testing.assert_allclose(found, getattr(np, word)(good, axis=0), rtol=1e-12)
    assert [one.filename for one in store.left_out] == [run[2]]


def test_a_file_that_does_not_open_is_not_numbered(run):
    Path(run[1]).write_bytes(b"no HDF5")
    stream = CXIStore(run).stream("data", on_error="skip")
    found = [batch.copy() for batch in stream]
    numbers = np.concatenate([one.idxs for one in found])
    assert set(range(5)) | set(range(10, 15)) <= set(numbers.tolist()) <= set(range(15))
    assert {one.filename for one in stream.problems} == {run[1], run[2]}
    store = CXIStore(run)
    with pytest.warns(RuntimeWarning, match="2 of 4 files"):
        mean = store.reduce("data", "mean", on_error="skip", **QUIET)
    np.testing.assert_allclose(mean, np.concatenate([WHOLE[0], WHOLE[3]]).mean(axis=0))


def test_values_that_do_not_fit_are_no_file_s_fault(run):
    stream = CXIStore(run).stream("data", dtype="uint8", on_error="skip")
    with pytest.raises(ValueError, match="uint8"):
        list(stream)


def test_nothing_is_said_of_a_good_run(run, recwarn):
    store = CXIStore([run[0], run[1]])
    mean = store.reduce("data", "mean", on_error="skip", **QUIET)
    np.testing.assert_allclose(mean, np.concatenate(WHOLE[:2]).mean(axis=0))
    assert not store.left_out
    assert not recwarn.list


def test_a_mask_for_each_frame_is_refused_where_frames_are_left_out(run):
    store, mask = CXIStore(run), np.ones((COUNT * FILES, *SHAPE), bool)
    with pytest.raises(ValueError, match="one mask for all frames"):
        store.reduce("data", "mean", mask=mask, on_error="skip", **QUIET)
    with pytest.warns(RuntimeWarning):
        store.reduce("data", "mean", mask=mask[0], on_error="skip", **QUIET)


def test_another_word_is_told(run):
    with pytest.raises(ValueError, match="on_error must be"):
        CXIStore(run).stream("data", on_error="ignore")
