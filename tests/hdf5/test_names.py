"""Which files a user's names mean: what glob finds (the oracle), or an error that names a place."""

import errno
import glob
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxistack import CXIStore, StorageError
from cxistack.hdf5 import patterns
from cxistack.hdf5.names import expand, natural_key
from factory import DATA, put


def run_at(path, values):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return put(path, values)


NAMES = ["a.h5", "b.h5", ".hidden.h5", "a", "b1", "sub", "sub/c.h5", ".dot", "a/b/d.h5", "[x].h5"]
PIECES = [
    "*",
    "**",
    "a*",
    "?",
    "[ab]*",
    "*.h5",
    "sub",
    "..",
    ".",
    ".*",
    "[[]x].h5",
    "b",
    "",
    "c.h5",
]


@settings(max_examples=40)
@given(
    names=st.lists(st.sampled_from(NAMES), unique=True),
    links=st.lists(st.sampled_from([("l.h5", "a.h5"), ("none.h5", "gone"), ("near", "a/b")])),
    pattern=st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    is_absolute=st.booleans(),
)
def test_a_pattern_matches_what_glob_matches(names, links, pattern, is_absolute):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in names:
            path = Path(name)
            if any(parent.is_file() for parent in path.parents) or path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
        for name, target in dict(links).items():
            if Path(name).parent.is_dir():
                Path(name).symlink_to(target)
        text = "/".join([folder, *pattern] if is_absolute else pattern)
        assert patterns.matching(text) == glob.glob(text, recursive=True)


def test_a_circle_of_folders_ends_where_it_does_for_glob(tmp_path):
    (tmp_path / "a.h5").touch()
    (tmp_path / "circle").symlink_to(".")
    text = f"{tmp_path}/**/*.h5"
    assert patterns.matching(text) == glob.glob(text, recursive=True)


def test_names_come_in_natural_order(tmp_path):
    for name in ("scan_10.h5", "scan_9.h5", "scan_1.h5", "deep/scan_2.h5"):
        run_at(tmp_path / name, {DATA: np.ones((1, 2, 3), "u2")})
    found = expand(f"{tmp_path}/**/*.h5")
    assert found == tuple(sorted(found, key=natural_key))
    assert [Path(name).name for name in found] == [
        "scan_2.h5",
        "scan_1.h5",
        "scan_9.h5",
        "scan_10.h5",
    ]


