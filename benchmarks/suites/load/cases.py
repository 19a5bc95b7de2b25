"""The cases of loading that a release must show, with what each must reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...harness import limits
from ...harness.data import Subject
from ...harness.limits import CODEC, PREAD, STORES
from ...harness.peers import Peers, Request, bslz4, h5py_ways, hidefix, ours, pyrost
from ...harness.results import OURS
from ...harness.timing import Case, Pool, Target, Way

__all__ = ["LAYOUT", "layout_case", "whole_frame_cases"]

ONE = f"{OURS}, 1 thread"
CODEC_ONE = f"one thread of {CODEC}"
FRESH = f"{OURS}, new array"
FULL = f"{OURS}, all frames"
WHOLE_CHUNKS = f"{OURS}, a chunk a frame"
F4 = np.dtype(np.float32)
H5PY = ("h5py",)
ASTYPE = ("h5py [...] + astype", "h5py by frame + astype")

_ALONE = Target((CODEC,), None, 0.95, kind="limit")
_THREADS = Target((ONE,), 1.8, 1.95, label="1 thread", kind="threads")
_PYROST = Target(("pyrost",), 25, 40, FRESH, label="pyrost")
_BARE_READ = Target((PREAD,), None, 0.97, kind="limit")
_DENSE = "bslz4_to_sparse"
WHOLE = {
    "bitshuffle+LZ4": [
        Target((f"{_DENSE},", f"{_DENSE} and"), 1.15, 1.5, label=_DENSE),
        Target(("h5py read_direct",), 3.4, 4.5),
        _THREADS,
        _PYROST,
        Target((CODEC,), kind="limit"),
    ],
    "deflate+shuffle": [
        Target(H5PY, 4.5, None, label="h5py"),
        Target(("hidefix",), 2.0, None, FRESH),
        _THREADS,
        _ALONE,
    ],
    "zstd": [Target(H5PY, 1.6, None, label="h5py"), _THREADS, _ALONE],
    "LZ4": [
        Target(H5PY, 2.2, 4, label="h5py"),
        _THREADS,
        Target((CODEC,), kind="limit"),
    ],
    "none": [
        Target(("h5py read_direct",), 1.15, None),
        _BARE_READ,
        Target(("h5py [...]",), 1.4, 2, FRESH),
        Target((f"fresh, {PREAD}",), ours=FRESH, kind="limit"),
        Target(("hidefix",), ours=FRESH),
        _PYROST,
    ],
}
AS_FLOAT = {"bitshuffle+LZ4": (4, 6), "none": (4, 5.5)}
RANDOM = {"bitshuffle+LZ4": 2.5, "zstd": 1.6, "none": 2.5}
LAYOUT = {"bitshuffle+LZ4": 3.0, "deflate+shuffle": 3.0, "none": 1.0}


def whole_frame_cases(subject: Subject, peers: Peers, pool: Pool, threads: int) -> Iterator[Case]:
    """Yield the cases of a file with one chunk a frame."""
    yield _whole(subject, peers, pool, threads)
    if subject.codec in AS_FLOAT:
        yield _as_float(subject, pool, threads)
    if subject.codec == "bitshuffle+LZ4":
        rows, columns = subject.data.shape[1:]
        top, left = max(0, rows - 400) // 2, max(0, columns - 600) // 2
        region: dict[str, Any] = {
            "ss": slice(top, top + 400),
            "fs": slice(left, left + 600),
            "dtype": F4,
        }
        yield _pixels("400 x 600 as float32", subject, Request(**region), pool, threads, (12, 16))
        yield _pixels(
            "the same, every 2nd pixel",
            subject,
            Request(**region, stride=2),
            pool,
            threads,
            (12, 16),
        )
        yield _pixels("every 4th pixel", subject, Request(stride=4), pool, threads, (8, 12))
    if subject.codec in RANDOM:
        yield _random(subject, pool, threads)


def _whole(subject: Subject, peers: Peers, pool: Pool, threads: int) -> Case:
    request = Request()
    out = request.empty(subject.data, pool)
    with_pyrost = _PYROST in WHOLE[subject.codec]
    return Case(
        "whole frames",
        subject.codec,
        subject.data.nbytes,
        "h5py [...]",
        [
            *_our_ways(subject, request, out, threads),
            ours(subject, request, None, threads, FRESH),
            *h5py_ways(subject, request, out, "read_direct", "[...]", "by frame"),
            *hidefix(peers, subject),
            *bslz4(peers, subject, out, threads),
            *(pyrost(peers, subject, request, threads) if with_pyrost else ()),
            *limits.bare_codec(subject, threads),
            *limits.bare_codec(subject, 1, CODEC_ONE),
            limits.bare_pread(subject, out, threads),
            *limits.fresh_pread(subject, threads),
        ],
        [*WHOLE[subject.codec], *_library_on_threads(subject.codec)],
    )


def _our_ways(subject: Subject, request: Request, out: NDArray[Any], threads: int) -> list[Way]:
    return [ours(subject, request, out, threads), ours(subject, request, out, 1, ONE)]


def _library_on_threads(codec: str) -> list[Target]:
    """Return what this machine's second core gives to a decoder that does nothing else."""
    if codec == "none":
        return []
    return [Target((CODEC_ONE,), ours=limits.library(codec), label=CODEC, kind="threads")]


