"""What one installation of cxistack takes for loads and kernels: run by its own interpreter.

    python -P installation.py FOLDER THREADS

It tells the names of its cases, and then, for each line "seconds name" that it reads, the least
time of that case in so many seconds, and a checksum of what came of it. It uses only what any two
versions have, and no module of the benchmarks: those import another version.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - its filters are registered by importing it
import numpy as np

import cxistack as cxi

Cases = Iterator[tuple[str, Callable[[], Any]]]
_PATH = "entry/data/data"


def loads(path: Path, threads: int) -> Cases:
    """Yield loads of a stack."""
    stored, store = path.stem.partition("_")[2], cxi.CXIStore(str(path))
    (count, rows, columns), dtype = store.describe("data")
    crop = cxi.Crop([rows // 4, 3 * rows // 4, columns // 4, 3 * columns // 4])
    binned = cxi.ComposeTransforms([crop, cxi.Downscale(2, mode="sum")])
    every = np.arange(0, count, 2)
    whole = np.zeros((count, rows, columns), dtype)

    def load(idxs: Any = None, **words: Any) -> Callable[[], Any]:
        words |= {"num_threads": threads, "verbose": False}
        return lambda: store.load_attribute("data", idxs, **words)

    yield f"{stored}: load whole, out=", load(out=whole)
    yield f"{stored}: load whole, new array", load()
    yield f"{stored}: load whole as float32", load(out=whole.astype(np.float32))
    yield f"{stored}: load every second frame", load(every, out=whole[: len(every)])
    yield f"{stored}: load a quarter, bins of 2", load(transform=binned)
    yield f"{stored}: load one frame", load([count // 2])


def kernels(path: Path) -> Cases:
    """Yield decoding and encoding of a dataset's chunks, on one thread."""
    from cxistack.kernels import _decode, _encode

    _, stored, dtype = path.stem.split("_")
    with h5py.File(path) as h5:
        dataset = h5[_PATH]
        plist = dataset.id.get_create_plist()
        found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        filters = [(code, values) for code, _, values, _ in found]
        chunks = [bytes(dataset.id.read_direct_chunk((k, 0, 0))[1]) for k in range(len(dataset))]
        frames = dataset[...]
    nbytes = frames[0].nbytes
    decoder = _decode.Decoder(_decode.Pipeline(filters, nbytes))
    pipeline = _encode.EncodePipeline(filters, nbytes)
    encoder, decoded, room = _encode.Encoder(pipeline), bytearray(nbytes), bytearray(pipeline.bound)

    def decode() -> Any:
        for chunk in chunks:
            if decoder.into(chunk, decoded):
                raise SystemExit(f"{path}: a chunk does not decode")
        return np.frombuffer(decoded, np.uint8)

    def encode() -> None:  # bytes may differ: what they decode to is others' to check
        for frame in frames:
            encoder.into(frame.reshape(-1).view(np.uint8), room)

    yield f"{stored}: decode {dtype}", decode
    yield f"{stored}: encode {dtype}", encode


def casts() -> Cases:
    """Yield casts of a stack to floats."""
    stack = np.random.default_rng(0).poisson(3.0, (8, 512, 512))
    out = np.zeros(stack.shape, np.float32)

    def cast(source: Any) -> Callable[[], Any]:
        return lambda: cxi.kernels.cast(source, out=out)

    for dtype in ("uint8", "uint16", "int32", "float64"):
        yield f"-: cast {dtype} to float32", cast(stack.astype(dtype))


def all_cases(folder: Path, threads: int) -> Cases:
    """Yield every case of the files in a folder."""
    for path in sorted(folder.glob("load_*.h5")):
        yield from loads(path, threads)
    for path in sorted(folder.glob("kernel_*.h5")):
        yield from kernels(path)
    yield from casts()


def main() -> None:
    """Tell the cases, then measure those that are asked for."""
    cases = dict(all_cases(Path(sys.argv[1]), int(sys.argv[2])))
    told = {"version": cxi.__version__, "where": cxi.__file__, "cases": list(cases)}
    print(json.dumps(told), flush=True)
    for line in sys.stdin:
        seconds, name = line.strip().split(" ", 1)
        result = cases[name]()  # warms caches, too
        checked = 0 if result is None else zlib.crc32(np.asarray(result).tobytes())
        del result
        least, end = np.inf, time.perf_counter() + float(seconds)
        while least == np.inf or time.perf_counter() < end:
            begin = time.perf_counter()
            cases[name]()
            least = min(least, time.perf_counter() - begin)
        print(json.dumps([least, checked]), flush=True)


if __name__ == "__main__":
    main()
