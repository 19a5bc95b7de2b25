"""Text in a file, and what is not the text that its type says."""

import h5py
import numpy as np
import pytest

from cxistack import CXIProtocol, CXIStore, StorageError

PROTOCOL = CXIProtocol({"title": "str"}, {"title": ["/t"]}, {"title": "scalar"})
SETS = {"ASCII": h5py.h5t.CSET_ASCII, "UTF-8": h5py.h5t.CSET_UTF8}


@pytest.fixture(params=["fixed", "variable"])
def stored(request, tmp_path):
    def write(text, character_set):
        kind = h5py.h5t.C_S1.copy()
        is_fixed = request.param == "fixed"
        kind.set_size(len(text) if is_fixed else h5py.h5t.VARIABLE)
        kind.set_cset(SETS[character_set])
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            space = h5py.h5s.create(h5py.h5s.SCALAR)
            dataset = h5py.h5d.create(h5.id, b"t", kind, space)
            if is_fixed:
                dataset.write(space, space, np.array(text), kind)
            else:
                encoding = {"ASCII": "ascii", "UTF-8": "utf-8"}[character_set]
                given = np.array(text, dtype=h5py.string_dtype(encoding))
                dataset.write(space, space, given)
        return CXIStore(tmp_path / "a.h5", protocol=PROTOCOL)

    return write


@pytest.mark.parametrize("character_set", SETS)
def test_utf_8_is_read_also_where_the_type_says_ascii(stored, character_set):
    """Many programs write UTF-8 under a type that says ASCII; it is no less what it is."""
    assert stored("5 µm".encode(), character_set).load_attribute("title") == "5 µm"


@pytest.mark.parametrize("character_set", SETS)
def test_text_in_another_encoding_is_told_by_what_its_type_says(stored, character_set):
    store = stored("5 µm".encode("latin-1"), character_set)
    why = rf"a\.h5:/t holds text that is not {character_set}, although it says so: 5 \\xb5m"
    with pytest.raises(StorageError, match=why):
        store.load_attribute("title")
