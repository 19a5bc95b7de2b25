"""The benchmark of saves runs and checks what it times; what it finds is not looked at."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

save = pytest.importorskip("benchmarks.suites.save", exc_type=ImportError)
from benchmarks.harness.options import Options  # noqa: E402
from benchmarks.harness.report import Report  # noqa: E402

from cxistack.kernels import _encode  # noqa: E402


def test_a_tiny_run_measures_every_codec(tmp_path):
    report = Report({})
    save.run(report, Options(size="tiny", folder=tmp_path))
    assert {timing.stored for timing in report.timings} == {codec.name for codec in save.CODECS}
    shown = {(ratio.stored, ratio.case, ratio.against) for ratio in report.ratios}
    assert ("bitshuffle+LZ4", "save", "h5py + hdf5plugin") in shown
    assert ("deflate+shuffle", "size", "h5py + hdf5plugin") in shown
    assert json.loads(report.as_json())["results"]
    assert list(tmp_path.iterdir()) == []  # files are gone


def test_the_codec_alone_compresses_all_blocks():
    planes = np.random.default_rng(0).integers(0, 3, 5 * 8192, np.uint8).tobytes()
    pipeline = _encode.EncodePipeline([(32008, (0, 3, 1, 0, 2))], len(planes))
    out = bytearray(pipeline.bound)
    total = _encode.Encoder(pipeline).codec_alone(planes, 8192, out)
    assert 0 < total < len(planes)
    with pytest.raises(ValueError, match="Blocks"):
        _encode.Encoder(pipeline).codec_alone(planes, 8192, out[:-1])
