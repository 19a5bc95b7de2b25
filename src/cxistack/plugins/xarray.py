"""The engine of ``xarray.open_dataset(..., engine="cxistack")``.

xarray imports it with the engines of all other packages, when the first file of any kind is opened:
what it needs itself is imported when it opens a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import DTypeLike
from xarray.backends import BackendEntrypoint

from ..hdf5.names import Names
from ..protocol.chosen import ProtocolName
from ..transforms.transforms import TransformLike

__all__ = ["CXIBackend"]


class CXIBackend(BackendEntrypoint):
    """Opens the files of a run as one Dataset.

    A glob or a list is one run, whose frames are numbered through all files:
    ``xarray.open_mfdataset`` is not needed. ``chunks=`` of xarray gives Dask arrays.

    Examples
    --------
    >>> import xarray as xr
    >>> ds = xr.open_dataset(example_run, engine="cxistack", transform=Crop([2, 6, 0, 8]))
    >>> ds["data"].dims, ds["data"].shape
    (('frame', 'ss', 'fs'), (6, 4, 8))
    >>> ds["data"].isel(frame=[5, 0]).sel(ss=2, fs=slice(1, 3)).values
    array([[641, 642, 643],
           [141, 142, 143]], dtype=uint16)
    >>> ds.close()
    """

    description = "CXI, NeXus and other HDF5 files of detector frames, a run of them as one"
    open_dataset_parameters = (
        "filename_or_obj",
        "protocol",
        "detector",
        "channel",
        "transform",
        "dtype",
        "drop_variables",
        "identifiers",
    )

    def open_dataset(
        self,
        filename_or_obj: Names,
        *,
        drop_variables: str | Iterable[str] | None = None,
        protocol: ProtocolName | None = None,
        detector: str | None = None,
        channel: str | None = None,
        transform: TransformLike = None,
        dtype: DTypeLike | Mapping[str, DTypeLike] | None = None,
        identifiers: str | Iterable[str] = (),
    ) -> Any:
        """Open a run; see :meth:`CXIStore.to_xarray` for what is in the Dataset.

        Parameters
        ----------
        filename_or_obj : str, path, or sequence of them
            A file, a list of files, or a glob.
        protocol, detector, channel
            As for :class:`CXIStore`.
        transform, dtype, drop_variables, identifiers
            As for :meth:`CXIStore.to_xarray`.

        Returns
        -------
        xarray.Dataset
            ``close()`` closes the files.
        """
        from ..adapters.xarray import dataset_of
        from ..store.store import CXIStore

        store = CXIStore(filename_or_obj, "r", protocol, detector=detector, channel=channel)
        try:
            dataset = dataset_of(store, transform, dtype, drop_variables, identifiers)
        except BaseException:
            store.close()
            raise
        dataset.set_close(store.close)
        return dataset

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell whether all names end on .cxi: of others, nobody knows without being told."""
        is_one = isinstance(filename_or_obj, str | os.PathLike)
        given = [filename_or_obj] if is_one else filename_or_obj
        return isinstance(given, Sequence) and bool(given) and all(map(_is_cxi, given))


def _is_cxi(name: object) -> bool:
    return isinstance(name, str | os.PathLike) and str(os.fspath(name)).endswith(".cxi")
