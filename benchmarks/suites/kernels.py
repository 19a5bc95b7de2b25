"""The kernels beside NumPy, in one run, each result verified.

A ratio is NumPy's shortest time over ours. ``write limit`` is what this machine's memory allows:
no cast of that size can be faster. Kernels use all cores, whatever number of threads is given.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from cxistack import kernels

from ..harness.data import DETECTOR
from ..harness.options import Options, Size
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

Array = np.ndarray[Any, Any]
NUMPY = "NumPy"


@dataclass(frozen=True)
class _Size(Size):
    loops: int  # of a call that is too short for a clock
    seconds: float  # that such calls are measured for


SIZES = {
    "normal": _Size(60, DETECTOR, Pace(3, least=3.0), 2000, 0.75),
    "quick": _Size(12, DETECTOR, Pace(3, least=0.5), 2000, 0.125),
    "tiny": _Size(4, (33, 70), Pace(1), 10, 0.0),
}


@dataclass(frozen=True)
class Case:
    """The same work done by us and by NumPy, each returning its result."""

    name: str
    ours: Callable[[], Array]
    numpy: Callable[[], Array]
    target: float | None = None


def run(report: Report, options: Options) -> None:
    """Measure short calls, then those that memory bounds."""
    size = options.choose(SIZES)
    short = Pace(size.pace.rounds, least=size.seconds)
    for case in small():
        _measure(report, options, case, short, size.loops)
    for case in large(size):
        _measure(report, options, case, size.pace)


def _measure(report: Report, options: Options, case: Case, pace: Pace, loops: int = 1) -> None:
    """Verify and measure a case, each call of a turn so many times."""
    if not options.wants(case.name):
        return
    np.testing.assert_array_equal(case.ours(), case.numpy())

    def repeat(call: Callable[[], Array]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(loops):
                call()

        return work

    spent = in_turns({OURS: repeat(case.ours), NUMPY: repeat(case.numpy)}, pace)
    for one in spent.values():
        one.seconds /= loops
    ratio = Ratio("-", case.name, NUMPY, spent[NUMPY].seconds / spent[OURS].seconds, case.target)
    report.add(case.name, timings_of("-", case.name, spent), [ratio])


def copyto(target: Array, source: Array) -> Array:
    np.copyto(target, source, casting="unsafe")
    return target


def view(shape: tuple[int, ...], step: int) -> SimpleNamespace:
    ss, fs = [(0, step, (n + step - 1) // step) for n in shape[-2:]]
    return SimpleNamespace(ss=ss, fs=fs)


def binned(stack: Array, n: int, mode: Literal["sum", "mean"]) -> Array:
    rows, columns = stack.shape[-2] // n, stack.shape[-1] // n
    whole = stack[..., : rows * n, : columns * n]
    bins = whole.reshape(*stack.shape[:-2], rows, n, columns, n)
    result: Array = bins.sum(axis=(-3, -1)) if mode == "sum" else bins.mean(axis=(-3, -1))
    return result


def large(size: _Size) -> Iterator[Case]:
    """Yield the cases that memory bounds."""
    rng = np.random.default_rng(0)
    stack = rng.poisson(3.0, (1, *size.shape)).astype("u2")
    stack = np.repeat(stack, size.frames, axis=0)
    stack += np.arange(size.frames, dtype="u2")[:, None, None]
    floats, again = np.zeros(stack.shape, "f4"), np.zeros(stack.shape, "f4")
    index = rng.permutation(size.frames)[: size.frames // 2]
    yield from casts(stack, floats, again)
    yield from views(stack, floats, again)
    yield from gathers(stack, index, floats, again)
    yield from checked(stack[: len(index)], floats, again)
    yield from reductions(stack, stack[: len(index)])


def casts(stack: Array, floats: Array, again: Array) -> Iterator[Case]:
    # One row of the source, again and again: hardly anything is read, everything is written.
    constant = np.broadcast_to(stack[0, 0], stack.shape)
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


def views(stack: Array, floats: Array, again: Array) -> Iterator[Case]:
    shape = stack.shape
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


def gathers(stack: Array, index: Array, floats: Array, again: Array) -> Iterator[Case]:
    chosen, chosen_again = np.zeros((2, len(index), *stack.shape[1:]), "u2")
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


def checked(stack: Array, floats: Array, again: Array) -> Iterator[Case]:
    """Yield casts that are not plain; the second takes what the first writes."""
    part = slice(len(stack))
    chosen, chosen_again = np.zeros((2, *stack.shape), "u2")
    swapped = stack.astype(">u2")
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
    bytes_, bytes_again = np.zeros((2, *stack.shape), "u1")
    yield Case(
        "uint16 to uint8, checked, out=",
        lambda: kernels.cast(stack, out=bytes_),
        lambda: copyto(bytes_again, stack),
    )


def reductions(stack: Array, part: Array) -> Iterator[Case]:
    modes: dict[int, Literal["sum", "mean"]] = {2: "sum", 4: "mean"}
    for n, mode in modes.items():
        yield Case(
            f"bins of {n} x {n}, {mode}",
            functools.partial(kernels.bin, stack[:4], n, mode),
            functools.partial(binned, stack[:4], n, mode),
        )
    flags = part.astype("u4")
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
