"""A Cython module of another package casts on its own buffers, without the GIL."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from cxistack import kernels
from factory.cython_module import compiled

MODULE = """
from libc.stdint cimport uint64_t
from cxistack.kernels.buffers cimport (
    BAD_ARGUMENT, FITS, FLOAT32, LOST, UINT8, UINT16, cast, cast_step, good_pixels, pixel_size, swap
)

STATUS = {"FITS": FITS, "LOST": LOST, "BAD_ARGUMENT": BAD_ARGUMENT}


def run_cast(const unsigned char[::1] src, int src_pixel, unsigned char[::1] dst, int dst_pixel):
    cdef int status
    with nogil:
        status = cast(&src[0], src.shape[0], src_pixel, &dst[0], dst.shape[0], dst_pixel)
    return status


def run_step(const unsigned char[::1] src, int src_pixel, size_t first, Py_ssize_t step,
             unsigned char[::1] dst, int dst_pixel):
    cdef int status
    with nogil:
        status = cast_step(&src[0], src.shape[0], src_pixel, first, step,
                           &dst[0], dst.shape[0], dst_pixel)
    return status


def run_swap(const unsigned char[::1] src, size_t size, unsigned char[::1] dst):
    return swap(&src[0], src.shape[0], size, &dst[0], dst.shape[0])


def run_good(const unsigned char[::1] src, int pixel, uint64_t bits, unsigned char[::1] dst):
    return good_pixels(&src[0], src.shape[0], pixel, bits, &dst[0], dst.shape[0])


def size(int pixel):
    return pixel_size(pixel)
"""
BOOL, INT32, UINT8, UINT16, FLOAT32 = 0, 3, 5, 6, 9


@pytest.fixture(scope="module")
def downstream(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return compiled(MODULE, "downstream", tmp_path_factory.mktemp("downstream"))


def raw(array: np.ndarray) -> np.ndarray:
    return array.view("u1")


def test_cast(downstream: ModuleType, level: str) -> None:
    src, dst = np.arange(1001, dtype="u2"), np.zeros(1001, "f4")
    assert downstream.run_cast(raw(src), UINT16, raw(dst), FLOAT32) == downstream.STATUS["FITS"]
    np.testing.assert_array_equal(dst, src)
    narrow = np.zeros(1001, "u1")
    assert downstream.run_cast(raw(src), UINT16, narrow, UINT8) == downstream.STATUS["LOST"]
    np.testing.assert_array_equal(narrow, src.astype("u1"))


def test_lengths_and_types_are_checked(downstream: ModuleType) -> None:
    bad = downstream.STATUS["BAD_ARGUMENT"]
    src, dst = np.zeros(8, "u1"), np.full(16, 7, "u1")
    assert downstream.run_cast(src, UINT16, dst[:12], FLOAT32) == bad
    assert downstream.run_cast(src[:7], UINT16, dst[:12], FLOAT32) == bad
    assert downstream.run_cast(src, 11, dst, FLOAT32) == bad
    assert downstream.run_cast(src, UINT16, dst, -1) == bad
    assert downstream.run_swap(src, 3, dst[:8]) == bad
    assert downstream.run_swap(src, 2, dst[:6]) == bad
    assert downstream.run_good(src, FLOAT32, 1, dst[:2]) == bad
    assert downstream.run_good(src, UINT16, 1, dst[:8]) == bad
    for first, step in [
        (0, 3),
        (7, 1),
        (8, 0),
        (6, 2),
        (5, -2),
        (0, -1),
        (0, 2**62),
        (1, -(2**63)),
    ]:
        assert downstream.run_step(src, UINT16, first, step, dst, FLOAT32) == bad
    assert (dst == 7).all()
    assert [downstream.size(pixel) for pixel in (-1, 0, 1, 4, 10, 11)] == [0, 1, 1, 8, 8, 0]


@pytest.mark.parametrize("step", [2, -2, 4, 6, -3, 0])
def test_steps(downstream: ModuleType, level: str, step: int) -> None:
    src = np.arange(30011, dtype="i4")
    first = raw(src).size - 4 if step < 0 else 0
    n = 9000
    expected = np.ndarray(n, "i4", raw(src).data, first, (step,))
    dst = np.zeros(n, "f4")
    status = downstream.run_step(raw(src), INT32, first, step, raw(dst), FLOAT32)
    assert status == downstream.STATUS["FITS"]
    np.testing.assert_array_equal(dst, expected.astype("f4"))
    dst1 = np.zeros(n, "u1")
    status = downstream.run_step(raw(src), INT32, first, step, dst1, UINT8)
    assert status == downstream.STATUS["LOST" if step else "FITS"]
    np.testing.assert_array_equal(dst1, kernels.cast(expected, "u1", casting="unsafe"))


def test_swap_and_flags(downstream: ModuleType, level: str) -> None:
    for size in (1, 2, 4, 8):
        src = np.arange(101, dtype=f"u{size}")
        expected = src.byteswap()
        assert downstream.run_swap(raw(src), size, raw(src)) == 0
        np.testing.assert_array_equal(src, expected)
    flags, good = np.arange(300, dtype="u2"), np.zeros(300, "u1")
    assert downstream.run_good(raw(flags), UINT16, 0x104, good) == 0
    np.testing.assert_array_equal(good, (flags & 0x104) == 0)
