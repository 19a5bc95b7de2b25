"""The store's doors to other tools: what they ask a store for, by their own names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hdf5.files import read_again
from .contents import Contents
from .identifiers import frames_by

__all__ = ["Doors"]


class Doors(Contents):
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
        return read_again(lambda: frames_by(self._catalogue, identifiers), self.update_indices)
