"""Principal components: those of NumPy's singular values, in memory and by parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from cxistack.processing import pca
from cxistack.processing import stacks as room
from processing.references import stacks, unread

RNG = np.random.default_rng(3)


def reference(frames):
    """Return eigen flat-fields and eigenvalues of frames, as singular values have them."""
    matrix = frames.reshape(len(frames), -1).astype("f8")
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    signs = np.sign(left[np.abs(left).argmax(0), np.arange(left.shape[1])])
    fields = (left * signs).T @ matrix
    return fields.reshape(-1, *frames.shape[1:]), sizes**2 / (sizes**2).sum()


@given(stacks(), some.data())
def test_what_is_left_without_the_whitefield(drawn, more):
    data, mask = drawn
    white = data[0].astype(data.dtype.newbyteorder("="))
    numbers = np.array(more.draw(some.lists(some.integers(0, len(data) - 1), min_size=1)))
    dtype = np.promote_types(np.promote_types(data.dtype, white.dtype), int)
    good = np.ones(data.shape, bool) if mask is None else mask
    expected = np.where(good, data.astype(dtype) - white.astype(dtype), 0)[numbers]
    found = pca.background_corrected(data, mask, white, numbers)
    np.testing.assert_array_equal(found, expected, strict=True)
    computed = pca.background_corrected(unread(data), unread(mask), white, numbers)
    assert computed.dtype == dtype
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("shape", [(1, 3, 4), (6, 5, 7), (40, 9, 8), (5, 2, 4, 3)])
@pytest.mark.parametrize("bytes_of_bands", [None, 5000])
def test_components(monkeypatch, shape, bytes_of_bands):
    if bytes_of_bands:
        monkeypatch.setattr(room, "BAND_BYTES", bytes_of_bands)
    frames = RNG.integers(-50, 50, shape) * RNG.integers(1, 9, (shape[0], *[1] * (len(shape) - 1)))
    fields, values = pca.eigen_flat_fields(frames)
    expected_fields, expected = reference(frames)
    np.testing.assert_allclose(values, expected, atol=1e-12)
    count = len(expected) // 2 + 1
    np.testing.assert_allclose(fields[:count], expected_fields[:count], rtol=1e-6, atol=1e-4)
    computed, same = pca.eigen_flat_fields(unread(frames))
    np.testing.assert_array_equal(same, values)
    np.testing.assert_array_equal(computed, fields)
    np.testing.assert_array_equal(computed[[-1, 0]], fields[[-1, 0]])
    np.testing.assert_array_equal(computed[:2, ..., 1:3, :], fields[:2, ..., 1:3, :])


def test_equal_frames_have_one_component():
    fields, values = pca.eigen_flat_fields(np.ones((3, 2, 2), int))
    np.testing.assert_allclose(values, [1, 0, 0], atol=1e-12)
    assert (values >= 0).all()
    np.testing.assert_allclose(fields[0], np.sqrt(3))


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((3, 2, 2)), "no good pixel"),
        (np.zeros((0, 2, 2)), "no frames"),
        (np.array([[[1.0]], [[np.nan]]]), "frame 1 .* NaN"),
        (np.array([[[np.inf]], [[1.0]]]), "frame 0 .* infinite"),
        (np.array([[[1e200]], [[1.0]]]), "too large"),
    ],
)
def test_what_has_no_components_is_told(frames, words):
    with pytest.raises(ValueError, match=words):
        pca.eigen_flat_fields(frames)


@pytest.mark.parametrize("bytes_of_blocks", [None, 1000])
def test_whitefields_are_projections(monkeypatch, bytes_of_blocks):
    if bytes_of_blocks:
        monkeypatch.setattr(room, "BLOCK_BYTES", bytes_of_blocks)
    frames, white = RNG.integers(-9, 9, (11, 4, 6)), RNG.random((4, 6))
    fields = pca.eigen_flat_fields(frames)[0][:3]
    weights = np.tensordot(frames, fields, ((1, 2), (1, 2))) / (fields**2).sum((1, 2))
    made = pca.eigen_whitefields(frames, fields, white)
    np.testing.assert_allclose(made, np.tensordot(weights, fields, 1) + white, atol=1e-12)
    computed = pca.eigen_whitefields(unread(frames), fields, white)
    np.testing.assert_array_equal(computed, made, strict=True)
    np.testing.assert_array_equal(computed[[9, 0], 1:3], made[[9, 0], 1:3])


def test_a_flat_field_of_zeros_adds_nothing():
    fields = np.zeros((2, 1, 2))
    fields[1, 0, 0] = 5
    made = pca.eigen_whitefields(np.array([[[3.0, 4.0]]]), fields, np.array([[1, 1]]))
    assert made.tolist() == [[[4.0, 1.0]]]


@pytest.mark.parametrize(
    ("frames", "fields", "words"),
    [
        (np.ones((2, 1, 2)), np.ones((1, 2, 2)), r"\(components, 1, 2\)"),
        (np.full((2, 1, 2), np.nan), np.ones((1, 1, 2)), "NaN"),
        (np.ones((2, 1, 2)), np.full((1, 1, 2), np.inf), "infinite"),
    ],
)
def test_what_is_not_projected_is_told(frames, fields, words):
    with pytest.raises(ValueError, match=words):
        pca.eigen_whitefields(frames, fields, np.ones((1, 2)))
