"""What type checkers see of the package: a load's type follows from `out` and `dtype`."""

import subprocess
import sys

import pytest

SNIPPET = """
import numpy as np
import cxistack as cxi

store = cxi.CXIStore("run.cxi")
reveal_type(store.load_attribute("data", out=np.zeros(3, np.uint16)))
reveal_type(store.load_attribute("data", dtype=np.float32, transform=cxi.Crop([0, 1, 0, 1])))
reveal_type(store["data"][1:4])
reveal_type(np.asarray(store["data"]))
store.load_attribute("data", crop=3)
"""


def test_loads_and_lazy_arrays_have_types(tmp_path):
    pytest.importorskip("mypy")
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file=",
        "--ignore-missing-imports",
        str(file),
    ]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    if (
        "py.typed" in told
        or 'Cannot find implementation or library stub for module named "cxistack"' in told
    ):
        pytest.skip("an editable installation, which mypy does not follow")
    found = [line.partition("note: ")[2] for line in told.splitlines() if "Revealed type" in line]
    assert ["_16Bit" in found[0] or "uint16" in found[0], "32" in found[1]] == [True, True]
    assert all("ndarray" in one for one in found)
    assert "No overload variant" in told or 'Unexpected keyword argument "crop"' in told
