"""Shares of a stream: together all frames once, in order, cut where files or chunks begin."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CXIStore
from cxistack.streaming.shares import share_of
from factory import DATA


def index_of(folder, counts, chunk):
    for number, count in enumerate(counts):
        with h5py.File(folder / f"{number:03}.cxi", "w") as h5:
            h5.create_dataset(
                DATA,
                data=np.zeros((count, 2, 3), "u2"),
                maxshape=(None, 2, 3),
                chunks=(chunk, 2, 3),
            )
    return CXIStore(str(folder / "*.cxi"))._prepare("data").index


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    chunk=st.integers(1, 7),
    shares=st.integers(1, 9),
    order=st.sampled_from(["all", "every second", "random"]),
)
def test_shares_are_all_frames_each_once(tmp_path_factory, counts, chunk, shares, order):
    index = index_of(tmp_path_factory.mktemp("shares"), counts, chunk)
    numbers = np.arange(index.total)
    if order == "every second":
        numbers = numbers[::2]
    elif order == "random":
        numbers = np.random.default_rng(0).integers(0, index.total, 25)
    found = [share_of(index, numbers, (k, shares)) for k in range(shares)]
    np.testing.assert_array_equal(np.concatenate(found), numbers)
    # A file stays whole for 5% of a share at most, a chunk for as long as it is.
    most = max(0.05 * len(numbers) / shares, min(chunk, len(numbers) / shares / 2)) + 1
    ends = np.cumsum([len(one) for one in found])
    ideal = np.arange(1, shares + 1) * len(numbers) / shares
    assert np.abs(ends - ideal).max() <= most


def test_a_share_ends_where_a_chunk_does(tmp_path):
    index = index_of(tmp_path, [100], 8)
    ends = [share_of(index, np.arange(100), (k, 3))[-1] + 1 for k in range(3)]
    assert ends == [32, 64, 100]


def test_a_share_ends_where_a_file_does(tmp_path):
    index = index_of(tmp_path, [102, 98, 100], 1)
    ends = [share_of(index, np.arange(300), (k, 3))[-1] + 1 for k in range(3)]
    assert ends == [102, 200, 300]


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0), 3, ("a", 2), (0,)])
def test_what_is_no_share_is_told(tmp_path, shard):
    index = index_of(tmp_path, [4], 1)
    with pytest.raises(ValueError, match=r"shard is \(k, n\)"):
        share_of(index, np.arange(4), shard)
