"""Principal components of a stack of frames: eigen flat-fields, and whitefields that they make up.

V. Van Nieuwenhove et al., "Dynamic intensity normalization using eigen flat fields in X-ray
imaging", Optics Express 23, 27975 (2015), as pyrost 0.7.7 has it (``get_pca`` and
``update_whitefields`` in its data_processing.py). There components come in no order, and their sign
is left to the solver; here the largest comes first, and the sign is fixed.

Sums over pixels are taken in fixed bands of rows, and products in fixed blocks of frames: floats
depend on the order in which they are added, and results must not depend on where frames lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stacks import ComputedStack, Numbers, Stack, bands, block_length, blocks, frames_of, made
from .whitefields import check_whitefield

__all__ = ["background_corrected", "eigen_flat_fields", "eigen_whitefields"]

_TOGETHER = 16  # eigen flat-fields that are computed in one pass over the frames

Floats = NDArray[np.float64]


def background_corrected(
    data: Stack, mask: Stack | None, whitefield: NDArray[Any], numbers: NDArray[Any]
) -> Any:
    """Return ``data - whitefield`` of some frames, 0 where a pixel is bad.

    Parameters
    ----------
    data : Stack, shape (frames, ..., ss, fs)
        The frames.
    mask : Stack of bool, optional
        Where they are good; everywhere when None.
    whitefield : ndarray, shape (..., ss, fs)
        What is subtracted.
    numbers : array of int
        Which frames.

    Returns
    -------
    Stack, shape (len(numbers), ..., ss, fs)
        In memory if `data` and `mask` are. Of the type that NumPy promotes both types and int64 to:
        int64, or float64 where one is of floats or of uint64.

    Raises
    ------
    ValueError
        The whitefield is of another shape, or has a NaN or infinite value.

    Examples
    --------
    >>> from cxistack.processing.pca import background_corrected
    >>> data = np.array([[[1, 2]], [[5, 5]]], np.uint16)
    >>> background_corrected(data, data != 1, np.array([[3, 3]], np.uint16), np.array([1, 0]))
    array([[[ 2,  2]],
    <BLANKLINE>
           [[ 0, -1]]])
    """
    check_whitefield(whitefield, data)
    dtype = np.promote_types(np.promote_types(whitefield.dtype, data.dtype), np.int64)
    rule = partial(_corrected, data, mask, whitefield, np.asarray(numbers))
    return made(ComputedStack((len(numbers), *data.shape[1:]), dtype, rule), data, mask)


def eigen_flat_fields(frames: Stack) -> tuple[Any, Floats]:
    """Return the principal components of frames, and the part of the variation that each has.

    With the frames as the rows of a matrix ``A``, the eigenvectors ``v`` of ``A @ A.T`` give the
    eigen flat-fields ``v @ A``. Their sums of squares are the eigenvalues.

    Parameters
    ----------
    frames : Stack, shape (frames, ..., ss, fs)
        Frames of which the whitefield is subtracted.

    Returns
    -------
    flat_fields : Stack of float64, of the shape of `frames`
        The largest eigenvalue's first; in memory if `frames` are. The frame that has the largest
        part in one, the first of several, has it with a positive sign.
    eigenvalues : ndarray of float64, shape (frames,)
        Divided by their sum.

    Raises
    ------
    ValueError
        A value is NaN or infinite; all are 0, so that there is nothing to be made up; there are no
        frames.

    Examples
    --------
    >>> from cxistack.processing.pca import eigen_flat_fields
    >>> flat_fields, eigenvalues = eigen_flat_fields(np.array([[[3.0, 3.0]], [[4.0, 4.0]]]))
    >>> np.round(flat_fields, 6) + 0.0
    array([[[5., 5.]],
    <BLANKLINE>
           [[0., 0.]]])
    >>> np.round(eigenvalues, 6)
    array([1., 0.])
    """
    if not len(frames):
        raise ValueError("there are no principal components of no frames: none is a good one")
    gram = np.zeros((len(frames), len(frames)))
    with np.errstate(invalid="ignore", over="ignore"):
        for _, matrix in _matrices(frames, slice(0, frames.shape[-2])):
            gram += matrix @ matrix.T
    if not np.isfinite(gram).all():
        number = int(np.argmin(np.isfinite(np.diagonal(gram))))
        raise ValueError(
            f"frame {number} of the good ones has a good pixel that is NaN, infinite or too large: "
            'mark it as bad, update_mask("range-bad", update="multiply") does so'
        )
    if not np.diagonal(gram).any():
        raise ValueError(
            "there are no principal components: no good pixel of a good frame differs from the "
            "whitefield"
        )
    values, vectors = np.linalg.eigh(gram)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]  # rounding goes below 0
    largest = np.argmax(np.abs(vectors), axis=0)
    vectors = vectors * np.where(vectors[largest, np.arange(len(frames))] < 0, -1.0, 1.0)
    rule = partial(_components, frames, vectors)
    # In memory all are made at once, in the same groups: the frames are converted once.
    block = _TOGETHER if isinstance(frames, ComputedStack) else len(frames)
    components = ComputedStack(frames.shape, np.float64, rule, block)
    return made(components, frames), values / values.sum()


def eigen_whitefields(frames: Stack, flat_fields: NDArray[Any], whitefield: NDArray[Any]) -> Any:
    """Return the whitefield of each frame that eigen flat-fields make up.

    Frame ``a`` has the whitefield ``w + sum_k (a . f_k) / (f_k . f_k) * f_k``: the projection of
    what is left of it after the whitefield ``w`` is subtracted on each flat-field ``f_k``.

    Parameters
    ----------
    frames : Stack, shape (frames, ..., ss, fs)
        Frames of which the whitefield is subtracted.
    flat_fields : ndarray, shape (components, ..., ss, fs)
        Some eigen flat-fields. One that is 0 everywhere adds nothing.
    whitefield : ndarray, shape (..., ss, fs)
        The whitefield of all frames.

    Returns
    -------
    Stack of float64, of the shape of `frames`
        In memory if `frames` are.

    Raises
    ------
    ValueError
        Shapes do not fit; a value is NaN or infinite.

    Examples
    --------
    >>> from cxistack.processing.pca import eigen_whitefields
    >>> frames, fields = np.array([[[1, 3]], [[0, 0]]]), np.array([[[0.0, 2.0]]])
    >>> eigen_whitefields(frames, fields, np.array([[5, 5]]))
    array([[[5., 8.]],
    <BLANKLINE>
           [[5., 5.]]])
    """
    check_whitefield(whitefield, frames)
    if flat_fields.shape[1:] != frames.shape[1:]:
        raise ValueError(
            f"flat-fields of shape {flat_fields.shape} do not go with frames of shape "
            f"{frames.shape[1:]}: give (components, {', '.join(map(str, frames.shape[1:]))})"
        )
    length = block_length(frames)
    fields = np.ascontiguousarray(flat_fields, np.float64).reshape(len(flat_fields), -1)
    weights = np.zeros((len(frames), len(fields)))
    with np.errstate(invalid="ignore", over="ignore"):
        squares = np.einsum("kp,kp->k", fields, fields)
        for some in blocks(len(frames), length):
            weights[some] = _matrix(np.asarray(frames[some])) @ fields.T
    if not (np.isfinite(weights).all() and np.isfinite(squares).all()):
        raise ValueError(
            "a frame or a flat-field has a pixel that is NaN, infinite or too large: mark it as "
            'bad, update_mask("range-bad", update="multiply") does so'
        )
    np.divide(weights, squares, out=weights, where=squares > 0)
    rule = partial(_combined, weights, fields, whitefield.astype(np.float64), length)
    return made(ComputedStack(frames.shape, np.float64, rule, length), frames)


def _matrix(frames: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(frames, np.float64).reshape(len(frames), -1)


def _matrices(frames: Stack, rows: slice) -> Iterator[tuple[slice, Floats]]:
    """Give the bands that have some of the rows, of all frames, as the rows of a matrix."""
    numbers = np.arange(len(frames))
    for band in bands(frames.shape, 8):
        if max(band.start, rows.start) < min(band.stop, rows.stop):
            yield band, _matrix(frames_of(frames, numbers, band))


def _corrected(
    data: Stack,
    mask: Stack | None,
    whitefield: NDArray[Any],
    chosen: NDArray[np.intp],
    numbers: Numbers,
    rows: slice,
) -> NDArray[Any]:
    dtype = np.promote_types(np.promote_types(whitefield.dtype, data.dtype), np.int64)
    frames = frames_of(data, chosen[numbers], rows)
    with np.errstate(invalid="ignore", over="ignore"):  # told where it is used
        offsets: NDArray[Any] = np.subtract(frames, whitefield[..., rows, :], dtype=dtype)
    if mask is not None:
        offsets[~frames_of(mask, chosen[numbers], rows).astype(bool, copy=False)] = 0
    return offsets


def _components(
    frames: Stack, vectors: Floats, numbers: Numbers, rows: slice
) -> NDArray[np.float64]:
    """Return eigen flat-fields by their numbers; in each pass over the frames the same together."""
    out = np.empty((len(numbers), *frames.shape[1:-2], rows.stop - rows.start, frames.shape[-1]))
    for band, matrix in _matrices(frames, rows):
        start, stop = max(band.start, rows.start), min(band.stop, rows.stop)
        for group in np.unique(numbers // _TOGETHER):
            places = np.flatnonzero(numbers // _TOGETHER == group)
            first = group * _TOGETHER
            mixed = np.ascontiguousarray(vectors[:, first : first + _TOGETHER].T)
            some = (mixed @ matrix).reshape(len(mixed), *frames.shape[1:-2], -1, out.shape[-1])
            cut = some[numbers[places] - first, ..., start - band.start : stop - band.start, :]
            out[places, ..., start - rows.start : stop - rows.start, :] = cut
    return out


def _combined(
    weights: Floats, fields: Floats, whitefield: Floats, length: int, numbers: Numbers, rows: slice
) -> NDArray[np.float64]:
    """Return whitefields of frames by their numbers, made in blocks that are always the same."""
    shape = (*whitefield.shape[:-2], rows.stop - rows.start, whitefield.shape[-1])
    out = np.empty((len(numbers), *shape))
    for block in np.unique(numbers // length):
        places = np.flatnonzero(numbers // length == block)
        first = block * length
        whole = (weights[first : first + length] @ fields).reshape(-1, *whitefield.shape)
        out[places] = (whole + whitefield)[numbers[places] - first][..., rows, :]
    return out
