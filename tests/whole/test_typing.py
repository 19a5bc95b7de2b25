"""What type checkers see of the package: a load's type follows from `out` and `dtype`."""

import os
import subprocess
import sys

import pytest

from factory import ROOT

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
    # What mypy knows of the sources from .ci/check it need not find out again: half a minute.
    told = subprocess.run(
        [sys.executable, "-m", "mypy", str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": "src"},
    ).stdout
    found = [line.partition("note: ")[2] for line in told.splitlines() if "Revealed type" in line]
    assert len(found) == 4, told
    assert all("ndarray" in one for one in found)
    assert ("16" in found[0], "32" in found[1]) == (True, True)
    assert "No overload variant" in told  # no keyword is called crop
