"""Percentiles of all pixels of a stack: NumPy's, to the bit, in memory and by parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from cxistack.processing import percentiles as room
from cxistack.processing.percentiles import percentiles
from processing.references import unread

PERCENTS = some.lists(some.floats(0, 100), min_size=1, max_size=3)


@some.composite
def values(draw):
    dtype = draw(some.sampled_from(["i1", "u2", "i4", "i8", "f4", "f8"]))
    elements = {
        "i8": some.integers(-(1 << 50), 1 << 50),
        "f4": some.floats(-(2.0**90), 2.0**90, width=32),
        "f8": some.floats(-(2.0**90), 2.0**90),
    }.get(dtype)
    shape = draw(arrays.array_shapes(min_dims=3, max_dims=3, max_side=5))
    return draw(arrays.arrays(dtype, shape, elements=elements))


@given(values(), PERCENTS)
def test_equal_numpys(values, percents):
    exact = values.astype("f8") if values.dtype.kind == "f" else values.astype("i8")
    expected = np.percentile(exact, percents).tolist()
    assert percentiles(exact, percents) == expected
    assert percentiles(unread(exact), percents) == expected


@given(arrays.arrays("i4", (2, 3, 4), elements=some.integers(-100, 100)), PERCENTS)
def test_known_bounds_spare_a_pass_and_change_nothing(values, percents):
    expected = np.percentile(values, percents).tolist()
    assert percentiles(values, percents, (-255, 255)) == expected


def test_differences_of_small_pixels_take_one_pass(monkeypatch):
    passes = []
    monkeypatch.setattr(
        room, "_keys", lambda stack, keys=room._keys: passes.append(1) or keys(stack)
    )
    percentiles(np.arange(60, dtype="i4").reshape(3, 4, 5), [0, 99.99], (-65535, 65535))
    assert len(passes) == 1


def test_of_nothing_there_are_none():
    with pytest.raises(ValueError, match=r"\(0, 3, 4\).* empty"):
        percentiles(np.empty((0, 3, 4)), [50])
