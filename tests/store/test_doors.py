"""What other tools ask of a store."""

import numpy as np

from cxistack import CXIStore


def test_keys_are_completed(tmp_path):
    store = CXIStore(tmp_path / "a.cxi", "a")
    assert store._ipython_key_completions_() == []
    store.save_attribute("data", np.zeros((2, 3, 4), "uint16"))
    assert store._ipython_key_completions_() == ["data"]
