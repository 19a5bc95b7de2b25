"""What the default protocol misses and another would find is told, and which: in one line."""

import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol, CXIStore
from cxistack.cli import app
from factory import frames, put
from factory.beamlines import LAYOUTS

DATA = "/entry_1/instrument_1/detector_1/data"
PYNX = "/entry_1/sample_1/geometry_1/translation"


def hint(store):
    """Return the line of a store's table that names another protocol."""
    lines = [line.strip() for line in repr(store).splitlines() if "--protocol" in line]
    assert len(lines) <= 1
    return lines[0] if lines else ""


@pytest.fixture
def pynx(tmp_path):
    return put(tmp_path / "p.cxi", {DATA: frames(4), PYNX: np.zeros((4, 3))})


def test_translations_that_the_default_does_not_name_are_told(pynx):
    store = CXIStore(pynx)
    assert "translations" not in store  # the default protocol is what it was
    assert hint(store) == 'protocol="cxi" (--protocol cxi) would also find translations'
    assert "translations" in CXIStore(pynx, protocol="cxi")
    assert hint(CXIStore(pynx, protocol="cxi")) == ""


@pytest.mark.parametrize(
    "name", [n for n in LAYOUTS if not n.startswith(("agipd", "bare", "lima"))]
)
def test_what_is_said_is_what_that_protocol_finds_in_a_run(name, tmp_path):
    """The oracle is a store by each protocol: what it finds and the default does not."""
    files = [str(file) for file in LAYOUTS[name](tmp_path).files]
    store, default = CXIStore(files), CXIProtocol.import_default()
    told = hint(store)
    more = {}
    for other in ("cxi", "nxmx", "cheetah"):
        theirs = CXIStore(files, protocol=other)
        if store.frame_count in (0, theirs.frame_count):
            found = {attr for attr in theirs if theirs._catalogue.found(attr)}
            more[other] = (set(default) & found) - set(store)
    if not told:
        assert not any(more.values()), more
        return
    chosen = told.partition('"')[2].partition('"')[0]
    attrs = set(told.rpartition("find ")[2].split(", "))
    assert attrs == more.get(chosen, attrs)
    assert len(attrs) >= max(map(len, more.values()))


def test_modules_of_a_run_folder_are_named(tmp_path):
    run = LAYOUTS["agipd_raw"](tmp_path)
    told = hint(CXIStore([str(file) for file in run.files]))
    assert told.startswith('protocol="euxfel"')
    assert told.endswith("data")


def test_cheetahs_files_are_named_for_what_they_are(tmp_path):
    run = LAYOUTS["cheetah_hits"](tmp_path)
    told = hint(CXIStore([str(file) for file in run.files]))
    assert told.startswith('protocol="cheetah"')
    assert "wavelength" in told


def test_nothing_is_said_where_nothing_is_missed_or_the_data_are_others(tmp_path):
    assert hint(CXIStore(put(tmp_path / "a.cxi", {DATA: frames(4)}))) == ""
    with h5py.File(tmp_path / "b.h5", "w") as h5:
        h5["/entry_1/data_1/data"] = frames(4)
        h5[PYNX] = np.zeros((4, 3))
        h5["/entry/instrument_1/detector_1/data"] = frames(3)
    assert hint(CXIStore(str(tmp_path / "b.h5"))) == ""
    assert hint(CXIStore(str(tmp_path / "new.h5"), "w")) == ""


def test_info_says_it_to_people_and_to_programs(pynx):
    shown = CliRunner().invoke(app, ["info", pynx])
    assert "--protocol cxi" in shown.stdout
    facts = json.loads(CliRunner().invoke(app, ["info", pynx, "--json"]).stdout)
    assert facts["other_protocol"] == {"protocol": "cxi", "attributes": ["translations"]}
    good = CliRunner().invoke(app, ["info", pynx, "--json", "--protocol", "cxi"])
    assert json.loads(good.stdout)["other_protocol"] is None
