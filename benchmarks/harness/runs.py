"""Runs of many files, and files of any number of frames: written fast, with h5py alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from .data import CODECS, PATH, detector_frames

__all__ = ["FILTERS", "kept_open", "last", "opened_in_turn", "write_frames", "write_run"]

FILTERS: Mapping[str, Mapping[str, Any]] = {
    **CODECS,
    "bitshuffle+zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
}
_DISTINCT = 4  # frames that are encoded; the others of a file are the same again


def write_run(
    folder: Path, files: int, frames: int, shape: tuple[int, int], codec: str
) -> list[str]:
    """Write files in which no two frames are alike; return their names."""
    data = detector_frames(frames, shape)
    names = []
    for number in range(files):
        data[:, 0, 0] = np.arange(number * frames, (number + 1) * frames) % 65521
        names.append(str(folder / f"{codec}-{number:05}.h5"))
        with h5py.File(names[-1], "w") as h5:
            h5.create_dataset(PATH, data=data, chunks=(1, *shape), **FILTERS[codec])
    return names


def write_frames(path: Path, count: int, chunk: tuple[int, int, int], codec: str) -> Path:
    """Write a file of so many frames of the shape that chunks have; few of them are distinct."""
    frames, *shape = chunk
    data = detector_frames(min(_DISTINCT, -(-count // frames)) * frames, (shape[0], shape[1]))
    data[:, 0, 0] = np.arange(len(data))
    with h5py.File(path, "w") as h5:
        total = -(-count // frames) * frames
        options: dict[str, Any] = {"chunks": chunk, **FILTERS[codec]}
        encoded = h5.create_dataset("encoded", data=data, **options)
        h5.flush()
        dataset = h5.create_dataset(PATH, (total, *shape), data.dtype, **options)
        begins = range(0, len(data), frames)
        chunks = [encoded.id.read_direct_chunk((begin, 0, 0)) for begin in begins]
        for begin, (mask, stored) in zip(
            range(0, total, frames), itertools.cycle(chunks), strict=False
        ):
            dataset.id.write_direct_chunk((begin, 0, 0), stored, mask)
    return path


def opened_in_turn(names: Sequence[str]) -> Iterator[Any]:
    """Yield the dataset of each file, which is open until the next is asked for."""
    for name in names:
        with h5py.File(name) as h5:
            yield h5[PATH]


def kept_open(names: Sequence[str], stack: ExitStack) -> list[Any]:
    """Return a dataset of each file, open until the stack ends: few, or h5py gets slow."""
    files = {name: stack.enter_context(h5py.File(name)) for name in dict.fromkeys(names)}
    return [files[name][PATH] for name in names]


def last(frames: Iterable[Any]) -> NDArray[Any]:
    """Go through frames; return the last."""
    found: NDArray[Any] = np.empty(0)
    for frame in frames:
        found = frame
    return found
