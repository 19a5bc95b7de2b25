"""Which chunk indexes HDF5 lists wrongly: what it says of their chunks is not to be used.

The newest file format indexes the chunks of a dataset with one unlimited axis by an extensible
array, in which that axis comes first. HDF5 does not turn the axes back where it lists the chunks
(H5Dchunk_iter, H5Dget_chunk_info and H5Dget_chunk_info_by_coord; seen in 1.10 to 2.0): the corners
are other chunks'. They may even be plausible, so that no look at them would tell. Reading is right.
"""

from __future__ import annotations

from typing import Any

import h5py

__all__ = ["why_misplaced"]


def why_misplaced(dataset: Any) -> str | None:
    """Return why the listed corners of an open dataset's chunks may be wrong; None: they are right.

    h5py cannot say how chunks are indexed. Only an object header of version 2 can have the newest
    indexes in it; it may have the old one, too, whose corners are right, and that is not seen.
    """
    limits = dataset.get_space().get_simple_extent_dims(maxdims=True)
    unlimited = [axis for axis, limit in enumerate(limits) if limit == h5py.h5s.UNLIMITED]
    if len(unlimited) != 1 or unlimited == [0] or h5py.h5o.get_info(dataset).hdr.version < 2:
        return None
    return f"HDF5 lists chunks at wrong places where only axis {unlimited[0]} is unlimited"