@pytest.mark.parametrize(
    ("number", "kind", "why"),
    [
        (errno.EACCES, PermissionError, "this user may not list the folder: '{folder}'"),
        (errno.EMFILE, StorageError, "the folder {folder} cannot be listed: Too many open files; "),
        (errno.EIO, StorageError, "the folder {folder} cannot be listed: Input/output error"),
        (errno.ESTALE, StorageError, "the folder {folder} cannot be listed: Stale file handle"),
    ],
)
@pytest.mark.parametrize("pattern", ["sub/*.h5", "*/*.h5", "**/*.h5", "s*/b.h5"])
def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch, pattern, number, kind, why):
    (tmp_path / "a.h5").touch()
    (tmp_path / "sub").mkdir()
    folder = str(tmp_path if pattern == "s*/b.h5" else tmp_path / "sub")
    scan = os.scandir

    def fails(path):
        if os.fspath(path) == folder:
            raise OSError(number, os.strerror(number), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", fails)
    assert glob.glob(f"{tmp_path}/{pattern}", recursive=True) in ([], [f"{tmp_path}/a.h5"])
    with pytest.raises(kind) as caught:
        CXIStore(f"{tmp_path}/{pattern}")
    assert why.format(folder=folder) in str(caught.value)


def test_no_file_matches_only_where_none_does(tmp_path):
    (tmp_path / "sub").mkdir()
    for pattern in ("*.h5", "gone/*.h5", "**/a*", "sub/*/*"):
        with pytest.raises(FileNotFoundError, match="no file matches"):
            CXIStore(f"{tmp_path}/{pattern}")


def test_a_link_into_nothing_is_named(tmp_path):
    (tmp_path / "run.h5").symlink_to("gone.h5")
    for name in ("run.h5", "*.h5"):
        with pytest.raises(
            FileNotFoundError, match=r"link to gone\.h5, which is not there.*run\.h5"
        ):
            CXIStore(f"{tmp_path}/{name}").load_attribute("data")


CHILD = """
import os, sys
import cxistack
folder, names = sys.argv[1], sys.argv[2:]
os.chdir(folder)
cxistack.CXIStore(names[0]).load_attribute("data", verbose=False)  # what is imported late
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for name in names:
    try:
        print(cxistack.CXIStore(name).load_attribute("data", verbose=False).shape)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_what_a_user_may_not_read_is_named(tmp_path):
    """As a user of no rights; the folders of pytest are root's own where root runs the tests."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        for name in ("mine.h5", "open/secret.h5", "closed/a.h5", "blind/a.h5"):
            run_at(folder / name, {DATA: np.ones((1, 2, 3), "u2")})
            (folder / name).chmod(0o644)
            (folder / name).parent.chmod(0o755)
        (folder / "open/secret.h5").chmod(0)
        (folder / "closed").chmod(0)
        (folder / "blind").chmod(0o444)  # it can be listed, and nothing in it looked at
        asked = ["mine.h5", "open/secret.h5", "open/*.h5", "closed/*.h5", "*/*.h5", "closed/a.h5"]
        asked += ["blind/*.h5", "blind/../*.h5"]
        command = [sys.executable, "-c", CHILD, made, *asked]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        (folder / "closed").chmod(0o755)
        (folder / "blind").chmod(0o755)
    words = ran.stdout.splitlines()
    assert len(words) == len(asked), ran.stderr
    assert words[0] == "(1, 2, 3)"
    for said, name in zip(
        words[1:], ["secret.h5"] * 2 + ["closed"] * 3 + ["blind"] * 2, strict=True
    ):
        assert "PermissionError" in said
        assert name in said


def test_descriptors_that_are_used_up(tmp_path):
    """A pattern is worked out again when there are some."""
    run_at(tmp_path / "sub/a.h5", {DATA: np.ones((1, 2, 3), "u2")})
    pattern = f"{tmp_path}/*/*.h5"
    CXIStore(pattern).load_attribute("data")  # whatever is imported late is
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        assert glob.glob(pattern) == []
        with pytest.raises(StorageError, match=r"cannot be listed: Too many .*\(ulimit -n\)"):
            CXIStore(pattern)
    finally:
        for descriptor in taken:
            os.close(descriptor)
    assert CXIStore(pattern).load_attribute("data").shape == (1, 2, 3)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home folder with a file in it; another folder is the working one."""
    run_at(tmp_path / "home/run.h5", {DATA: np.arange(6, dtype="u2").reshape(1, 2, 3)})
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.mark.parametrize(
    "name", ["~/run.h5", "~/*.h5", ["~/run.h5"], Path("~/run.h5"), b"~/run.h5"]
)
def test_a_tilde_is_the_users_home(home, name):
    store = CXIStore(name)
    assert store.filenames() == [str(home / "run.h5")]
    assert store.load_attribute("data").sum() == 15


def test_a_file_whose_name_begins_with_a_tilde_is_itself(home):
    run_at("~run.h5", {DATA: np.ones((1, 2, 3), "u2")})
    assert CXIStore("~run.h5").load_attribute("data").sum() == 6


def test_a_file_is_made_in_the_users_home(home):
    CXIStore("~/new.cxi", mode="w").save_attribute("data", np.ones((1, 2, 3), "u2"))
    assert (home / "new.cxi").is_file()
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("given_as", [lambda name: name, lambda name: [name]])
def test_bytes_name_a_file(home, given_as):
    assert CXIStore(given_as(os.fsencode(home / "run.h5"))).load_attribute("data").sum() == 15


WRONG = {
    "a number": (lambda _: 3, "not by a value of type int"),
    "nothing": (lambda _: None, "not by a value of type NoneType"),
    "numbers": (lambda _: ["a.h5", 3], "not by a value of type int"),
    "lists": (lambda _: [["a.h5"]], "not by a value of type list"),
    "a mapping": (lambda _: {"a.h5": 1}, "not by a value of type dict"),
    "a store": (CXIStore, "not by a value of type CXIStore"),
    "an open file of h5py": (h5py.File, "not by an open h5py.File; name its file, '.*run.h5'"),
    "several": (
        lambda name: [h5py.File(name)],
        "not by an open h5py.File; name its file, '.*run.h5'",
    ),
    "a dataset": (lambda name: h5py.File(name)[DATA], "not by an open h5py.Dataset; name its file"),
    "an open file": (
        lambda name: name.open("rb"),
        "not by an open file .BufferedReader.; name the",
    ),
    "bytes of a file": (
        lambda name: io.BytesIO(name.read_bytes()),
        "not by an open file .BytesIO.",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_name_is_told_in_one_line(home, what):
    make, why = WRONG[what]
    wrong = make(home / "run.h5")
    with pytest.raises(
        TypeError, match=f"files are named by a path, a list of paths.*{why}"
    ) as caught:
        CXIStore(wrong)
    assert "\n" not in str(caught.value)
    if hasattr(wrong, "close"):
        wrong.close()
