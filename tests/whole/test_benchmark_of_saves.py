"""The benchmark of saves runs and checks what it times; what it finds is not looked at."""

import json
import sys

import pytest

from factory import ROOT

sys.path.insert(0, str(ROOT))

save = pytest.importorskip("benchmarks.suites.save", exc_type=ImportError)
from benchmarks.harness.options import Options  # noqa: E402
from benchmarks.harness.report import Report  # noqa: E402


def test_a_tiny_run_measures_every_codec(tmp_path):
    report = Report({})
    save.run(report, Options(size="tiny", folder=tmp_path))
    assert {timing.stored for timing in report.timings} == {codec.name for codec in save.CODECS}
    shown = {(ratio.stored, ratio.case, ratio.against) for ratio in report.ratios}
    assert ("bitshuffle+LZ4", "save", "h5py + hdf5plugin") in shown
    assert ("deflate+shuffle", "size", "h5py + hdf5plugin") in shown
    assert json.loads(report.as_json())["results"]
    assert list(tmp_path.iterdir()) == []  # files are gone
