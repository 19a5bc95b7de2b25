"""``--cluster``: commands that a Dask cluster does the work of."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore
from cxistack.cli import app
from cxistack.converting import apart
from factory import DATA, attributes, frames, put

WHOLE = np.concatenate([frames(8), frames(8, start=2000)])


def command(*words):
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture
def names(tmp_path):
    parts = [WHOLE[:8], WHOLE[8:]]
    return [
        put(tmp_path / f"{k}.cxi", {DATA: part, **attributes(8)}) for k, part in enumerate(parts)
    ]


def test_convert_leaves_a_file_for_each_share(names, tmp_path, two_workers, monkeypatch):
    monkeypatch.setattr(apart, "_FILE_BYTES", 5 * WHOLE[0].nbytes)
    address = two_workers.scheduler.address
    result = command("convert", *names, tmp_path / "run.cxi", "--cluster", address)
    assert result.exit_code == 0, result.output
    assert "run.cxi: 16 frames" in result.output
    assert f"files in {tmp_path / 'run_parts'}; move" in result.output.replace("\n", " ")
    old, new = CXIStore(names), CXIStore(tmp_path / "run.cxi", protocol="cxi")
    for attr in old.found:
        np.testing.assert_array_equal(new.load_attribute(attr), old.load_attribute(attr))
    assert new.check(conformance=True) == []


def test_reduce_finds_its_scheduler_by_a_file(names, tmp_path, two_workers):
    # The client's own write_scheduler_file fails once workers have told how long their tasks took.
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": two_workers.scheduler.address}))
    words = ["--how", "sum", "--how", "median", "--cluster", file]
    result = command("reduce", *names, "-o", tmp_path / "sum.h5", *words)
    assert result.exit_code == 0, result.output
    places = {word: [f"/reduced/{word}"] for word in ("sum", "median")}
    kinds = (dict.fromkeys(places, "number"), places, dict.fromkeys(places, "frame"))
    found = CXIStore(tmp_path / "sum.h5", protocol=CXIProtocol(*kinds))
    np.testing.assert_array_equal(found.load_attribute("sum"), WHOLE.sum(axis=0))
    np.testing.assert_array_equal(found.load_attribute("median"), np.median(WHOLE, axis=0))


def test_without_dask_it_says_how_to_get_it(names, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = command("convert", *names, tmp_path / "run.cxi", "--cluster", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert "pip install 'cxistack[dask]'" in result.output


def test_nobody_who_answers_is_told(names, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    from cxistack.cli import cluster

    monkeypatch.setattr(cluster, "_TIMEOUT", "0.3s")
    result = command("convert", *names, tmp_path / "run.cxi", "--cluster", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert "127.0.0.1:1" in result.output
    assert not (tmp_path / "run.cxi").exists()