def _as_float(subject: Subject, pool: Pool, threads: int) -> Case:
    request = Request(dtype=F4)
    out = request.empty(subject.data, pool)
    must, goal = AS_FLOAT[subject.codec]
    return Case(
        "whole frames as float32",
        subject.codec,
        subject.data.nbytes,
        "h5py by frame + astype",
        [
            *_our_ways(subject, request, out, threads),
            ours(subject, request, None, threads, FRESH),
            *h5py_ways(subject, request, out, "read_direct", "[...]", "by frame", "by frame, cast"),
            *limits.bare_codec(subject, threads),
            limits.bare_pread(subject, None, threads),
            limits.bare_stores(out, threads),
        ],
        [
            Target(ASTYPE, must, goal, label="h5py + astype"),
            Target(H5PY, label="h5py, its best"),
            Target((STORES,), kind="limit"),
            *([_THREADS] if subject.codec != "none" else []),
        ],
    )


def _pixels(
    name: str,
    subject: Subject,
    request: Request,
    pool: Pool,
    threads: int,
    bounds: tuple[float, float],
) -> Case:
    out = request.empty(subject.data, pool)
    others = ["by frame"]
    if request.dtype is not None:
        others.append("by frame, cast")
    if request.stride > 1:
        others.append("by frame, its strides")
    theirs = list(h5py_ways(subject, request, out, *others))
    return Case(
        name,
        subject.codec,
        subject.data.nbytes,
        theirs[0].name,
        [
            *_our_ways(subject, request, out, threads),
            *theirs,
            *limits.bare_codec(subject, threads),
            limits.bare_pread(subject, None, threads),
        ],
        [Target(H5PY, *bounds, label="h5py by frame"), _THREADS],
    )


def _random(subject: Subject, pool: Pool, threads: int) -> Case:
    count = len(subject.data)
    chosen = np.random.default_rng(11).permutation(count)[: count // 2]
    request = Request(frames=chosen)
    out = request.empty(subject.data, pool)
    everything = Request()
    whole = ours(subject, everything, everything.empty(subject.data, pool), threads)
    return Case(
        f"{len(chosen)} random frames of {count}",
        subject.codec,
        out.nbytes,
        "h5py by frame",
        [
            ours(subject, request, out, threads),
            _timed_only(whole, FULL, len(chosen) / count),
            *h5py_ways(subject, request, out, "index list", "by frame"),
            limits.bare_pread(subject, out, threads, chosen),
        ],
        [
            Target(("h5py index list",), 40, None),
            Target(("h5py by frame",), RANDOM[subject.codec], None),
            Target((FULL,), None, 1.0, label="whole loads, per frame", kind="limit"),
        ],
    )


def layout_case(subject: Subject, whole: Subject, pool: Pool, threads: int) -> Case:
    """Return the load of a file with another chunk shape, beside `whole` with a chunk a frame."""
    request = Request()
    out = request.empty(subject.data, pool)
    usual = ours(whole, request, request.empty(whole.data, pool), threads)
    share = subject.data.nbytes / whole.data.nbytes
    chunk = ", ".join(map(str, subject.chunk))
    return Case(
        f"chunks of ({chunk})",
        subject.codec,
        subject.data.nbytes,
        "h5py [...]",
        [
            *_our_ways(subject, request, out, threads),
            _timed_only(usual, WHOLE_CHUNKS, share),
            *h5py_ways(subject, request, out, "read_direct", "[...]"),
            *limits.bare_codec(subject, threads),
            limits.bare_pread(subject, out, threads),
        ],
        [
            Target(H5PY, LAYOUT[subject.codec], None, label="h5py"),
            Target((WHOLE_CHUNKS,), None, 1.0, label="whole-frame chunks", kind="limit"),
            *([_THREADS] if subject.codec != "none" else []),
        ],
    )


def _timed_only(way: Way, name: str, share: float) -> Way:
    """Return a way that loads something else: its result is not compared with the others'."""

    def call() -> None:
        way.call()

    return Way(name, call, share)
