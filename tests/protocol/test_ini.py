"""The INI form of a protocol is read back exactly, and a faulty one is named by section and key."""

import configparser
import io
import os
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxistack.errors import ProtocolError, StorageError
from cxistack.protocol.ini import format_list, format_value, parse_list
from cxistack.protocol.protocol import CXIProtocol

GOOD = """
[datatypes]
data = uint
Mask = bool

[load_paths]
data = [/a, /b]
Mask = [/m]

[kinds]
data = stack
Mask = stack
"""


@pytest.fixture
def ini(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "layout.ini"
        path.write_bytes(textwrap.dedent(text).encode(encoding))
        return path

    return write


NASTY = st.text("ab/ %#;=:,'\"[]\\\n\r\t()é\xa0\u2028\ud800x0", min_size=1, max_size=12)
PATHS = NASTY | st.text(st.characters(exclude_characters="\0"), min_size=1)
NAMES = st.from_regex(r"[A-Za-z_µé][A-Za-z_0-9Ωé]{0,8}", fullmatch=True).filter(str.isidentifier)


@st.composite
def protocols(draw):
    protocol = CXIProtocol({}, {})
    for attr in draw(st.lists(NAMES, max_size=4, unique=True)):
        datatype = draw(st.sampled_from(["float", "int", "uint", "bool", "str"]))
        # What begins so lists columns, and is refused where it lists none.
        paths = draw(
            st.lists(PATHS.filter(lambda path: not path.startswith("(/")), min_size=1, max_size=4)
        )
        kind = draw(st.sampled_from(["scalar", "sequence", "frame", "stack"]))
        conventions = st.lists(
            st.sampled_from(["good", "cxi", "nexus"]), min_size=len(paths), max_size=len(paths)
        )
        convention = draw(st.none() | conventions) if datatype == "bool" else None
        protocol = protocol.add_attribute(attr, datatype, paths, kind, convention)
    return protocol


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(protocols())
def test_a_protocol_is_read_as_it_was_written(tmp_path, protocol):
    file = tmp_path / "layout.ini"
    protocol.to_ini(file)
    read = CXIProtocol.import_ini(str(file))
    assert read == protocol
    assert list(read) == list(protocol)
    assert read.ini_dict() == protocol.ini_dict()


@given(st.lists(PATHS))
def test_a_list_is_read_as_it_was_written(items):
    assert parse_list(format_list(items)) == tuple(items)


@given(st.lists(PATHS, min_size=1))
def test_the_lists_of_pyrost_are_read(items):
    assert parse_list(str(items)) == tuple(items)


def test_a_file_that_pyrost_wrote_is_read(ini):
    written = configparser.ConfigParser()
    written["datatypes"] = {"data": "uint", "mask": "bool"}
    written["load_paths"] = {"data": str(["/entry/data", "/b's"]), "mask": str(["/mask"])}
    written["kinds"] = {"data": "stack", "mask": "stack"}
    text = io.StringIO()
    written.write(text)
    protocol = CXIProtocol.import_ini(ini(text.getvalue()))
    assert protocol.load_paths == {"data": ("/entry/data", "/b's"), "mask": ("/mask",)}


def test_the_default_protocol_survives_its_ini(tmp_path):
    default = CXIProtocol.import_default()
    default.to_ini(tmp_path / "default.ini")
    assert CXIProtocol.import_ini(tmp_path / "default.ini") == default


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("/a", ("/a",)),
        ("[/a,]", ("/a",)),
        ("[ /a , '/b, c' , ]", ("/a", "/b, c")),
        ("[/a,\n/b,\n]", ("/a", "/b")),
        ("['/a', \"/b\"]", ("/a", "/b")),
        ("/a, /b", ("/a", "/b")),
        ("[/100%%, /it's, /a#b;c=d:e]", ("/100%%", "/it's", "/a#b;c=d:e")),
        ("[]", ()),
        ("", ()),
    ],
)
def test_lists_are_read_as_people_write_them(text, items):
    assert parse_list(text) == items


@pytest.mark.parametrize(
    "text", ["[/a", "[/a,,/b]", "['/a' '/b']", "['/a]", r"['/a\q']", "[,]", "[/a\n/b]", "[[/a]]",
             r"['\U00110000']"],
)  # fmt: skip
def test_text_that_is_no_list_is_refused(text):
    with pytest.raises(ValueError, match=r"list|read|comma"):
        parse_list(text)


def test_only_what_would_be_misread_is_quoted():
    for bare in ("/entry_1/data 1", "/a#b;c=d:e%f", "/daté"):
        assert format_value(bare) == bare
    for quoted in ("", " /a", "/a,b", "/it's", "/a[0]", "/a\n"):
        assert format_value(quoted) == repr(quoted)


def test_names_keep_their_case_and_percent_is_a_character(ini):
    protocol = CXIProtocol.import_ini(ini(GOOD.replace("/a", "/100%(x)s")))
    assert list(protocol) == ["data", "Mask"]
    assert protocol.load_paths["data"] == ("/100%(x)s", "/b")


def test_a_byte_order_mark_and_windows_line_ends_are_read_over(ini):
    file = ini(GOOD.replace("\n", "\r\n"), "utf-8-sig")
    assert CXIProtocol.import_ini(file) == CXIProtocol.import_ini(ini(GOOD))


