"""A small file comes to its name whole, or what was there stands."""

import os
import stat

import pytest

from cxistack.written import write_whole


def test_a_new_file_replaces_an_old_one_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "page.html"
    for content in (b"first", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_of_a_symbolic_link_the_target_is_replaced(tmp_path):
    write_whole(tmp_path / "there.html", b"old")
    (tmp_path / "link.html").symlink_to("there.html")
    write_whole(tmp_path / "link.html", b"new")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "there.html").read_bytes() == b"new"


def test_who_might_read_the_old_one_may_read_the_new_one(tmp_path):
    path = tmp_path / "page.html"
    write_whole(path, b"old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_after_a_failure_what_was_there_stands(tmp_path, monkeypatch, call):
    path = tmp_path / "page.html"
    path.write_bytes(b"old")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="No space") as caught:
        write_whole(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_what_is_no_file_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"page")
    assert os.read(reader, 10) == b"page"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
