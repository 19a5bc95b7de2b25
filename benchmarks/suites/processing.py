"""What a container makes of its frames, beside plain NumPy and SciPy.

Each result is verified first. A ratio is the other's shortest time over ours. Frames are in memory;
one pixel of twenty is bad. NumPy's median of masked arrays takes the mean of the two values in the
middle, where ours is the lower of them: that is verified by sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

import cxistack as cxi

from ..harness.data import PATH, detector_frames, workspace
from ..harness.options import Options, Size
from ..harness.report import Report, timings_of
from ..harness.results import OURS, Ratio
from ..harness.timing import Pace, in_turns

__all__ = ["SIZES", "run"]

SIZES = {
    "normal": Size(100, (512, 1024), Pace(3)),
    "quick": Size(40, (256, 512), Pace(2)),
    "tiny": Size(5, (12, 20), Pace(1)),
}
PLAIN = "NumPy, SciPy"

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """The same work done by us and plainly; `check` verifies what is ours."""

    name: str
    ours: Callable[[], Array]
    plain: Callable[[], Array]
    check: Callable[[Array, Array], None]
    must: float | None = None


def run(report: Report, options: Options) -> None:
    """Verify and measure each case."""
    size = options.choose(SIZES)
    data = detector_frames(size.frames, size.shape)
    mask = np.random.default_rng(0).random(data.shape) > 0.05
    with workspace(options.folder, 1 << 20) as folder:
        with h5py.File(folder / "one.h5", "w") as h5:
            h5[PATH] = data[:1]
        st = cxi.STData(cxi.CXIStore(folder / "one.h5"), data=data, mask=mask)
        for case in _cases(st):
            if not options.wants(case.name):
                continue
            case.check(case.ours(), case.plain())
            spent = in_turns({OURS: case.ours, PLAIN: case.plain}, size.pace)
            value = spent[PLAIN].seconds / spent[OURS].seconds
            ratio = Ratio("-", case.name, PLAIN, value, case.must)
            report.add(case.name, timings_of("-", case.name, spent), [ratio])


def _cases(st: cxi.STData) -> Iterator[Case]:
    data, mask = st.data, st.mask
    masked = np.ma.array(data, mask=~mask)

    def is_lower_median(ours: Array, _: Array) -> None:
        largest = np.iinfo(data.dtype).max
        ordered = np.sort(np.where(mask, data, largest), axis=0)
        middle = np.maximum(np.count_nonzero(mask, axis=0) - 1, 0) // 2
        lower = np.take_along_axis(ordered, middle[None], axis=0)[0]
        np.testing.assert_array_equal(ours, np.where(mask.any(axis=0), lower, 0))

    yield Case(
        "whitefield",
        lambda: st.update_whitefield().whitefield,
        lambda: np.ma.median(masked, axis=0),
        is_lower_median,
        5.0,
    )
    yield Case(
        "perc-bad mask",
        lambda: st.update_mask().mask,
        lambda: _percentile_mask(data),
        np.testing.assert_array_equal,
    )
    white = st.update_whitefield().whitefield
    flat = st.replace(whitefield=white)
    yield Case(
        "principal components",
        lambda: flat.get_pca()[2],
        lambda: _eigenvalues(data, mask, white),
        lambda ours, plain: np.testing.assert_allclose(ours, plain, atol=1e-9),
    )


def _percentile_mask(data: Array) -> Array:
    from scipy.ndimage import median_filter

    offsets = data.astype(np.int32) - median_filter(data, (1, 3, 3), mode="reflect")
    low, high = np.percentile(offsets, [0, 99.99])
    mask: Array = (offsets >= low) & (offsets <= high)
    return mask


def _eigenvalues(data: Array, mask: Array, white: Array) -> Array:
    """Make flat-fields as ours are, and return the eigenvalues."""
    matrix = np.where(mask, data - white.astype(np.float64), 0).reshape(len(data), -1)
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    _ = vectors.T[::-1] @ matrix
    shares: Array = values[::-1] / values.sum()
    return shares
