"""The benchmark of saves runs and checks what it times; what it finds is not looked at."""

import json
import sys

import numpy as np
import pytest

from factory import ROOT

sys.path.insert(0, str(ROOT))

save = pytest.importorskip("benchmarks.save", exc_type=ImportError)


def test_a_tiny_run_measures_every_codec(tmp_path):
    data = np.random.default_rng(0).poisson(3, (5, 60, 70)).astype("uint16")
    report = save.run(data, 2, 1, tmp_path)
    assert {timing.stored for timing in report.timings} == {codec.name for codec in save.CODECS}
    shown = {(ratio.stored, ratio.case, ratio.against) for ratio in report.ratios}
    assert ("bitshuffle+LZ4", "save", "h5py + hdf5plugin") in shown
    assert ("deflate+shuffle", "size", "h5py + hdf5plugin") in shown
    assert json.loads(report.as_json())["ratios"]
    assert list(tmp_path.iterdir()) == []  # files are gone
