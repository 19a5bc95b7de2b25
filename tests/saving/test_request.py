"""A user's words of a save are checked before anything of the file is looked at."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cxistack import Crop, CXIProtocol, CXIStore, Mirror
from cxistack.saving.request import SaveRequest
from factory import frames, put

PROTOCOL = CXIProtocol.import_default()
CROP = Crop([0, 2, 0, 2])


def request(attr="data", data=1.0, **words):
    return SaveRequest(PROTOCOL.attribute(attr), data, **words)


@pytest.mark.parametrize(("attr", "words", "error", "match"), [
    ("data", {"mode": "add"}, ValueError, "mode must be one of overwrite, append, insert"),
    ("data", {"casting": "safe"}, ValueError, "casting must be one of checked, unsafe"),
    ("data", {"num_threads": 0}, ValueError, "num_threads must be 1 or more"),
    ("data", {"num_threads": 1.5}, TypeError, "integer"),
    ("data", {"idxs": [0]}, ValueError, "idxs= goes with mode=\"insert\""),
    ("data", {"fill_value": 0}, ValueError, "fill_value= go with transform="),
    ("data", {"frame_shape": (2, 2)}, ValueError, "frame_shape= and"),
    ("mask", {"raw": True, "transform": CROP}, ValueError, "transform= parts of frames"),
    ("wavelength", {"transform": Mirror(0, (2, 2))}, ValueError, "has no pixels"),
    ("mask", {"unit": "m", "data": np.ones((2, 2), bool)}, ValueError, "unit= goes with numbers"),
    ("data", {"data": np.ma.ones((2, 2))}, TypeError, "would lose its mask"),
])  # fmt: skip
def test_words_that_do_not_go_together_are_refused(attr, words, error, match):
    with pytest.raises(error, match=match):
        request(attr, **words)


def test_a_request_is_not_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        request().mode = "append"


def test_a_wrong_word_is_told_of_before_a_file_that_cannot_be_opened(tmp_path):
    name = put(tmp_path / "a.cxi", {"/entry/data/data": frames(2)})
    store = CXIStore(name, "r+")
    Path(name).write_bytes(b"no HDF5")
    store.update_indices()
    with pytest.raises(ValueError, match="mode must be one of"):
        store.save_attribute("data", frames(2), mode="add")
    with pytest.raises(OSError, match=r"a\.cxi"):
        store.save_attribute("data", frames(2))
