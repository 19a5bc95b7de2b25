"""What a save takes, beside h5py and its limits: ``python -m benchmarks.save [--quick]``.

Frames of 2167 x 2070 uint16 (Poisson counts with a bright centre) go into a new file, which is on
disk (fsync) when a way ends. Ways take turns, and the least time of each counts; all files are read
back once by h5py. Only ratios within one run mean anything: machines drift.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
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

from .compare import Report, ratio_table, timing_table
from .data import PATH, detector_frames, workspace
from .machine import machine
from .memory import memory_status
from .timing import OURS, Ratio, Timing

__all__ = ["CODECS", "run"]

_H5PY, _CODEC, _WRITE = "h5py + hdf5plugin", "bare library, no write", "bare write, fsync"
_BLOCK = 8192  # bytes that bitshuffle gives to its codec
_MIB = 1 << 20


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


def run(
    data: NDArray[Any], threads: int, rounds: int, folder: Path | None = None, only: str = ""
) -> Report:
    """Measure every codec that has `only` in its name; files are gone at the end."""
    where = Path(tempfile.gettempdir()) if folder is None else folder
    with workspace(where, 3 * data.nbytes) as work:
        report = Report(machine(threads, work) | {"files": f"synchronised to {where}"})
        print("\n".join(f"{key:16} {value}" for key, value in report.machine.items()))
        for codec in CODECS:
            if only.lower() in codec.name.lower():
                timings, ratios = _codec(codec, data, threads, rounds, work)
                print(f"\n{codec.name}\n{timing_table(timings)}", flush=True)
                report.timings += timings
                report.ratios += ratios
    return report


def _codec(
    codec: Codec, data: NDArray[Any], threads: int, rounds: int, folder: Path
) -> tuple[list[Timing], list[Ratio]]:
    ways: dict[str, Callable[[Path], None]] = {
        OURS: lambda path: _save(path, data, codec, threads),
        f"{OURS}, 1 thread": lambda path: _save(path, data, codec, 1),
        _H5PY: lambda path: _save_by_h5py(path, data, codec),
    }
    sizes = {}
    for name in (OURS, _H5PY):
        path = folder / "checked.h5"
        ways[name](path)
        with h5py.File(path) as h5:
            if not np.array_equal(h5[PATH][...], data):
                raise SystemExit(f"{codec.name}: {name} does not save what it is given")
            sizes[name] = path.stat().st_size
            chunks = [h5[PATH].id.read_direct_chunk((k, 0, 0))[1] for k in range(len(data))]
            filters = _filters(h5[PATH])
        path.unlink()
    ways[_WRITE] = lambda path: _write(path, chunks)
    if codec.name != "none":
        ways[_CODEC] = _bare(codec, filters, data, threads)
    spent, cpu = _turns(ways, rounds, folder)
    timings = [
        Timing(codec.name, "save", name, s, rounds, data.nbytes / s / 1e9)
        for name, s in spent.items()
    ]
    found = [
        Ratio(
            codec.name,
            "save",
            name,
            spent[name] / spent[OURS],
            codec.must if name == _H5PY else None,
            None,
            "peer" if name == _H5PY else "threads" if "1 thread" in name else "limit",
            f"CPU {cpu[name]:.2f} s against {cpu[OURS]:.2f} s",
        )
        for name in spent
        if name != OURS
    ]
    note = f"{sizes[OURS]} bytes, theirs {sizes[_H5PY]}"
    size = sizes[_H5PY] / sizes[OURS]
    found.append(Ratio(codec.name, "size", _H5PY, size, 0.95, kind="bound", note=note))
    return timings, [*found, *_memory(codec, data, threads, max(map(len, chunks)), folder)]


def _turns(
    ways: dict[str, Callable[[Path], None]], rounds: int, folder: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the least seconds of each way, and the least of processor time."""
    spent = dict.fromkeys(ways, float("inf"))
    cpu = dict.fromkeys(ways, float("inf"))
    for turn, (name, way) in itertools.product(range(rounds), ways.items()):
        path = folder / f"{turn}.h5"
        start, cpu_start = time.perf_counter(), time.process_time()
        way(path)
        spent[name] = min(spent[name], time.perf_counter() - start)
        cpu[name] = min(cpu[name], time.process_time() - cpu_start)
        path.unlink(missing_ok=True)
    return spent, cpu


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
    _sync(path)