def test_conventions_are_one_for_each_path(ini):
    text = GOOD.replace("[/m]", "[/m, /n]") + "\n[conventions]\nMask = [good, cxi]\n"
    protocol = CXIProtocol.import_ini(ini(text))
    assert protocol.get_convention("Mask", "/n") == "cxi"


FAULTS = {
    "unknown type": ("data = uint", "data = long", r"\[datatypes\], key data: 'long'"),
    "unknown kind": ("data = stack", "data = pile", r"\[kinds\], key data: 'pile'"),
    "no paths": ("[/a, /b]", "[]", r"\[load_paths\], key data: .* at least one path"),
    "no list": ("[/a, /b]", "[/a, /b", r"\[load_paths\], key data: the list"),
    "no path in its section": ("data = [/a, /b]", "", r"\[load_paths\], key data: is missing"),
    "no kind in its section": ("data = stack", "", r"\[kinds\], key data: is missing"),
    "no type in its section": ("data = uint", "", r"\[load_paths\], key data: section \[datat"),
    "missing section": ("[kinds]\ndata = stack\nMask = stack", "", r"section \[kinds\] is missing"),
    "unknown section": ("[kinds]", "[kind]", r"section \[kind\] is none of"),
    "default section": ("[datatypes]", "[DEFAULT]", r"section \[DEFAULT\] is none of"),
    "duplicate key": (
        "data = uint",
        "data = uint\ndata = int",
        r"\[datatypes\], key data: appears",
    ),
    "duplicate section": ("[kinds]", "[datatypes]\n[kinds]", r"section \[datatypes\] appears"),
    "no value": ("data = uint", "data", r"not an INI file: .* line 3"),
    "no header": ("\n[datatypes]", "colour\n[datatypes]", r"not an INI file: line 1"),
    "name": ("data =", "da-ta =", r"\[datatypes\], key da-ta: the name must be"),
    "convention": (
        "[kinds]",
        "[conventions]\nMask = odd\n[kinds]",
        r"\[conventions\], key Mask: 'o",
    ),
    "convention of none": (
        "[kinds]",
        "[conventions]\nx = cxi\n[kinds]",
        r"\[conventions\], key x: ",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_by_file_section_and_key(ini, old, new, message):
    file = ini(GOOD.replace(old, new))
    with pytest.raises(ProtocolError, match=message) as caught:
        CXIProtocol.import_ini(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert isinstance(caught.value, ValueError)


def test_a_file_that_cannot_be_read_is_named(tmp_path, ini):
    with pytest.raises(ProtocolError, match=r"absent\.ini: there is no such file"):
        CXIProtocol.import_ini(tmp_path / "absent.ini")
    with pytest.raises(ProtocolError, match="cannot be read"):
        CXIProtocol.import_ini(tmp_path)
    with pytest.raises(ProtocolError, match="UTF-8"):
        CXIProtocol.import_ini(ini(GOOD.replace("/a", "/é"), "latin-1"))
    with pytest.raises(ProtocolError, match="not an INI file"):
        CXIProtocol.import_ini(ini("\x89HDF\r\n\x1a\n"))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_as_editors_save_it(ini, encoding, newline):
    """With or without a byte-order mark, with Windows' ends of lines; "utf-16" writes a mark."""
    text = GOOD.replace("/a", "/é/µm")
    file = ini(text.replace("\n", newline), encoding)
    assert CXIProtocol.import_ini(file) == CXIProtocol.import_ini(ini(text))


def test_big_endian_utf_16_is_known_by_its_mark(ini):
    assert CXIProtocol.import_ini(ini("\ufeff" + GOOD, "utf-16-be")).load_paths


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_another_encoding_is_refused_by_what_is_wanted(ini, encoding):
    with pytest.raises(ProtocolError, match=r"\.ini: is not a text in UTF-8 .*; save it as UTF-8"):
        CXIProtocol.import_ini(ini(GOOD.replace("/a", "/é"), encoding))


def test_writing_replaces_a_file_at_once_and_keeps_its_mode(tmp_path, monkeypatch):
    file = tmp_path / "layout.ini"
    file.write_text("mine")
    file.chmod(0o640)
    protocol = CXIProtocol.import_default()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"layout\.ini: cannot be written: No space"):
            protocol.to_ini(file)
    assert file.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [file]
    link = tmp_path / "link.ini"
    link.symlink_to(file)
    protocol.to_ini(link)
    assert link.is_symlink()
    assert CXIProtocol.import_ini(file) == protocol
    assert file.stat().st_mode & 0o777 == 0o640


def test_writing_to_a_folder_that_is_not_there_raises(tmp_path):
    with pytest.raises(StorageError, match="No such file"):
        CXIProtocol.import_default().to_ini(tmp_path / "absent" / "layout.ini")


def test_what_is_written_is_utf_8_with_plain_ends_of_lines(tmp_path):
    protocol = CXIProtocol({"x": "float"}, {"x": ["/é/µm"]})
    protocol.to_ini(tmp_path / "new.ini")
    written = (tmp_path / "new.ini").read_bytes()
    assert not written.startswith(b"\xef\xbb\xbf")
    assert (b"\r" in written, "x = [/é/µm]\n" in written.decode()) == (False, True)


def test_the_reason_why_a_text_is_not_utf_8_is_short(ini):
    with pytest.raises(ProtocolError, match=r"is not a text in UTF-8 \(invalid \w+ byte\);"):
        CXIProtocol.import_ini(ini(GOOD.replace("/a", "/é"), "cp1252"))
