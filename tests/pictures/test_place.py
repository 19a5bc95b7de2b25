"""Where a picture lies: its edges are those of the pixels of the detector that it shows."""

import numpy as np
import pytest

from cxistack import ComposeTransforms, Crop, Downscale, Mirror, Transform
from cxistack.pictures.place import place_of

SHAPE = (30, 40)
TRANSFORMS = {
    "none": None,
    "crop": Crop([4, 25, 7, 38]),
    "bins": Downscale(3, mode="sum"),
    "crop, then bins": ComposeTransforms([Crop([4, 25, 7, 38]), Downscale(3, mode="mean")]),
    "mirror": Mirror(1, SHAPE),
    "mirror, crop, bins": ComposeTransforms(
        [Mirror(0, SHAPE), Crop([0, 20, 10, 40]), Downscale(2, mode="sum")]
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_centres_of_pixels_lie_where_the_transform_took_them_from(name):
    transform = TRANSFORMS[name]
    rows, columns = np.indices(SHAPE, dtype=float)  # each pixel says where it is
    if transform is not None:
        mean = [
            one.replace(mode="mean") if isinstance(one, Downscale) else one
            for one in (transform if isinstance(transform, ComposeTransforms) else [transform])
        ]
        for one in mean:
            rows, columns = one.forward(rows), one.forward(columns)
    left, right, bottom, top = place_of(rows.shape, transform).edges
    high, wide = rows.shape
    x = left + (np.arange(wide) + 0.5) * (right - left) / wide
    y = top + (np.arange(high) + 0.5) * (bottom - top) / high
    np.testing.assert_allclose(columns, np.broadcast_to(x, rows.shape))
    np.testing.assert_allclose(rows, np.broadcast_to(y[:, None], rows.shape))


def test_millimetres_begin_at_the_edge_of_the_first_pixel():
    place = place_of(SHAPE, None, (0.1, 0.075))
    assert place.unit == "mm"
    assert place.edges == pytest.approx((0, 40 * 0.075, 30 * 0.1, 0))
    part = place_of((10, 10), Crop([10, 20, 20, 30]), (0.1, 0.075))
    assert part.edges == pytest.approx((1.5, 2.25, 2.0, 1.0))


class Transposed(Transform):
    def index_array(self, ss_idxs, fs_idxs):
        return ss_idxs.T, fs_idxs.T


class TransposedWithPoints(Transposed):
    def backward_points(self, x, y):
        return y, x


@pytest.mark.parametrize(
    "transform", [Transposed(), TransposedWithPoints(), Crop([-9, -1, 0, 9])], ids=str
)
def test_a_view_that_does_not_say_where_it_lies_is_labelled_with_its_own_pixels(transform):
    place = place_of((8, 9), transform)
    assert place.edges == (-0.5, 8.5, 7.5, -0.5)
    assert place.unit == "pixel of the view"
