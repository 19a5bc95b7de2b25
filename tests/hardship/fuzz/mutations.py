"""Damage to stored chunks: what disks, networks and other programs do to them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

LENGTHS = (0, 1, 3, 7, 8, 0xFF, 0x1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)
TOTALS = (0, 1, 8, 4096, 2**31, 2**32, 2**32 + 8, 2**62, 2**63, 2**64 - 1)


def flip_bits(chunk: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 8, 50))):
        chunk[rng.randrange(len(chunk))] ^= 1 << rng.randrange(8)


def set_bytes(chunk: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 5))):
        chunk[rng.randrange(len(chunk))] = rng.choice((0, 0x0F, 0x7F, 0x80, 0xF0, 0xFF))


def truncate(chunk: bytearray, rng: random.Random) -> None:
    del chunk[rng.choice((rng.randrange(len(chunk)), rng.randrange(min(len(chunk), 40)))) :]


def extend(chunk: bytearray, rng: random.Random) -> None:
    chunk += rng.randbytes(rng.choice((1, 4, 64, 1000)))


def lie_about_total(chunk: bytearray, rng: random.Random) -> None:
    chunk[:8] = struct.pack(">Q", rng.choice(TOTALS))


def lie_about_block(chunk: bytearray, rng: random.Random) -> None:
    chunk[8:12] = struct.pack(">I", rng.choice((*LENGTHS, rng.randrange(0, 70_000, 8))))


def lie_about_first_length(chunk: bytearray, rng: random.Random) -> None:
    chunk[12:16] = struct.pack(">I", rng.choice((*LENGTHS, rng.randrange(9000))))


def lie_about_a_length(chunk: bytearray, rng: random.Random) -> None:
    # Along the chain of lengths that bitshuffle and the LZ4 filter have.
    at, lengths = 12, []
    while at + 4 <= len(chunk):
        lengths.append(at)
        at += 4 + int.from_bytes(chunk[at : at + 4], "big")
    if lengths:
        at = rng.choice(lengths)
        given = int.from_bytes(chunk[at : at + 4], "big")
        lie = rng.choice((*LENGTHS, given - 1, given + 1, given - 4, given + 4, len(chunk) - at))
        chunk[at : at + 4] = struct.pack(">I", lie % 2**32)


def repeat_a_piece(chunk: bytearray, rng: random.Random) -> None:
    size = rng.randrange(1, 100)
    source, target = rng.randrange(len(chunk)), rng.randrange(len(chunk))
    chunk[target : target + rng.choice((0, size))] = chunk[source : source + size]


def remove_a_piece(chunk: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(chunk))
    del chunk[at : at + rng.randrange(1, 20)]


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits,
    flip_bits,
    set_bytes,
    truncate,
    extend,
    lie_about_total,
    lie_about_block,
    lie_about_first_length,
    lie_about_a_length,
    repeat_a_piece,
    remove_a_piece,
)


def mutate(chunk: bytes, rng: random.Random) -> bytearray:
    """Return the chunk with one to three kinds of damage."""
    damaged = bytearray(chunk)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if damaged:
            rng.choice(MUTATIONS)(damaged, rng)
    return damaged
