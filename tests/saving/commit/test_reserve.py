"""Room on the disk is made sure of before values are written, and seldom asked for."""

import os

import pytest

from cxistack import StorageError
from cxistack.saving.commit import transaction as module
from cxistack.saving.commit.transaction import Transaction


@pytest.fixture
def asked(monkeypatch):
    """Return the numbers of bytes that the system is asked for, one after the other."""
    found, real = [], os.posix_fallocate

    def fallocate(file, offset, size):
        found.append(size)
        real(file, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    return found


@pytest.fixture
def made(tmp_path):
    with Transaction(str(tmp_path / "a.h5"), fresh=True) as one:
        one.begin()
        yield one


def test_covers_all_that_is_written(made, asked):
    """As if nothing of what was asked for before had been written yet."""
    beside = 1 << 17  # what HDF5 writes beside values
    free = total = 0
    for number in range(3000):
        size = 1000 + number % 7
        before = len(asked)
        made.reserve(size)
        if len(asked) > before:
            free = asked[-1] - beside
        free -= size
        total += size
        assert free >= 0
    assert len(asked) < 20
    assert max(asked) <= total + beside  # no more than as much again


def test_is_not_asked_for_in_steps_without_end(made, asked, monkeypatch):
    monkeypatch.setattr(module, "_AHEAD", 5000)
    for _ in range(100):
        made.reserve(1000)
    assert max(asked) <= 6000 + (1 << 17)
    assert len(asked) > 15


def test_is_asked_for_what_is_needed_where_there_is_no_more(made, monkeypatch):
    """A disk of 100 000 bytes, and what HDF5 wants beside."""
    room = [100_000]

    def fallocate(file, offset, size):
        if size - (1 << 17) > room[0]:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    for _ in range(100):
        made.reserve(1000)
        room[0] -= 1000
    with pytest.raises(StorageError, match=r"a\.h5 was not saved: No space left on device"):
        made.reserve(1000)


def test_leaves_the_file_as_long_as_it_was(made, tmp_path):
    copy = next(path for path in tmp_path.iterdir() if path.name.endswith(".saving"))
    before = copy.stat().st_size
    made.reserve(1 << 20)
    assert copy.stat().st_size == before


def test_wants_more_than_the_values(made, asked):
    made.reserve(1000)
    assert asked == [1000 + (1 << 17)]
