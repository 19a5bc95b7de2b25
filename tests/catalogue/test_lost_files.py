"""A master file whose data files are not there names them, whoever asks."""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore, LinkError, discover
from cxistack.cli import app
from factory import put

MISSING = "'run_data_000001.h5', 'run_data_000002.h5', 'run_data_000003.h5'"


def master(folder, there=()):
    """Write a DECTRIS master of three data files, of which some are there."""
    detector = "/entry/instrument/detector"
    name = folder / "run_master.h5"
    with h5py.File(name, "w") as h5:
        for k in (1, 2, 3):
            link = h5py.ExternalLink(f"run_data_{k:06d}.h5", "/entry/data/data")
            h5[f"/entry/data/data_{k:06d}"] = link
        for label in ("trimbit", "flatfield"):
            h5[f"{detector}/detectorSpecific/{label}"] = np.ones((20, 30), "f4")
        h5[f"{detector}/trimbit"] = np.ones((20, 30), "f4")
        h5[f"{detector}/detectorSpecific/pixel_mask"] = np.zeros((20, 30), "u4")
        groups = {"/entry": "NXentry", "/entry/data": "NXdata", detector: "NXdetector"}
        for path, kind in groups.items():
            h5[path].attrs["NX_class"] = kind
    for k in there:
        put(folder / f"run_data_{k:06d}.h5", {"/entry/data/data": np.full((2, 20, 30), k, "u2")})
    return name


def test_a_store_names_every_file_that_is_missing(tmp_path):
    store = CXIStore(master(tmp_path), protocol="nxmx")
    with pytest.raises(LinkError, match=r"_000001\.h5', which is not there") as caught:
        store.load_attribute("data")
    for k in (1, 2, 3):
        assert f"run_data_{k:06d}.h5" in str(caught.value)
    assert "run_data_000003.h5" in str(store)


def test_some_that_are_there_are_not_all(tmp_path):
    store = CXIStore(master(tmp_path, there=[1, 3]), protocol="nxmx")
    with pytest.raises(
        LinkError, match=r"_000002\.h5', which is not there.*\(one of 3 in the group"
    ):
        store.load_attribute("data")


def test_a_discovery_proposes_no_map_for_frames(tmp_path):
    with pytest.raises(LinkError, match=rf"run_master.h5 has its frames in files .*: {MISSING} "):
        discover(master(tmp_path))


def test_a_discovery_where_files_are_there(tmp_path):
    name = master(tmp_path, there=[1, 2, 3])
    store = CXIStore(name, protocol=CXIProtocol.discover(name))
    assert store.load_attribute("data")[:, 0, 0].tolist() == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    "words",
    [["info", "--protocol", "nxmx"], ["protocol", "discover"], ["view", "--protocol", "nxmx"]],
)
def test_commands_name_them(tmp_path, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "400")
    done = CliRunner().invoke(app, [*words, str(master(tmp_path))])
    assert done.exit_code in (1, 2)
    for k in (1, 2, 3):
        assert f"run_data_{k:06d}.h5" in done.output
