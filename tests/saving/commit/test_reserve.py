"""Room on the disk is made sure of before values are written, and seldom asked for."""

import os
from types import SimpleNamespace

import numpy as np
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
    assert max(asked) <= total + beside


def test_is_not_asked_for_in_steps_without_end(made, asked, monkeypatch):
    monkeypatch.setattr(module, "_MOST_AHEAD", 5000)
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
    monkeypatch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=room[0], f_frsize=1))
    for _ in range(100):
        made.reserve(1000)
        room[0] -= 1000
    with pytest.raises(StorageError, match=r"a\.h5 was not saved: No space left on device"):
        made.reserve(1000)


@pytest.mark.parametrize("megabytes", [10, 100])
def test_asks_for_a_quarter_more_at_most(made, asked, megabytes):
    """A quota of so much would not be passed by what fits with that."""
    for _ in range(1000 * megabytes):
        made.reserve(1000)
    assert sum(asked) > 0
    assert max(asked) <= (33 << 20) + (1 << 17)
    ends = np.cumsum([size - (1 << 17) for size in asked])
    assert ends[-1] <= 1.25 * megabytes * 1e6 + (1 << 20)
    assert len(asked) < 30


def test_leaves_the_file_as_long_as_it_was(made, tmp_path):
    copy = next(path for path in tmp_path.iterdir() if path.name.endswith(".saving"))
    before = copy.stat().st_size
    made.reserve(1 << 20)
    assert copy.stat().st_size == before


def test_wants_more_than_the_values(made, asked):
    made.reserve(1000)
    assert asked == [1000 + (1 << 20) + (1 << 17)]
