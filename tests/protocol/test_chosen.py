"""What may name a protocol: a built-in one's name, an INI file, a protocol."""

from pathlib import Path

import numpy as np
import pytest

from cxistack import CXIProtocol, CXIStore, ProtocolError
from cxistack.protocol.chosen import protocol_of
from factory import DATA, put

MINE = CXIProtocol({"data": "uint"}, {"data": ["/mine"]}, {"data": "stack"})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("mine.ini", "home/mine.ini", "mine"):
        MINE.to_ini(tmp_path / name)
    put("run.h5", {DATA: np.zeros((1, 2, 3), "u2"), "/mine": np.ones((1, 2, 3), "u2")})
    return tmp_path


@pytest.mark.parametrize("how", ["mine.ini", "~/mine.ini", "mine", Path("mine.ini"), MINE])
def test_a_protocol_of_mine(folder, how):
    assert CXIStore("run.h5", protocol=how).load_attribute("data").sum() == 6
    assert protocol_of(how) == MINE


@pytest.mark.parametrize("name", CXIProtocol.names())
def test_a_built_in_protocol_comes_before_a_file_of_its_name(folder, name):
    MINE.to_ini(name)
    assert protocol_of(name) == CXIProtocol.import_named(name)
    assert protocol_of(f"./{name}") == MINE
    assert protocol_of(None) == CXIProtocol.import_default()


@pytest.mark.parametrize(
    ("wrong", "error", "why"),
    [
        (
            "nxm",
            ProtocolError,
            "'nxm' is no built-in protocol, .*no such file; the .* are cheetah, cxi, ",
        ),
        (
            "gone.ini",
            ProtocolError,
            "'gone.ini' is no built-in protocol, and there is no such file",
        ),
        ("run.h5", ProtocolError, "run.h5: is not a text in UTF-8"),
        (3, TypeError, "protocol= takes a CXIProtocol, .* or an INI file, not a value of type int"),
        ({}, TypeError, "protocol= takes a CXIProtocol, .*, not a value of type dict"),
    ],
)
def test_what_is_no_protocol_is_told_in_one_line(folder, wrong, error, why):
    with pytest.raises(error, match=f"^{why}") as caught:
        CXIStore("run.h5", protocol=wrong)
    assert "\n" not in str(caught.value)
