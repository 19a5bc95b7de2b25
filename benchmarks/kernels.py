"""The kernels against NumPy, in one run, each result verified: python -m benchmarks.kernels.

A ratio is NumPy's shortest time over ours. ``write limit`` is what this machine's memory allows:
no cast of that size can be faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from cxistack import kernels

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """The same work done by us and by NumPy, each returning its result."""

    name: str
    ours: Callable[[], Array]
    numpy: Callable[[], Array]
    target: float | None = None


def shortest(case: Case, seconds: float, loops: int) -> tuple[float, float]:
    """Return the shortest time of each, taken in turns so that both meet the same disturbances."""
    best = [float("inf"), float("inf")]
    begun = time.perf_counter()
    turns = 0
    while turns < 3 or time.perf_counter() - begun < seconds:
        for i, call in enumerate((case.ours, case.numpy)):
            start = time.perf_counter()
            for _ in range(loops):
                call()
            best[i] = min(best[i], (time.perf_counter() - start) / loops)
        turns += 1
    return best[0], best[1]


def report(case: Case, seconds: float, loops: int = 1) -> bool:
    """Verify, measure and print one case; return whether it meets its target."""
    np.testing.assert_array_equal(case.ours(), case.numpy())
    ours, theirs = shortest(case, seconds, loops)
    ratio = theirs / ours
    scale, unit = (1e3, "ms") if loops == 1 else (1e6, "us")
    verdict = ""
    if case.target is not None:
        verdict = f"target {case.target:.2f} {'met' if ratio >= case.target else 'MISSED'}"
    print(
        f"{case.name:44} {ours * scale:9.2f} {theirs * scale:9.2f} {unit} {ratio:7.2f} {verdict}",
        flush=True,
    )
    return case.target is None or ratio >= case.target


def copyto(target: Array, source: Array) -> Array:
    np.copyto(target, source, casting="unsafe")
    return target


def view(shape: tuple[int, ...], step: int) -> SimpleNamespace:
    ss, fs = [(0, step, (n + step - 1) // step) for n in shape[-2:]]
    return SimpleNamespace(ss=ss, fs=fs)


def binned(stack: Array, n: int, mode: str) -> Array:
    rows, columns = stack.shape[-2] // n, stack.shape[-1] // n
    whole = stack[..., : rows * n, : columns * n]
    bins = whole.reshape(*stack.shape[:-2], rows, n, columns, n)
    return bins.sum(axis=(-3, -1)) if mode == "sum" else bins.mean(axis=(-3, -1))


def large(frames: int) -> Iterator[Case]:
    """Yield the cases that memory bounds."""
    rng = np.random.default_rng(0)
    stack = rng.poisson(3.0, (1, 2167, 2070)).astype("u2")
    stack = np.repeat(stack, frames, axis=0) + np.arange(frames, dtype="u2")[:, None, None]
    shape = stack.shape
    floats, again = np.zeros(shape, "f4"), np.zeros(shape, "f4")

    # One row of the source, again and again: hardly anything is read, everything is written.
    constant = np.broadcast_to(stack[0, 0], shape)
    yield Case(
        "write limit: the same float32, nothing read",
        lambda: kernels.cast(constant, out=floats),
        lambda: copyto(again, constant),
    )
    yield Case(
        "cast to float32, out=",
        lambda: kernels.cast(stack, out=floats),
        lambda: copyto(again, stack),
        3.0,
    )
    yield Case(
        "the same on 1 thread",
        lambda: kernels.cast(stack, out=floats, num_threads=1),
        lambda: copyto(again, stack),
    )
    yield Case(
        "cast to a new float32 array",
        lambda: kernels.cast(stack, "f4"),
        lambda: stack.astype("f4"),
    )
    every2 = view(shape, 2)
    yield Case(
        "every 2nd pixel as float32",
        lambda: kernels.transform(stack, every2, dtype="f4"),
        lambda: stack[:, ::2, ::2].astype("f4"),
        2.5,
    )
    out2, again2 = np.zeros((2, *stack[:, ::2, ::2].shape), "f4")
    yield Case(
        "every 2nd pixel as float32, out=",
        lambda: kernels.transform(stack, every2, out=out2),
        lambda: copyto(again2, stack[:, ::2, ::2]),
    )
    every4 = view(shape, 4)
    yield Case(
        "every 4th pixel as float32",
        lambda: kernels.transform(stack, every4, dtype="f4"),
        lambda: stack[:, ::4, ::4].astype("f4"),
    )
    mirror = SimpleNamespace(ss=(0, 1, shape[1]), fs=(shape[2] - 1, -1, shape[2]))
    yield Case(
        "mirrored, as float32, out=",
        lambda: kernels.transform(stack, mirror, out=floats),
        lambda: copyto(again, stack[..., ::-1]),
    )
    index = rng.permutation(frames)[: frames // 2]
    chosen, chosen_again = np.zeros((2, len(index), *shape[1:]), "u2")
    yield Case(
        f"gather {len(index)} random frames, out=",
        lambda: kernels.gather(stack, index, out=chosen),
        lambda: np.take(stack, index, axis=0, out=chosen_again, mode="clip"),
        1.5,
    )
    part = slice(len(index))
    yield Case(
        f"gather {len(index)} random frames as float32, out=",
        lambda: kernels.gather(stack, index, out=floats[part]),
        lambda: copyto(again[part], stack[index]),
    )
    swapped = stack[part].astype(">u2")
    yield Case(
        "byte-swapped to float32, out=",
        lambda: kernels.cast(swapped, out=floats[part]),
        lambda: copyto(again[part], swapped),
    )
    yield Case(
        "float32 to uint16, checked, out=",
        lambda: kernels.cast(floats[part], out=chosen),
        lambda: copyto(chosen_again, floats[part]),
    )
    bytes_, bytes_again = np.zeros((2, len(index), *shape[1:]), "u1")
    yield Case(
        "uint16 to uint8, checked, out=",
        lambda: kernels.cast(stack[part], out=bytes_),
        lambda: copyto(bytes_again, stack[part]),
    )
    for n, mode in ((2, "sum"), (4, "mean")):
        yield Case(
            f"bins of {n} x {n}, {mode}",
            lambda n=n, mode=mode: kernels.bin(stack[:4], n, mode),
            lambda n=n, mode=mode: binned(stack[:4], n, mode),
        )
    flags = stack[part].astype("u4")
    yield Case(
        "good pixels of uint32 flags",
        lambda: kernels.good_pixels(flags, 0xFFFF),
        lambda: (flags & np.uint32(0xFFFF)) == 0,
    )


def small() -> Iterator[Case]:
    """Yield the cases that the call itself bounds."""
    frame = np.random.default_rng(0).integers(0, 1000, (64, 64)).astype("u2")
    stack = np.repeat(frame[None], 10, axis=0)
    out, again = np.zeros((2, 64, 64), "f4")
    every2 = view(frame.shape, 2)
    index = np.array([3, 5, 1, 0, 9])
    least = 1 / 1.5
    f4 = np.float32
    yield Case("64x64: cast", lambda: kernels.cast(frame, f4), lambda: frame.astype(f4), least)
    yield Case(
        "64x64: cast, out=",
        lambda: kernels.cast(frame, out=out),
        lambda: copyto(again, frame),
        least,
    )
    yield Case(
        "64x64: every 2nd pixel, float32",
        lambda: kernels.transform(frame, every2, dtype=f4),
        lambda: frame[::2, ::2].astype(f4),
        least,
    )
    yield Case(
        "64x64: gather 5 frames",
        lambda: kernels.gather(stack, index),
        lambda: np.take(stack, index, axis=0),
        least,
    )
    yield Case(
        "64x64: bins of 2 x 2",
        lambda: kernels.bin(frame, 2),
        lambda: binned(frame, 2, "sum"),
        least,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="The kernels against NumPy.")
    parser.add_argument("--quick", action="store_true", help="12 frames, less time for each")
    quick = parser.parse_args().quick
    seconds = 0.5 if quick else 3.0
    print(f"SIMD level {kernels.simd_level()}; NumPy {np.__version__}")
    print(f"{'':44} {'ours':>9} {'NumPy':>9}    {'ratio':>7}")
    met = [report(case, seconds / 4, loops=2000) for case in small()]
    met += [report(case, seconds) for case in large(12 if quick else 60)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
