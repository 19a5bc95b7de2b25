"""Transforms of frames: Crop, Downscale, Mirror and their composition.

They act on the slow and the fast axis, which are the last two axes of an array of any rank. Each of
them is a view of frames or bins of pixels; a transform of your own needs only an ``index_array``.

Points are pixel coordinates: `x` along the fast axis, `y` along the slow one, whole numbers at the
centres of pixels. ``forward_points`` moves a point as ``forward`` moves the pixel there, and
``backward_points`` moves it back.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ..errors import LayoutError
from .base import Transform
from .fold import Chain
from .points import Slices
from .steps import Axis, Bin, FrameView, Shape

__all__ = [
    "ComposeTransforms",
    "Crop",
    "Downscale",
    "Mirror",
    "TransformLike",
    "is_constant",
    "of_rows",
    "transform_of",
]


Array: TypeAlias = npt.NDArray[Any]


def _signed(*coordinates: npt.ArrayLike) -> list[Any]:
    """Return coordinates of a type in which differences and products do not wrap around."""
    arrays = map(np.asarray, coordinates)
    return [(a.astype(np.int64) if a.dtype.kind in "biu" else a)[()] for a in arrays]


class _View(Transform):
    """A transform that is one view of a frame."""

    def view(self, frame_shape: Shape) -> FrameView:
        """Return the view that the transform is on frames of `frame_shape`."""
        raise NotImplementedError

    def fold_onto(self, chain: Chain) -> Chain:
        """Return a chain of steps with this transform at its end."""
        return chain.then(self.view(chain.shape))

    def index_array(self, ss_idxs: npt.ArrayLike, fs_idxs: npt.ArrayLike) -> tuple[Array, Array]:
        """Filter the indices of a frame; see :meth:`Transform.index_array`."""
        ss, fs = np.asarray(ss_idxs), np.asarray(fs_idxs)
        if ss.ndim != 2 or fs.ndim != 2:
            raise LayoutError(
                f"index arrays of a frame have two dimensions, not shapes {ss.shape}, {fs.shape}"
            )
        rows, columns = np.broadcast_shapes(ss.shape, fs.shape)
        view = self.view((rows, columns))

        def seen(index: Array) -> Array:  # axes of length 1 of an open grid keep their length
            along_ss = view.ss.slice if index.shape[0] == rows else slice(None)
            along_fs = view.fs.slice if index.shape[1] == columns else slice(None)
            return index[along_ss, along_fs]

        return seen(ss), seen(fs)


@dataclass(frozen=True)
class Crop(_View):
    """Crop frames to a region of interest.

    Parameters
    ----------
    roi : sequence of 4 int
        ``[y_min, y_max, x_min, x_max]``: the region is ``frame[y_min:y_max, x_min:x_max]``. A
        negative bound counts from the end, as in NumPy.
    clip : bool
        Cut a region that leaves the frame to what is within it, as NumPy's slices do. Otherwise it
        raises LayoutError, as does, in any case, a region in which there is no pixel.

    Examples
    --------
    >>> import numpy as np
    >>> Crop([1, 3, 0, 2]).forward(np.arange(12).reshape(3, 4))
    array([[4, 5],
           [8, 9]])
    >>> Crop([2, 99, 0, 2], clip=True).forward(np.arange(12).reshape(3, 4))
    array([[8, 9]])
    """

    roi: Sequence[int]
    clip: bool = False

    def __post_init__(self) -> None:
        roi = tuple(map(operator.index, self.roi))
        if len(roi) != 4:
            raise ValueError(f"roi must be [y_min, y_max, x_min, x_max], not {list(roi)}")
        if not isinstance(self.clip, (bool, np.bool_)):
            raise TypeError(f"clip must be True or False, not {self.clip!r}")
        object.__setattr__(self, "roi", roi)
        object.__setattr__(self, "clip", bool(self.clip))

    def __repr__(self) -> str:
        return f"Crop(roi={self.roi}{', clip=True' if self.clip else ''})"

    def view(self, frame_shape: Shape) -> FrameView:
        """Return the view that the crop is on frames of `frame_shape`."""
        y_min, y_max, x_min, x_max = self.roi
        ss = self._axis("rows", y_min, y_max, frame_shape[0])
        return FrameView(ss, self._axis("columns", x_min, x_max, frame_shape[1]))

    def _axis(self, what: str, start: int, stop: int, size: int) -> Axis:
        axis = Axis.of_slice(slice(start, stop), size)
        is_beyond = any(not -size <= bound <= size for bound in (start, stop))
        if is_beyond and not (self.clip and axis.count):
            advice = "" if self.clip else "; Crop(roi, clip=True) cuts it to the frame"
            raise LayoutError(
                f"{self!r} leaves the frame: {what} {start} to {stop} of {size}"
                + (advice if axis.count else ", of which none is left")
            )
        if not axis.count:
            raise LayoutError(
                f"{self!r} leaves no pixel: {what} {start} to {stop} of {size}, where the second "
                "number is one past the last"
            )
        return axis

    def forward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return points relative to the region; see :meth:`Transform.forward_points`.

        Raises
        ------
        ValueError
            If ``y_min`` or ``x_min`` is negative: the size of the frame is not known here.
        """
        y_min, x_min = self._origin()
        xs, ys = _signed(x, y)
        return xs - x_min, ys - y_min

    def backward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return points relative to the frame; undoes :meth:`forward_points`."""
        y_min, x_min = self._origin()
        xs, ys = _signed(x, y)
        return xs + x_min, ys + y_min

    def _origin(self) -> tuple[int, int]:
        y_min, _, x_min, _ = self.roi
        if y_min < 0 or x_min < 0:
            raise ValueError(
                f"{self!r} counts from the end of a frame, whose size a point does not tell: give "
                "y_min and x_min from the start to map points"
            )
        return y_min, x_min


@dataclass(frozen=True)
class Downscale(_View):
    """Downscale frames by a whole number.

    Parameters
    ----------
    scale : int
        How many rows and columns become one.
    mode : {"stride", "sum", "mean"}
        Take every `scale`-th row and column, or the sum or the mean of the pixels of each square.
        Incomplete squares at the end are dropped. Sums are int64, uint64 or float64, means are
        float64; a boolean square is True where all its pixels are.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.arange(12).reshape(3, 4)
    >>> Downscale(2).forward(frame)
    array([[ 0,  2],
           [ 8, 10]])
    >>> Downscale(2, mode="sum").forward(frame)
    array([[10, 18]])
    """

    scale: int
    mode: Literal["stride", "sum", "mean"] = "stride"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", operator.index(self.scale))
        if self.scale < 1:
            raise ValueError(f"scale must be 1 or more, not {self.scale}")
        if self.mode not in ("stride", "sum", "mean"):
            raise ValueError(f"mode must be 'stride', 'sum' or 'mean', not {self.mode!r}")

    def view(self, frame_shape: Shape) -> FrameView:
        """Return the view of every `scale`-th pixel, or of all pixels that are in whole squares."""
        if self.mode == "stride":
            stride = slice(None, None, self.scale)
            return FrameView(*(Axis.of_slice(stride, size) for size in frame_shape))
        return FrameView(*(Axis(0, 1, size // self.scale * self.scale) for size in frame_shape))

    def fold_onto(self, chain: Chain) -> Chain:
        """Return a chain of steps with this transform at its end."""
        chain = super().fold_onto(chain)
        if self.mode == "stride":
            return chain
        rows, columns = (size // self.scale for size in chain.shape)
        return chain.then(Bin(self.scale, self.mode, (rows, columns)))

    def index_array(self, ss_idxs: npt.ArrayLike, fs_idxs: npt.ArrayLike) -> tuple[Array, Array]:
        """Filter the indices of a frame; see :meth:`Transform.index_array`."""
        if self.mode != "stride":
            raise NotImplementedError(f"{self!r} has no index_array: it makes one pixel of many")
        return super().index_array(ss_idxs, fs_idxs)

    def forward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return points divided by the scale; see :meth:`Transform.forward_points`."""
        xs, ys = _signed(x, y)
        return (xs - self._centre) / self.scale, (ys - self._centre) / self.scale

    def backward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return points times the scale; undoes :meth:`forward_points`."""
        xs, ys = _signed(x, y)
        return xs * self.scale + self._centre, ys * self.scale + self._centre

    @property
    def _centre(self) -> float:
        """Where on the frame the centre of the first pixel of the result is."""
        return 0 if self.mode == "stride" else (self.scale - 1) / 2


@dataclass(frozen=True)
class Mirror(_View):
    """Mirror frames.

    Parameters
    ----------
    axis : {0, 1}
        Reverse the order of the rows (0) or of the columns (1).
    shape : sequence of 2 int
        Shape of the frames that are mirrored; frames of another shape raise LayoutError.

    Examples
    --------
    >>> import numpy as np
    >>> mirror = Mirror(axis=1, shape=(2, 3))
    >>> mirror.forward(np.array([[1, 2, 3], [4, 5, 6]]))
    array([[3, 2, 1],
           [6, 5, 4]])
    >>> x, y = mirror.forward_points(0, 1)
    >>> int(x), int(y)
    (2, 1)
    """

    axis: int
    shape: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", operator.index(self.axis))
        object.__setattr__(self, "shape", tuple(map(operator.index, self.shape)))
        if self.axis not in (0, 1):
            raise ValueError(f"axis must be 0 (rows) or 1 (columns), not {self.axis}")
        if len(self.shape) != 2 or min(self.shape) < 0:
            raise ValueError(f"shape must be the (rows, columns) of a frame, not {self.shape}")

    def view(self, frame_shape: Shape) -> FrameView:
        """Return the view that the mirror is on frames of `frame_shape`."""
        if frame_shape != self.shape:
            raise LayoutError(
                f"{self!r} is applied to frames of shape {frame_shape}: give it this shape"
            )
        order = [slice(None), slice(None)]
        order[self.axis] = slice(None, None, -1)
        return FrameView(*map(Axis.of_slice, order, frame_shape))

    def forward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return mirrored points; see :meth:`Transform.forward_points`."""
        xs, ys = _signed(x, y)
        if self.axis == 0:
            return xs, self.shape[0] - 1 - ys
        return self.shape[1] - 1 - xs, ys

    def backward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return mirrored points; a mirror undoes itself."""
        return self.forward_points(x, y)


@dataclass(frozen=True)
class ComposeTransforms(Transform):
    """Several transforms, one after another.

    Parameters
    ----------
    transforms : sequence of Transform
        Two or more; the first is applied first.

    Examples
    --------
    >>> import numpy as np
    >>> both = ComposeTransforms([Crop([0, 2, 0, 4]), Mirror(0, (2, 4))])
    >>> both.forward(np.arange(12).reshape(3, 4))
    array([[4, 5, 6, 7],
           [0, 1, 2, 3]])
    >>> both[0]
    Crop(roi=(0, 2, 0, 4))
    """

    transforms: Sequence[Transform]

    def __post_init__(self) -> None:
        if isinstance(self.transforms, Transform) and not isinstance(self.transforms, Iterable):
            raise TypeError(
                f"ComposeTransforms takes a list: write ComposeTransforms([{self.transforms!r}, "
                f"...]), or {self.transforms!r} by itself"
            )
        object.__setattr__(self, "transforms", tuple(self.transforms))
        for one in self.transforms:
            _refuse_other_than_transform(one, "ComposeTransforms takes a list of transforms")
        if len(self.transforms) < 2:
            alone = "".join(f": write {one!r} by itself" for one in self.transforms)
            raise ValueError(f"two or more transforms are needed to compose{alone}")

    def __len__(self) -> int:
        return len(self.transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.transforms)

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(index) if isinstance(index, str) else self.transforms[index]

    def fold_onto(self, chain: Chain) -> Chain:
        """Return a chain of steps with all transforms at its end."""
        for transform in self:
            chain = chain.through(transform)
        return chain

    def index_array(self, ss_idxs: npt.ArrayLike, fs_idxs: npt.ArrayLike) -> tuple[Array, Array]:
        """Filter the indices of a frame; see :meth:`Transform.index_array`."""
        ss, fs = np.asarray(ss_idxs), np.asarray(fs_idxs)
        for transform in self:
            ss, fs = transform.index_array(ss, fs)
        return ss, fs

    def forward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return points after all transforms; see :meth:`Transform.forward_points`."""
        for transform in self:
            x, y = transform.forward_points(x, y)
        return x, y

    def backward_points(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Any, Any]:
        """Return points before all transforms; undoes :meth:`forward_points`."""
        for transform in reversed(self.transforms):
            x, y = transform.backward_points(x, y)
        return x, y


