"""Colours without Matplotlib: close to its viridis, and PNG files that Pillow reads back."""

import io
import sys

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from cxistack.pictures.colours import BEHIND, GREY, PALETTE, gradient, indexed, png


def test_the_palette_is_viridis():
    ours = PALETTE[:GREY].astype(int)
    theirs = np.rint(255 * colormaps["viridis"](np.linspace(0, 1, GREY))[:, :3]).astype(int)
    assert np.abs(ours - theirs).max() <= 8


@pytest.mark.parametrize("log", [False, True])
def test_indices_rise_with_the_values_between_the_limits(log):
    values = np.ma.MaskedArray(np.geomspace(0.1, 1e4, 200)[None])
    values[0, 7] = np.ma.masked
    found = indexed(values, 1.0, 1000.0, log=log)
    assert found[0, 7] == GREY
    rest = np.delete(found[0], 7).astype(int)
    assert (np.diff(rest) >= 0).all()
    assert rest[0] == 0
    assert rest[-1] == GREY - 1
    middle = indexed(np.ma.MaskedArray([[np.sqrt(1000.0), 500.5]]), 1.0, 1000.0, log=log)[0]
    assert middle[0 if log else 1] in ((GREY - 1) // 2, GREY // 2)


def test_a_png_has_the_colours_and_what_is_behind_is_transparent():
    indices = np.array([[0, 100, GREY - 1], [GREY, BEHIND, 3]], np.uint8)
    image = np.asarray(Image.open(io.BytesIO(png(indices))).convert("RGBA"))
    np.testing.assert_array_equal(
        image[..., :3][indices != BEHIND], PALETTE[indices[indices != BEHIND]]
    )
    np.testing.assert_array_equal(image[..., 3], np.where(indices == BEHIND, 0, 255))


def test_without_pillow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'cxistack\[plot\]'"):
        png(np.zeros((2, 2), np.uint8))


def test_css_has_the_same_ends():
    first, last = ("".join(f"{one:02x}" for one in PALETTE[k]) for k in (0, GREY - 1))
    assert gradient().startswith(f"linear-gradient(to right,#{first},")
    assert gradient().endswith(f",#{last})")
