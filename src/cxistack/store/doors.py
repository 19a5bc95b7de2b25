"""The store's doors to other tools: what they ask a store for, by their own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..hdf5.patience import read_again
from ..transforms.transforms import TransformLike
from . import identifiers as ids
from .drawn import Drawn
from .lazy import LazyArray

__all__ = ["Doors"]


class Doors(Drawn):
    """What notebooks and other libraries ask of a store; see :class:`CXIStore`."""

    def _ipython_key_completions_(self) -> list[str]:
        """Complete ``store["<tab>"]`` by the attributes that the files have."""
        return list(self)

    def frames(self, **identifiers: Any) -> NDArray[np.int64]:
        """Return the numbers of the frames that have identifiers: trains, pulses, events.

        Parameters
        ----------
        **identifiers
            Values by name. A name is an attribute of the protocol that has a value for each frame
            (`trainId` is `train_id`, too), or a dataset beside the frames or in a group above them:
            EuXFEL's ``trainId`` and ``pulseId``, CXI's ``experiment_identifier``.

            * A value or a list of them: the frames that have each, in the order of the list; of one
              value, which several frames may have, in the order of the run.
            * ``slice(first, stop)`` or a range: the frames with a value from `first` to before
              `stop`, in the order of the run, whether or not each value is there.

            Of several names, the frames that have all, in the order of the first.

        Returns
        -------
        ndarray of int64
            Numbers, as `idxs` of :meth:`load_attribute` takes them.

        Raises
        ------
        FrameIndexError
            No frame has a value that is asked for; names it.
        AttributeMissingError, LayoutError
            There are no such identifiers, or not one for each frame.

        Examples
        --------
        >>> store = CXIStore("events.cxi", "w")
        >>> store.save_attribute("data", np.zeros((3, 4, 6), "uint16"))
        >>> store.frames(experiment_identifier=["2", "0"])
        array([2, 0])
        """
        self._check_open()
        return read_again(lambda: ids.frames_by(self._catalogue, identifiers), self.update_indices)

    def to_xarray(
        self,
        *,
        chunks: Any = None,
        transform: TransformLike = None,
        dtype: DTypeLike | Mapping[str, DTypeLike] | None = None,
        drop_variables: str | Iterable[str] | None = None,
        identifiers: str | Iterable[str] = (),
    ) -> Any:
        """Return all attributes as one :class:`xarray.Dataset`, which is read as it is used.

        Dimensions are frame, ss and fs (slow and fast scan), and module before these where frames
        have modules; what is of another length has dimensions of its own. A mask is True where a
        pixel is good, so that ``ds["data"].where(ds["mask"])`` has NaN elsewhere; one that stands
        for all frames has no frame axis. Coordinates are the numbers of frames in the run (frame),
        a number or a text that each frame has (train and event numbers, identifiers), translations,
        the pixels' numbers in a whole frame (ss, fs), also after a transform, and their places (y,
        x) where pixel sizes are known. ``attrs["units"]`` is the unit that the protocol, or else
        the files, state.

        The store stays open for as long as the Dataset is read. To other processes it goes by
        pickle, as names; they open the files themselves. The same is had from files by
        ``xarray.open_dataset(names, engine="cxistack")``, which also closes them.

        Parameters
        ----------
        chunks : int, dict, "auto" or None
            As for :func:`xarray.open_dataset`: None reads by NumPy, all else makes Dask arrays. For
            ``{}`` chunks have 16 MiB of whole frames; no stored chunk is in two of them.
        transform : Transform or list of them, optional
            What is done to what has pixels.
        dtype : dtype, or dict of them by attribute, optional
            Type that values are loaded as. One dtype is for all that has pixels, but masks.
        drop_variables : str or list of str, optional
            Attributes that are left out.
        identifiers : str or list of str
            Datasets beside the frames that become coordinates of them, by the names that
            :meth:`frames` takes, as "experiment_identifier". They are read at once.

        Raises
        ------
        ImportError
            xarray is not installed.
        AttributeMissingError
            Nothing of the protocol is there.
        LayoutError, CastError, LinkError, StorageError
            An attribute does not fit the protocol, or cannot be read: leave it out.

        Examples
        --------
        >>> ds = CXIStore(example_run).to_xarray(transform=Downscale(2, mode="sum"))
        >>> ds["data"].dims, ds["data"].dtype, ds["ss"].values[:3]
        (('frame', 'ss', 'fs'), dtype('uint64'), array([0.5, 2.5, 4.5]))
        >>> ds["data"].sel(frame=5, ss=2.5, method="nearest").values[:2]
        array([2602, 2610], dtype=uint64)
        """
        from ..adapters.xarray import opened

        words = {"transform": transform, "dtype": dtype, "drop_variables": drop_variables}
        return opened(self, chunks, {**words, "identifiers": identifiers})

    def _lazy(self, attr: str, **words: Any) -> LazyArray:
        """Return an attribute that is loaded as `words` say, if it has no type by itself, too."""
        self._check_open()
        return LazyArray(self, attr, words)

    def _identifiers(self, name: str) -> NDArray[Any]:
        """Return what identifies each frame; see :meth:`frames`."""
        self._check_open()
        return read_again(lambda: ids.identifiers(self._catalogue, name), self.update_indices)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what is another when a file of the run has changed, or is looked at otherwise."""
        tokens = [self._lazy(attr).__dask_tokenize__() for attr in self.found]
        return ("cxistack.CXIStore", *self.paths(), *tokens)
