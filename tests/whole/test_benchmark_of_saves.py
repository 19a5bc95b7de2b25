"""The benchmark of saves runs and checks what it times; what it finds is not looked at."""

import json
import sys

import numpy as np
import pytest

from factory import ROOT

sys.path.insert(0, str(ROOT))

save = pytest.importorskip("benchmarks.save", exc_type=ImportError)
from cxistack.kernels import _encode  # noqa: E402


def test_a_tiny_run_measures_every_codec(tmp_path):
    data = np.random.default_rng(0).poisson(3, (5, 60, 70)).astype("uint16")
    report = save.run(data, 2, 1, tmp_path)
    assert {timing.stored for timing in report.timings} == {codec.name for codec in save.CODECS}
    shown = {(ratio.stored, ratio.case, ratio.against) for ratio in report.ratios}
    assert ("bitshuffle+LZ4", "save", "h5py + hdf5plugin") in shown
    assert ("deflate+shuffle", "size", "h5py + hdf5plugin") in shown
    assert json.loads(report.as_json())["ratios"]
    assert list(tmp_path.iterdir()) == []  # files are gone


def test_the_codec_alone_compresses_all_blocks():
    planes = np.random.default_rng(0).integers(0, 3, 5 * 8192, np.uint8).tobytes()
    pipeline = _encode.EncodePipeline([(32008, (0, 3, 1, 0, 2))], len(planes))
    out = bytearray(pipeline.bound)
    total = _encode.Encoder(pipeline).codec_alone(planes, 8192, out)
    assert 0 < total < len(planes)
    with pytest.raises(ValueError, match="Blocks"):
        _encode.Encoder(pipeline).codec_alone(planes, 8192, out[:-1])
