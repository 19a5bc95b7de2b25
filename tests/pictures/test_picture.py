"""What all pictures are made of: bins of good pixels, and a scale that shows them."""

import numpy as np
import pytest

from cxistack.pictures import picture


def test_gap_marks_have_no_value():
    assert picture.has_value(np.array([[0, 7, 2**32 - 1]], np.uint32)).tolist() == [[1, 1, 0]]
    assert picture.has_value(np.array([[0, -1, -2]], np.int32)).tolist() == [[1, 0, 1]]
    assert picture.has_value(np.array([[0, np.nan, np.inf]])).tolist() == [[1, 0, 0]]
    assert picture.has_value(np.array([[0, 255]], np.uint8)).all()


@pytest.mark.parametrize("shape", [(10, 14), (13, 9), (7, 40)])
def test_a_picture_averages_good_pixels_of_its_bins(shape):
    rng = np.random.default_rng(5)
    frame, good = rng.integers(0, 99, shape), rng.random(shape) < 0.6
    shown = picture.shrunk(frame, good, 5)
    size = -(-max(shape) // 5)
    assert max(shown.shape) <= 5
    for row in range(shown.shape[0]):
        for column in range(shown.shape[1]):
            here = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
            values = frame[here][good[here]]
            if values.size:
                assert shown[row, column] == pytest.approx(values.mean())
            else:
                assert shown[row, column] is np.ma.masked


def test_the_scale_is_not_moved_by_a_few_hot_pixels():
    values = np.random.default_rng(1).poisson(50, 10_000).astype(float)
    values[:5] = 1e9
    assert picture.norm(values).vmax < 100


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [7.0]])
def test_the_scale_is_never_empty(values):
    scale = picture.norm(np.array(values))
    assert scale.vmin < scale.vmax
