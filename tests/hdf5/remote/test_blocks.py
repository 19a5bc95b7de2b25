"""A file on a server as HDF5 reads it: right bytes, few requests, bounded memory."""

import numpy as np
import pytest

from cxistack.hdf5.remote import blocks
from cxistack.hdf5.remote.blocks import BLOCK, AsFile, Blocks, RemoteFile
from cxistack.hdf5.remote.parts import Meta

DATA = np.random.default_rng(2).integers(0, 256, 40 * BLOCK + 77, "u1").tobytes()


class Client:
    def __init__(self):
        self.asked = []

    def get(self, url, begin, end, meta):
        self.asked.append((begin, end))
        return DATA[begin:end], meta


def opened(pieces=()):
    client = Client()
    file = RemoteFile("https://host/a", Meta(len(DATA), "1", 0), client, Blocks(), pieces)
    return AsFile(file), client.asked


def read(source, begin, size):
    source.seek(begin)
    buffer = bytearray(size)
    count = source.readinto(buffer)
    assert source.tell() == begin + count
    return bytes(buffer[:count])


def test_any_read_gives_the_bytes_of_the_file():
    source, _ = opened(pieces=[(100, DATA[100:900]), (BLOCK, DATA[BLOCK : BLOCK + 10])])
    rng = np.random.default_rng(3)
    for _ in range(300):
        begin = int(rng.integers(0, len(DATA) + 10))
        size = int(2 ** rng.uniform(0, 21))
        assert read(source, begin, size) == DATA[begin : begin + size]


def test_what_is_near_comes_by_one_request():
    source, asked = opened()
    for begin in range(0, BLOCK, 5000):
        read(source, begin, 100)
    assert asked == [(0, BLOCK)]


def test_who_reads_on_gets_more_at_a_time():
    source, asked = opened()
    for begin in range(0, len(DATA), 4096):
        read(source, begin, 4096)
    assert len(asked) <= 9
    assert sum(end - begin for begin, end in asked) == len(DATA)


def test_a_large_read_is_asked_for_as_it_is():
    source, asked = opened()
    read(source, 1000, 3 * BLOCK)
    assert asked == [(1000, 1000 + 3 * BLOCK)]


def test_known_pieces_are_not_asked_for():
    source, asked = opened(pieces=[(0, DATA[:1000]), (5000, DATA[5000:6000])])
    assert read(source, 5500, 500) == DATA[5500:6000]
    assert asked == []


def test_blocks_longest_unused_are_forgotten(monkeypatch):
    monkeypatch.setattr(blocks, "_MOST_KEPT", 4 * BLOCK)
    source, asked = opened()
    for number in (0, 9, 18, 27, 0, 36):
        read(source, number * BLOCK, 10)
    assert len(asked) == 5
    read(source, 0, 10)
    assert len(asked) == 5
    read(source, 9 * BLOCK, 10)
    assert len(asked) == 6


def test_nothing_is_written():
    source, _ = opened()
    for action in (lambda: source.write(b"x"), source.truncate):
        with pytest.raises(OSError, match="only read"):
            action()


def test_a_failure_that_nobody_told_of_is_raised_once(monkeypatch):
    source, _ = opened()

    def fail(*args):
        raise OSError("gone")

    source.file._client.get = fail
    with pytest.raises(OSError, match="gone"):
        read(source, 0, 10)
    with pytest.raises(OSError, match="gone"):
        source.raise_failure()
    source.raise_failure()