def _write(path: Path, chunks: list[bytes]) -> None:
    with path.open("wb", buffering=0) as file:
        for chunk in chunks:
            file.write(chunk)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _filters(dataset: Any) -> list[tuple[int, tuple[int, ...]]]:
    plist = dataset.id.get_create_plist()
    found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    return [(code, values) for code, _, values, _ in found]


def _bare(
    codec: Codec, filters: list[tuple[int, tuple[int, ...]]], data: NDArray[Any], threads: int
) -> Callable[[Path], None]:
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

    def work(first: int) -> None:
        encoder = _encode.Encoder(pipeline)
        out = bytearray(pipeline.bound)
        for frame in range(first, len(planes), threads):
            if code == 32008 and codec.ours == "bitshuffle":
                encoder.codec_alone(planes[frame], _BLOCK, out)
            else:
                encoder.into(raw[frame] if code == 32008 else planes[frame], out)

    def on_threads(_: Path) -> None:
        others = [threading.Thread(target=work, args=(k,)) for k in range(1, threads)]
        for other in others:
            other.start()
        work(0)
        for other in others:
            other.join()

    return on_threads


def _memory(
    codec: Codec, data: NDArray[Any], threads: int, chunk: int, folder: Path
) -> Iterator[Ratio]:
    """Yield how far the peak of a save stays below what is allowed beside its input (Linux)."""
    if not Path("/proc/self/clear_refs").exists():
        print("without peak memory: it is read from Linux' /proc")
        return
    shape = ",".join(map(str, data.shape))
    command = [sys.executable, "-m", "benchmarks.save", "--child", codec.ours, shape]
    answer = subprocess.run(
        [*command, str(threads), str(folder)],
        cwd=Path(__file__).parent.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    beside, allowed = int(answer.stdout), 64 * _MIB + threads * chunk
    yield Ratio(
        codec.name,
        "peak memory beside the input",
        "what is allowed",
        allowed / max(beside, _MIB),
        1.0,
        kind="bound",
        note=f"{beside / _MIB:.0f} MiB of {allowed / _MIB:.0f}",
    )


def _child(compression: str, shape: str, threads: str, folder: str) -> None:
    """Save in a process of its own; print by how many bytes memory grew."""
    count, *frame = map(int, shape.split(","))
    data = np.empty((count, *frame), "uint16")
    few = detector_frames(min(4, count), (frame[0], frame[1]))
    for k in range(count):
        data[k] = few[k % len(few)]
    with cxi.CXIStore(Path(folder) / "memory.h5", mode="w") as store:
        store.save_attribute("data", data[:1], compression=compression, num_threads=int(threads))
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = memory_status("VmRSS")
        store.save_attribute("data", data, "append", num_threads=int(threads))
        print(memory_status("VmHWM") - before)
    (Path(folder) / "memory.h5").unlink()


def main() -> None:
    """Run the benchmark that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="codecs that have it in the name"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where files are written (default: on disk)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # files are removed then, too
    data = detector_frames(16 if options.quick else 60, (2167, 2070))
    rounds = 3 if options.quick else 5
    report = run(data, options.threads, rounds, options.folder, options.only)
    print(f"\n{ratio_table(report.ratios)}")
    missed = sum(ratio.verdict == "MISSED" for ratio in report.ratios)
    held = sum(ratio.must is not None for ratio in report.ratios) - missed
    print(f"\n{held} musts held, {missed} missed")
    if options.json is not None:
        options.json.write_text(report.as_json())


if __name__ == "__main__":
    main()
