"""Converting a run that somebody saves to meanwhile: its frames as they are then, or an error."""

import shutil

import h5py
import numpy as np
import pytest

from cxistack import CXIStore, FileChangedError, convert
from cxistack.converting.carrier import Carrier
from factory import DATA, frames, put


@pytest.fixture
def converted(tmp_path, monkeypatch):
    """Return what converts a run that becomes another one before its frames are read."""
    run = CXIStore(put(tmp_path / "run.cxi", {DATA: frames(4)}))
    carry = Carrier.carry

    def make(values):
        def saved_to_meanwhile(*arguments):
            shutil.move(put(tmp_path / "other.cxi", values), run.paths()[0])
            return carry(*arguments)

        monkeypatch.setattr(Carrier, "carry", saved_to_meanwhile)
        return convert(run, CXIStore(tmp_path / "new.cxi", "w"), verbose=False)

    return make


def test_other_values_are_read_anew(converted, tmp_path):
    converted({DATA: frames(4, start=50)})
    with h5py.File(tmp_path / "new.cxi") as h5:
        np.testing.assert_array_equal(h5["/entry/data/data"], frames(4, start=50))


@pytest.mark.parametrize("other", [frames(5), frames(4, dtype="uint32")])
def test_other_frames_are_refused(converted, tmp_path, other):
    with pytest.raises(FileChangedError, match=r"'data' .*nobody writes"):
        converted({DATA: other})
    assert not (tmp_path / "new.cxi").exists()
