"""Bit planes become elements, alike at every SIMD level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxistack.kernels import _decode


def bit_planes(data: bytes, element: int) -> bytes:
    """Bit-shuffle by NumPy: the definition."""
    elements = np.frombuffer(data, np.uint8).reshape(-1, element)
    bits = np.unpackbits(elements, axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes()


@pytest.mark.parametrize("level", _decode.unshuffle_levels())
@pytest.mark.parametrize("element", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 33])
@pytest.mark.parametrize("groups", [1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 128, 130, 191, 512])
def test_every_level_inverts_the_definition(level: str, element: int, groups: int) -> None:
    data = np.random.default_rng(groups).integers(0, 256, 8 * groups * element, np.uint8).tobytes()
    assert _decode.unshuffle(bit_planes(data, element), element, level) == data


@pytest.mark.parametrize("level", _decode.unshuffle_levels())
@given(element=st.integers(1, 9), groups=st.integers(0, 140), seed=st.integers(0))
def test_drawn_sizes(level: str, element: int, groups: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, 8 * groups * element, np.uint8).tobytes()
    assert _decode.unshuffle(bit_planes(data, element), element, level) == data
