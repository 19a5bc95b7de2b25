"""A conversion of nothing is refused, by the word that left nothing; no file appears."""

import numpy as np
import pytest

from cxistack import Crop, CXIError, CXIStore, Downscale, LayoutError, convert
from factory import DATA, frames, put


@pytest.mark.parametrize(("words", "told"), [
    ({"idxs": []}, r"idxs= \(--frames\) choose none of the 4 frames"),
    ({"idxs": slice(3, 3)}, r"idxs= \(--frames\) choose none of the 4 frames"),
    ({"idxs": np.zeros(4, bool)}, r"idxs= \(--frames\) choose none of the 4 frames"),
    ({"transform": Downscale(9, mode="sum")}, r"transform=Downscale\(scale=9, mode='sum'\).* no "),
    ({"idxs": [0, 3]}, r"none of the frames that 'good_frames' names"),
])  # fmt: skip
def test_is_refused_and_says_which(tmp_path, words, told):
    name = put(tmp_path / "a.cxi", {DATA: frames(4), "/speckle_tracking/good_frames": [1, 2]})
    with pytest.raises(LayoutError, match=told):
        convert(CXIStore(name), CXIStore(tmp_path / "new.cxi", "x"), verbose=False, **words)
    assert not (tmp_path / "new.cxi").exists()


def test_a_crop_outside_of_the_frame_is_refused(tmp_path):
    name = put(tmp_path / "a.cxi", {DATA: frames(4)})
    crop = Crop([1000, 2000, 0, 5])
    with pytest.raises((CXIError, ValueError), match="Crop"):
        convert(CXIStore(name), CXIStore(tmp_path / "n.cxi", "x"), transform=crop, verbose=False)
    assert not (tmp_path / "n.cxi").exists()
