"""Images side by side: as large as there is room, all in one scale."""

import numpy as np
import pytest

from cxistack.pictures.colours import BEHIND, GREY
from cxistack.pictures.mosaic import mosaic
from cxistack.pictures.picture import Contrast


def images(count, shape=(20, 30)):
    rng = np.random.default_rng(2)
    return [np.ma.MaskedArray(rng.poisson(20, shape)) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 16])
@pytest.mark.parametrize("room", [(40, 100), (300, 90), (1000, 1000), (7, 9)])
def test_they_fit_into_the_room(count, room):
    found, _ = mosaic(images(count), Contrast(), room)
    if min(room) > 20:
        assert found.shape[0] <= room[0]
        assert found.shape[1] <= room[1]
    shown = found != BEHIND
    assert shown.any()


def test_a_small_image_is_enlarged_by_a_whole_number():
    one = images(1)[0]
    found, (low, high) = mosaic([one], Contrast(0.0, 40.0), (65, 200))
    assert found.shape == (60, 90)
    assert (low, high) == (0.0, 40.0)
    np.testing.assert_array_equal(found, found[::3, ::3].repeat(3, 0).repeat(3, 1))


def test_a_large_image_is_averaged_over_its_good_pixels():
    one = np.ma.MaskedArray(np.full((40, 50), 10.0))
    one[:, ::2] = 1000.0
    one[:, ::2] = np.ma.masked
    one[:8] = np.ma.masked
    found, _ = mosaic([one], Contrast(0.0, 20.0), (10, 25))
    assert found.shape == (10, 12)
    assert (found[:2] == GREY).all()
    middle = found[2:]
    assert set(middle[middle != GREY].tolist()) == {126}  # never what is masked


def test_all_have_one_scale():
    dark, bright = images(1)[0] * 0 + 1.0, images(1)[0] * 0 + 100.0
    found, limits = mosaic([dark, bright], Contrast(), (20, 62))
    assert limits == (1.0, 100.0)
    assert set(np.unique(found)) == {0, GREY - 1, BEHIND}


@pytest.mark.parametrize(
    ("room", "shape"), [((100, 100), (2, 2)), ((40, 200), (1, 4)), ((200, 40), (4, 1))]
)
def test_they_are_arranged_so_that_each_is_large(room, shape):
    found, _ = mosaic(images(4, (10, 10)), Contrast(), room)
    gaps = found == BEHIND
    rows, columns = (int(np.diff(gaps.all(axis=k).astype(int)).clip(0).sum()) + 1 for k in (1, 0))
    assert (rows, columns) == shape
