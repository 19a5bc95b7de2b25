"""A dataset in a line: silx is the oracle for what silx writes."""

import numpy as np
import pytest
from silx.io.url import DataUrl

from cxistack.hdf5.dataset_names import DatasetName, dataset_name

SILX = [
    "a.h5::/b/c",
    "/d/a.h5::/b/c",
    "silx:///d/a.h5::/b/c",
    "silx:./a.h5::/b/c",
    "silx:a.h5?path=/b/c",
    "silx:///d/a.h5?path=/b/c&slice=0",
    "a.h5?path=/b/c&slice=0,1:3",
    "a.h5?path=/b/c&slice=...,5",
    "a.h5?path=/b/c&slice=:,::2,-1",
    "a.h5?path=/b/c&slice=5:2:-1",
    "a.h5?path=/b%20c",
]


@pytest.mark.parametrize("text", SILX)
def test_what_silx_writes_is_read_alike(text):
    theirs, ours = DataUrl(text), dataset_name(text)
    assert theirs.is_valid()
    assert (theirs.file_path(), theirs.data_path()) == (ours.filename, ours.path)
    assert theirs.data_slice() == ours.index


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("a.h5::/b[0]", (0,)),
        ("a.h5::/b[0, 10:20]", (0, slice(10, 20))),
        ("a.h5::/b[..., -1]", (..., -1)),
        ("a.h5::/b[0:0, :0, 3:0:-1]", (slice(0, 0), slice(None, 0), slice(3, 0, -1))),
        ("a.h5::/b[::2,:]", (slice(None, None, 2), slice(None))),
        ("a.h5::/b?slice=3", (3,)),
        ("a.h5::/b&slice=3,:", (3, slice(None))),
        ("silx:a.h5::/b[0]", (0,)),
    ],
)
def test_an_index_in_brackets_or_after_the_path(text, index):
    assert dataset_name(text) == DatasetName("a.h5", "/b", index)


def test_what_is_no_index_belongs_to_the_name():
    assert dataset_name("a.h5::/b[x]").path == "/b[x]"
    assert dataset_name("a.h5::/b[]").path == "/b[]"
    assert dataset_name("a.h5::b/c").path == "/b/c"


def test_a_file_alone_or_a_glob_names_no_dataset(tmp_path):
    for text in ("a.h5", "run_?.h5", "run_?/a.h5", "/b/c", tmp_path):
        assert dataset_name(text) is None
    assert dataset_name("run_?.h5::/b").filename == "run_?.h5"
    (tmp_path / "a.h5").touch()
    assert dataset_name(f"{tmp_path}/a.h5?/b") == DatasetName(f"{tmp_path}/a.h5", "/b")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.h5::", "names no dataset"),
        ("a.h5::/", "names no dataset"),
        ("::/b", "names no dataset"),
        ("a.h5?path=", "names no dataset"),
        ("a.h5::/b?slice=", "'' in .* is no index"),
        ("a.h5::/b?slice=x", "'x' in .* is no index"),
        ("a.h5::/b?slice=1:2:0", "'1:2:0' in .* is no index"),
        ("a.h5::/b?slice=1:2:3:4", "is no index"),
        ("a.h5?path=/b&frame=3", "not frame="),
    ],
)
def test_what_is_wrong_is_told(text, told):
    with pytest.raises(ValueError, match=told):
        dataset_name(text)


def test_the_index_is_numpys():
    array = np.arange(60).reshape(3, 4, 5)
    name = dataset_name("a.h5::/b[-1, 1:3, ...]")
    np.testing.assert_array_equal(array[name.index], array[-1, 1:3])
