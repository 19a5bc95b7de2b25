"""Saves to a new file, synchronised, beside h5py and hard limits.

Frames of 2167 x 2070 uint16 (Poisson counts with a bright centre) go into a new file, which is on
disk (fsync) when a way ends. Ways take turns, and the least time of each counts; all files are read
back once by h5py. Only ratios within one run mean anything: machines drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import cxistack as cxi
from cxistack.kernels import _encode, simd_level

from ..harness.data import (
    DETECTOR,
    PATH,
    detector_frames,
    disk_workspace,
    pipeline_of,
    synchronise,
)
from ..harness.libraries import on_threads
from ..harness.memory import MIB, bound, growth, has_peaks, in_child
from ..harness.options import Options, Size
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Kind, Ratio
from ..harness.timing import Pace, Spent, in_turns

__all__ = ["CODECS", "SIZES", "run"]

SIZES = {
    "normal": Size(60, DETECTOR, Pace(5)),
    "quick": Size(16, DETECTOR, Pace(3)),
    "tiny": Size(5, (60, 70), Pace(1)),
}
_H5PY, _CODEC, _WRITE = "h5py + hdf5plugin", "bare library, no write", "bare write, fsync"
_ONE = f"{OURS}, 1 thread"
_BLOCK = 8192  # bytes that bitshuffle gives to its codec


@dataclass(frozen=True)
class Codec:
    """One way to store frames, in the words of both."""

    name: str
    ours: str
    theirs: dict[str, Any]
    must: float | None = None


CODECS = (
    Codec("bitshuffle+LZ4", "bitshuffle", dict(hdf5plugin.Bitshuffle(cname="lz4")), 1.8),
    Codec("bitshuffle+zstd", "bitshuffle-zstd", dict(hdf5plugin.Bitshuffle(cname="zstd"))),
    Codec(
        "deflate+shuffle",
        "deflate:4",
        {"compression": "gzip", "compression_opts": 4, "shuffle": True},
        1.8,
    ),
    Codec("zstd+shuffle", "zstd", {"shuffle": True, **hdf5plugin.Zstd()}),
    Codec("LZ4+shuffle", "lz4", {"shuffle": True, **hdf5plugin.LZ4()}),
    Codec("none", "none", {}),
)


def run(report: Report, options: Options) -> None:
    """Measure every codec that is asked for; files are gone at the end."""
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    with disk_workspace(options.folder, 3 * data.nbytes) as folder:
        report.place(f"synchronised to {folder.parent}")
        for codec in CODECS:
            if options.wants(codec.name):
                _measure(report, codec, data, options.threads, size.pace, folder)


def _measure(
    report: Report, codec: Codec, data: NDArray[Any], threads: int, pace: Pace, folder: Path
) -> None:
    path = folder / "new.h5"
    ways: dict[str, Callable[[], None]] = {
        OURS: lambda: _save(path, data, codec, threads),
        _ONE: lambda: _save(path, data, codec, 1),
        _H5PY: lambda: _save_by_h5py(path, data, codec),
    }
    sizes = {}
    for name in (OURS, _H5PY):
        ways[name]()
        sizes[name] = path.stat().st_size
        with h5py.File(path) as h5:
            if not np.array_equal(h5[PATH][...], data):
                raise SystemExit(f"{codec.name}: {name} does not save what it is given")
            chunks = [h5[PATH].id.read_direct_chunk((k, 0, 0))[1] for k in range(len(data))]
            filters = pipeline_of(h5[PATH])
        path.unlink()
    ways[_WRITE] = lambda: _write(path, chunks)
    if codec.name != "none":
        ways[_CODEC] = _bare(codec, filters, data, threads)
    spent = in_turns(ways, pace, lambda: path.unlink(missing_ok=True))
    size = sizes[_H5PY] / sizes[OURS]
    note = f"{sizes[OURS]} bytes, theirs {sizes[_H5PY]}"
    others = [
        *_ratios(codec, spent),
        Ratio(codec.name, "size", _H5PY, size, 0.95, kind="bound", note=note),
        *_memory(codec, data, threads, max(map(len, chunks)), folder),
    ]
    report.add(codec.name, timings_of(codec.name, "save", spent, data.nbytes), others)


def _ratios(codec: Codec, spent: dict[str, Spent]) -> Iterator[Ratio]:
    ours = spent[OURS]
    kinds: dict[str, Kind] = {_H5PY: "peer", _ONE: "threads"}
    for name, other in spent.items():
        if name == OURS:
            continue
        value, must = other.seconds / ours.seconds, codec.must if name == _H5PY else None
        kind, note = kinds.get(name, "limit"), f"CPU {other.cpu:.2f} s against {ours.cpu:.2f} s"
        yield Ratio(codec.name, "save", name, value, must, kind=kind, note=note)


def _save(path: Path, data: NDArray[Any], codec: Codec, threads: int) -> None:
    with cxi.CXIStore(path, mode="w") as store:
        store.save_attribute(
            "data",
            data,
            compression=codec.ours,
            chunks=(1, *data.shape[1:]),
            num_threads=threads,
        )


def _save_by_h5py(path: Path, data: NDArray[Any], codec: Codec) -> None:
    with h5py.File(path, "w") as h5:
        h5.create_dataset(PATH, data=data, chunks=(1, *data.shape[1:]), **codec.theirs)
    synchronise(path)


def _write(path: Path, chunks: list[bytes]) -> None:
    with path.open("wb", buffering=0) as file:
        for chunk in chunks:
            file.write(chunk)
    synchronise(path)


def _bare(
    codec: Codec, filters: list[tuple[int, tuple[int, ...]]], data: NDArray[Any], threads: int
) -> Callable[[], None]:
    """Return what lets the library compress the same frames, shuffled before, on all threads."""
    code, values = filters[-1]
    raw = [frame.tobytes() for frame in data]
    nbytes = len(raw[0])
    if code == 32008:
        whole = nbytes // _BLOCK * _BLOCK
        planes = [
            b"".join(
                _encode.shuffle_bits(frame[at : at + _BLOCK], data.itemsize, simd_level())
                for at in range(0, whole, _BLOCK)
            )
            for frame in raw
        ]
    else:
        planes = [_encode.encode(filters[:-1], frame) for frame in raw]
    pipeline = _encode.EncodePipeline([(code, values)], nbytes)

    def work(first: int, step: int) -> None:
        encoder = _encode.Encoder(pipeline)
        out = bytearray(pipeline.bound)
        for frame in range(first, len(planes), step):
            if code == 32008 and codec.ours == "bitshuffle":
                encoder.codec_alone(planes[frame], _BLOCK, out)
            else:
                encoder.into(raw[frame] if code == 32008 else planes[frame], out)

    return lambda: on_threads(work, threads)


def _memory(
    codec: Codec, data: NDArray[Any], threads: int, chunk: int, folder: Path
) -> Iterator[Ratio]:
    """Yield how far the peak of a save stays below what is allowed beside its input (Linux)."""
    if has_peaks():
        shape = ",".join(map(str, data.shape))
        (beside,) = in_child(child, codec.ours, shape, threads, folder)
        allowed = 64 * MIB + threads * chunk
        note = f"{beside / MIB:.0f} MiB of {allowed / MIB:.0f}"
        yield bound(codec.name, "peak memory beside the input", beside, allowed, note)


def child(compression: str, shape: str, threads: str, folder: str) -> tuple[int]:
    """Save frames, after one of them; return by how many bytes memory grew."""
    count, *frame = map(int, shape.split(","))
    data = np.empty((count, *frame), "uint16")
    few = detector_frames(min(4, count), (frame[0], frame[1]))
    for k in range(count):
        data[k] = few[k % len(few)]
    path = Path(folder) / "memory.h5"
    with cxi.CXIStore(path, mode="w") as store:
        options: dict[str, Any] = {"num_threads": int(threads)}
        store.save_attribute("data", data[:1], compression=compression, **options)
        grown, _ = growth(lambda: store.save_attribute("data", data, "append", **options))
    path.unlink()
    return (grown,)
