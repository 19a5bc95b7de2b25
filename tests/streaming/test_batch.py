"""Batches, and what is left of them where a file cannot be read."""

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, Problem, StorageError
from cxistack.streaming.batch import Batch
from cxistack.streaming.skipping import Leaving, Skips

PATH = "/entry_1/instrument_1/detector_1/data"


def test_a_copy_is_its_own():
    for frames in (np.zeros((2, 3)), {"data": np.zeros((2, 3))}):
        batch = Batch(frames, np.arange(2))
        copied, idxs = batch.copy()
        assert idxs.tolist() == [0, 1]
        assert not np.shares_memory(idxs, batch.idxs)
        if isinstance(frames, dict):
            frames, copied = frames["data"], copied["data"]
        assert not np.shares_memory(frames, copied)
        np.testing.assert_array_equal(frames, copied)


def test_frames_of_bad_files_are_left_out_of_a_read(tmp_path):
    names = [str(tmp_path / name) for name in ("a.h5", "aa.h5", "b.h5")]
    for number, name in enumerate(names):
        with h5py.File(name, "w") as file:
            data = file.create_dataset(
                PATH, (4, 8, 8), "uint16", chunks=(1, 8, 8), compression="gzip"
            )
            data[...] = number
            at = data.id.get_chunk_info(2)
        if number == 1:
            with open(name, "r+b") as raw:  # noqa: PTH123
                raw.seek(at.byte_offset)
                raw.write(b"\xff" * at.size)
    skips = Skips("data", lambda attr, name, why: Problem("", attr, name, why))
    store = CXIStore(names)
    assert skips.readable(store._catalogue) is store._catalogue
    load = store._prepare("data")
    leaving = Leaving(skips, load)
    with pytest.raises(StorageError) as caught:
        load.read(np.arange(12))
    assert leaving.leaves_out(caught.value)
    del caught  # and with it the files that its frames keep open
    numbers = leaving.left_of(np.arange(12))
    frames = load.read(numbers)
    assert numbers.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert frames[:, 0, 0].tolist() == [0] * 4 + [2] * 4
    assert [one.filename for one in skips.problems] == [names[1]]
    (tmp_path / "b.h5").write_bytes(b"none" * 500)
    store = CXIStore(names)
    assert list(skips.readable(store._catalogue).numbers) == [0]
