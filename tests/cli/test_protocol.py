import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIProtocol
from cxistack.cli import app


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_list_names_every_built_in_protocol_and_what_it_is_for():
    shown = run("protocol", "list")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert [line.split()[0] for line in lines] == CXIProtocol.names()
    assert all(len(line.split()) > 5 for line in lines)
    assert "DECTRIS" in next(line for line in lines if line.startswith("nxmx"))


@pytest.mark.parametrize("name", CXIProtocol.names())
def test_show_has_each_attribute_path_meaning_and_limit(name):
    shown = run("protocol", "show", name)
    protocol = CXIProtocol.import_named(name)
    assert shown.exit_code == 0
    assert shown.stdout == f"{protocol}\n"
    for attr, paths in protocol.load_paths.items():
        assert f"\n{attr}" in shown.stdout
        for path in paths:
            meaning = protocol.get_convention(attr, path) or protocol.get_unit(attr, path)
            assert (f"{path} ({meaning})" if meaning else path) in shown.stdout
    for limits in protocol.limits.values():
        assert all(f"good where {limit}" in shown.stdout for limit in limits)


@pytest.mark.parametrize("name", CXIProtocol.names())
def test_the_ini_text_is_that_protocol(name, tmp_path):
    (tmp_path / "my.ini").write_text(run("protocol", "show", name, "--ini").stdout)
    assert CXIProtocol.import_ini(tmp_path / "my.ini") == CXIProtocol.import_named(name)
    shown = run("protocol", "show", tmp_path / "my.ini")
    assert shown.stdout == run("protocol", "show", name).stdout


def test_what_is_neither_a_name_nor_a_file_is_status_2(tmp_path):
    (tmp_path / "bad.ini").write_text("no section")
    for word, why in (
        ("nexus", "built-in protocols are cheetah, cxi"),
        (tmp_path / "bad.ini", "not an INI"),
    ):
        shown = run("protocol", "show", word)
        assert shown.exit_code == 2
        assert shown.stdout == ""
        assert why in shown.stderr


def test_other_commands_take_a_name(tmp_path):
    file = tmp_path / "a.nxs"
    with h5py.File(file, "w") as h5:
        h5["/entry/data/data"] = np.zeros((2, 3, 4), "u4")
        h5["/entry/instrument/beam/incident_energy"] = 12.4
        h5["/entry/instrument/beam/incident_energy"].attrs["units"] = "keV"
    shown = run("info", file, "--protocol", "nxmx")
    assert shown.exit_code == 0, shown.output
    assert "wavelength" in shown.stdout
    told = run("explain", file, "--protocol", "nxmx", "--attribute", "wavelength")
    assert "energy in keV to wavelength in m" in told.stdout
    assert run("info", file, "--protocol", "nexus").exit_code == 2