#: What ``transform=`` takes.
TransformLike: TypeAlias = Transform | Sequence[Transform] | None


def transform_of(given: TransformLike) -> Transform | None:
    """Return what ``transform=`` means: a transform, or several one after another.

    Raises
    ------
    TypeError
        It is neither; names what is.

    Examples
    --------
    >>> transform_of([Crop([0, 2, 0, 4]), Downscale(2)])[1]
    Downscale(scale=2, mode='stride')
    """
    takes = "transform= takes a Transform or a list of them"
    if given is None or callable(getattr(given, "index_array", None)) or isinstance(given, str):
        if given is not None:
            _refuse_other_than_transform(given, takes)
        return cast("Transform | None", given)
    several = tuple(given) if isinstance(given, Sequence) else (given,)
    for one in several:
        _refuse_other_than_transform(one, takes)
    if len(several) < 2:
        return several[0] if several else None
    return ComposeTransforms(several)


def is_constant(transform: TransformLike) -> bool:
    """Tell whether a transform always does the same, and equals one that does so."""
    if isinstance(transform, ComposeTransforms):
        return type(transform) is ComposeTransforms and all(map(is_constant, transform.transforms))
    return type(transform) in (Crop, Downscale, Mirror, Slices)


def _refuse_other_than_transform(one: object, takes: str) -> None:
    """Raise TypeError for what is no transform; an `index_array` is the least that one has."""
    if isinstance(one, type):
        raise TypeError(f"{takes}, not the class {one.__name__}: give its arguments in brackets")
    if not callable(getattr(one, "index_array", None)):
        raise TypeError(f"{takes}, not {type(one).__name__} {one!r:.80}")


def of_rows(transform: Transform | None, first: int, last: int, columns: int) -> Transform:
    """Return a transform that gives some rows of what another gives, all columns of them.

    Examples
    --------
    >>> from cxistack.transforms.transforms import of_rows
    >>> of_rows(Downscale(2), 1, 3, 4).forward(np.arange(48).reshape(6, 8))
    array([[16, 18, 20, 22],
           [32, 34, 36, 38]])
    """
    band = Crop([first, last, 0, columns])
    return band if transform is None else ComposeTransforms([transform, band])
