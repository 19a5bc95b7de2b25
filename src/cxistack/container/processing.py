"""What a container makes of its frames: masks, whitefields, principal components and sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from ..catalogue.frames import FrameSelection, frame_numbers
from ..catalogue.index import FrameIndex
from ..processing import masks, pca, sums, whitefields
from ..processing.stacks import ComputedStack, Numbers, Stack, stack_of
from ..protocol.attribute import Attribute
from ..saving.request import refuse_masked
from ..store.store import CXIStore
from ..transforms.base import Transform
from ..transforms.transforms import of_rows
from .outgoing import opened

__all__ = ["MaskMethod", "MaskUpdate", "Processed", "WhitefieldMethod", "stored_stack"]


MaskMethod = Literal["no-bad", "range-bad", "perc-bad"]
MaskUpdate = Literal["reset", "multiply"]
WhitefieldMethod = Literal["median", "pca"]


class Processed:
    """The methods of :class:`STData` that process its frames.

    Frames are those of `data`. Where the container has none, they are read from the input file, a
    part at a time: its `frames` (all when None) through its `transform`. What has a frame for each
    of them is then not made in memory either, but computed when it is indexed or saved. Results are
    the same, bit for bit. In either case `mask` and `good_frames` are the container's own, and all
    pixels and frames are good where it has none: load what the file has of them first.
    """

    input_file: CXIStore
    transform: Transform | None
    _values: dict[str, Any]

    def replace(self, **attributes: Any) -> Self:
        """Return a new container with some attributes replaced."""
        raise NotImplementedError

    def _loaded(self, *kinds: str) -> list[Attribute]:
        raise NotImplementedError

    def mask_frames(self, frames: FrameSelection = None) -> Self:
        """Return a new container with other `good_frames`.

        A whitefield that it has is made anew, as :meth:`update_whitefield` does.

        Parameters
        ----------
        frames : sequence of int or boolean mask, optional
            The good frames, numbered as in the container; those with a pixel above 0 when None.

        Raises
        ------
        ValueError
            There is no `data`, neither in the container nor in its input file.
        FrameIndexError
            A frame is not there.
        """
        with opened(self.input_file):
            data = self._frames()
            if frames is None:
                good = masks.filled_frames(data)
            else:
                good = frame_numbers(frames, len(data), "data")
            return self._with_its_whitefield(good_frames=good)

    def update_mask(
        self,
        method: MaskMethod = "perc-bad",
        pmin: float = 0.0,
        pmax: float = 99.99,
        vmin: float = 0,
        vmax: float = 65535,
        update: MaskUpdate = "reset",
    ) -> Self:
        """Return a new container with another `mask`.

        A whitefield that it has is made anew, as :meth:`update_whitefield` does.

        Parameters
        ----------
        method : {"perc-bad", "range-bad", "no-bad"}
            Which pixels are good: those that differ from the median of the 3 x 3 pixels around them
            by a value within the percentiles `pmin` and `pmax` of all such differences, both
            included; those of ``vmin <= data < vmax``; all.
        pmin, pmax : float
            Percentiles of "perc-bad", as :func:`numpy.percentile` defines them. Beyond its edges a
            frame is mirrored for the median, as in :func:`scipy.ndimage.median_filter`.
        vmin, vmax : float
            Limits of "range-bad". NaN is bad.
        update : {"reset", "multiply"}
            Whether the new mask replaces the one that is there, or a pixel must be good in both.
            With "multiply", pixels that are bad already count as 0.

        Raises
        ------
        ValueError
            There is no `data`; a word or limit makes no sense; with "perc-bad", a pixel that is not
            bad already is NaN or infinite, or there are no pixels.

        Notes
        -----
        The definitions are those of pyrost 0.7.7. There "perc-bad" takes differences as 32-bit
        integers, which wrap around and lose fractions; they are exact here.

        Examples
        --------
        >>> st = STData(CXIStore(example_run)).load("data", verbose=False)
        >>> st.update_mask("range-bad", vmax=600).mask.sum(axis=(1, 2))
        array([320, 320, 300, 200, 100,   0])
        >>> STData(CXIStore(example_run)).update_mask("range-bad", vmax=600).mask
        <bool (6, 16, 20), computed when it is indexed>
        """
        _check_word("method", method, get_args(MaskMethod))
        _check_word("update", update, get_args(MaskUpdate))
        if not vmin < vmax:
            raise ValueError(f"vmin must be less than vmax, not {vmin!r} and {vmax!r}")
        if not 0 <= pmin < pmax <= 100:
            raise ValueError(
                f"pmin must be less than pmax, and both 0 to 100, not {pmin!r} and {pmax!r}"
            )
        with opened(self.input_file):
            data = self._frames()
            old = self._mask(data) if update == "multiply" else None
            mask: Any = np.broadcast_to(np.True_, data.shape)
            if method == "no-bad":
                mask = mask if old is None else old
            else:
                if method == "range-bad":
                    mask = masks.range_mask(data, vmin, vmax)
                else:
                    mask = masks.percentile_mask(data, pmin, pmax, old)
                mask = mask if old is None else masks.both_good(mask, old)
            return self._with_its_whitefield(mask=mask)

    def update_whitefield(self) -> Self:
        """Return a new container whose `whitefield` is the median over the good frames.

        Of each pixel the good values count. The whitefield has the type of `data`: of an even
        number of values it is the lower of the two in the middle. A pixel that is bad in all good
        frames is 0.

        Raises
        ------
        ValueError
            There is no `data` or no good frame, or a good pixel is NaN.

        Examples
        --------
        >>> st = STData(CXIStore(example_run), good_frames=[0, 2, 3]).update_whitefield()
        >>> st.whitefield[:2, :3]
        array([[300, 301, 302],
               [320, 321, 322]], dtype=uint16)
        """
        with opened(self.input_file):
            return self.replace(whitefield=self._whitefield(self._frames()))

    def update_whitefields(
        self,
        method: WhitefieldMethod = "median",
        size: int = 11,
        cor_data: Any = None,
        effs: Any = None,
    ) -> Self:
        """Return a new container with `whitefields`, one for each frame.

        Parameters
        ----------
        method : {"median", "pca"}
            "median": of each pixel the median over `size` frames, of those values that are good and
            off the `whitefield` by less than ``3 * sqrt(whitefield)``; 0 where the frame's own
            value is not among them (see :func:`~cxistack.processing.whitefields.moving_medians`).
            "pca": the whitefield, and the projection on eigen flat-fields of what is left of the
            frame without it (see :func:`~cxistack.processing.pca.eigen_whitefields`).
        size : int
            How many frames "median" is over: ``size // 2`` before the frame, and those that follow.
        cor_data : Stack, shape (frames, ss, fs), optional
            What "pca" projects, of every frame; the good pixels of ``data - whitefield`` when None.
        effs : array_like, shape (components, ss, fs)
            The eigen flat-fields of "pca": the first of those that :meth:`get_pca` gives. They are
            taken into memory.

        Raises
        ------
        ValueError
            There is no `data`; "pca" without `effs`; shapes do not fit; a value that counts is NaN
            or infinite; there is no whitefield, as no frame is good.

        Notes
        -----
        A container without a `whitefield` takes that of :meth:`update_whitefield`.
        """
        _check_word("method", method, get_args(WhitefieldMethod))
        if method == "pca" and effs is None:
            raise ValueError('method="pca" needs effs=: eigen flat-fields, as get_pca() gives them')
        with opened(self.input_file):
            data = self._frames()
            mask, whitefield = self._mask(data), self._whitefield_there(data)
            if method == "median":
                made = whitefields.moving_medians(data, mask, whitefield, size)
                return self.replace(whitefield=whitefield, whitefields=made)
            if cor_data is None:
                numbers = np.arange(len(data))
                cor_data = pca.background_corrected(data, mask, whitefield, numbers)
            elif cor_data.shape != data.shape:
                raise ValueError(
                    f"cor_data has shape {cor_data.shape}, and whitefields are made for frames of "
                    f"shape {data.shape}: leave it out where some frames are not good"
                )
            made = pca.eigen_whitefields(cor_data, np.asarray(effs), whitefield)
        return self.replace(whitefield=whitefield, whitefields=made)

    def get_pca(self) -> tuple[Any, Any, NDArray[np.float64]]:
        """Return the principal components of the good frames.

        Returns
        -------
        cor_data : Stack, shape (good frames, ss, fs)
            ``data - whitefield``, and 0 where a pixel is bad. Of int64, or of float64 where `data`
            or the whitefield is of floats or of uint64.
        effs : Stack of float64, shape (good frames, ss, fs)
            The eigen flat-fields, the largest eigenvalue's first; see
            :func:`~cxistack.processing.pca.eigen_flat_fields`.
        eig_vals : ndarray of float64, shape (good frames,)
            Their eigenvalues, divided by the sum of all.

        Raises
        ------
        ValueError
            There is no `data` or no good frame; a good pixel is NaN or infinite; all good pixels
            equal the whitefield.

        Notes
        -----
        The method is that of V. Van Nieuwenhove et al., Optics Express 23, 27975 (2015). Where
        `data` is not in memory, `cor_data` and `effs` are computed when they are indexed: of `effs`
        take the first few, ``effs[:10]``, as 16 of them take a pass over the frames.

        Examples
        --------
        >>> st = STData(CXIStore(example_run)).load("data", verbose=False)
        >>> cor_data, effs, eig_vals = st.get_pca()
        >>> cor_data.shape, cor_data.dtype, effs.shape, np.round(eig_vals, 3) + 0.0
        ((6, 16, 20), dtype('int64'), (6, 16, 20), array([1., 0., 0., 0., 0., 0.]))
        >>> st.update_whitefields("pca", effs=effs[:1]).whitefields.shape
        (6, 16, 20)
        """
        with opened(self.input_file):
            data = self._frames()
            whitefield, good = self._whitefield_there(data), self._good(data)
            cor_data = pca.background_corrected(data, self._mask(data), whitefield, good)
            return (cor_data, *pca.eigen_flat_fields(cor_data))

    def integrate_data(self, axis: int = 0) -> Self:
        """Return a new container with the good pixels of `data` summed over a detector axis.

        Parameters
        ----------
        axis : {0, 1}
            The slow or the fast axis; it stays, with length 1. All other frames and stacks are
            dropped, as they do not fit the sums.

        Raises
        ------
        ValueError
            There is no `data`; the axis is another; a good pixel is NaN; a sum does not fit.
        """
        with opened(self.input_file):
            data = self._frames()
            summed = sums.integrated(data, self._mask(data), axis)
        pixels = dict.fromkeys(attribute.name for attribute in self._loaded("frame", "stack"))
        return self.replace(**{**pixels, "data": summed})

    # ---------------------------------------------------------------- what they work on

    def _frames(self) -> Stack:
        """Return the frames that are processed: `data`, or what the input file has of it."""
        data = self._values.get("data")
        if data is not None:
            refuse_masked(data)
            array: Stack = stack_of(data)
            if len(array.shape) < 3:
                raise ValueError(
                    f"data has shape {array.shape}: frames are needed, (frames, ss, fs)"
                )
            return array
        store = self.input_file
        if "data" not in store:
            raise ValueError("there is no 'data', neither in the container nor in its input file")
        return stored_stack(self, "data")

    def _good(self, data: Stack) -> NDArray[np.int64]:
        return frame_numbers(self._values.get("good_frames"), len(data), "data")

    def _mask(self, data: Stack) -> Any:
        """Return the mask as a stack; None where the container has none."""
        mask = self._values.get("mask")
        if mask is None:
            return None
        mask = stack_of(mask)
        if mask.shape == data.shape[1:]:
            mask = np.broadcast_to(mask, data.shape)
        if mask.shape != data.shape:
            raise ValueError(
                f"the mask has shape {mask.shape}, and the frames have {data.shape}: load both "
                "with the same idxs and transform"
            )
        return mask

    def _with_its_whitefield(self, **attributes: Any) -> Self:
        """Replace attributes and the whitefield, if there was one: it belongs to what there was."""
        new = self.replace(**attributes, whitefield=None)
        had_one = self._values.get("whitefield") is not None
        return new.update_whitefield() if had_one and len(new._good(new._frames())) else new

    def _whitefield(self, data: Stack) -> NDArray[Any]:
        return whitefields.whitefield_of(data, self._mask(data), self._good(data))

    def _whitefield_there(self, data: Stack) -> NDArray[Any]:
        whitefield = self._values.get("whitefield")
        return self._whitefield(data) if whitefield is None else np.asarray(whitefield)


def stored_stack(container: Processed, attr: str) -> ComputedStack:
    """Return a stack of the input file, read when it is indexed: the container's frames of it."""
    store, transform = container.input_file, container.transform
    (count, *frame), dtype = store.describe(attr, transform=transform)
    numbers = container._values.get("frames")
    numbers = np.arange(count) if numbers is None else np.asarray(numbers)
    ss, fs = frame[-2:]
    threads = container._values.get("num_threads")
    index = store._prepare(attr).index
    rule = _Input(attr, store, transform, numbers, threads, (ss, fs), index)
    return ComputedStack((len(numbers), *frame), dtype, rule)


@dataclass(frozen=True)
class _Input:
    """Reads the frames of an input file by their numbers among those that are processed."""

    attr: str
    store: CXIStore
    transform: Transform | None
    frames: NDArray[np.int64]
    num_threads: int | None
    shape: tuple[int, int]  # of a frame, transformed
    index: FrameIndex  # whose numbers they are

    def __call__(self, numbers: Numbers, rows: slice) -> NDArray[Any]:
        transform, (ss, fs) = self.transform, self.shape
        if (rows.start, rows.stop) != (0, ss):
            transform = of_rows(transform, rows.start, rows.stop, fs)
        with opened(self.store):
            read: NDArray[Any] = self.store.load_attribute(
                self.attr,
                self.frames[numbers],
                transform=transform,
                num_threads=self.num_threads,
                verbose=False,
            )
            self.index.refuse_moved(self.store._prepare(self.attr).index, self.attr)
        return read


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
