"""A container whose stacks are Dask arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from ..store.store import CXIStore
from .processing import Processed

__all__ = ["OnDask"]


class OnDask(Processed):
    """The door of :class:`STData` to Dask."""

    def to_dask(
        self,
        attributes: str | Iterable[str] | None = None,
        chunks: Any = "auto",
        *,
        num_threads: int = 1,
    ) -> Self:
        """Return a new container whose stacks are Dask arrays, of its frames and transform.

        All that Dask offers is then done to ``st.data``. The container's own methods take a Dask
        array in blocks of frames, each computed when it comes, and so does :meth:`save`.

        Parameters
        ----------
        attributes : str or list of str, optional
            Stacks of the input file. When None, those that the container has no value of.
        chunks, num_threads
            As for :meth:`LazyArray.to_dask`.

        Raises
        ------
        ImportError
            Dask is not installed.
        ValueError
            An attribute is no stack.
        AttributeMissingError, LayoutError
            As :meth:`CXIStore.load_attribute`.

        Examples
        --------
        >>> st = STData(CXIStore(example_run), transform=Crop([0, 4, 0, 8])).to_dask()
        >>> st.data.shape, int(st.data.sum().compute())
        ((6, 4, 8), 73632)
        """
        store: CXIStore = self.input_file
        kinds = store.protocol.kinds
        if attributes is None:
            names = [
                attr
                for attr in store.found
                if kinds[attr] == "stack" and self._values.get(attr) is None
            ]
        else:
            names = [attributes] if isinstance(attributes, str) else list(attributes)
        for attr in names:
            if attr not in kinds or kinds[attr] != "stack":
                raise ValueError(f"{attr!r} is no stack: load it, load({attr!r})")
        frames = self._values.get("frames")
        arrays: dict[str, Any] = {}
        for attr in names:
            lazy = store[attr]
            if self.transform is not None:
                lazy = lazy.transform(self.transform)
            array = lazy.to_dask(chunks, num_threads=num_threads)
            is_all = frames is None or np.array_equal(frames, np.arange(len(array)))
            arrays[attr] = array if is_all else array[np.asarray(frames)]
        if frames is None and store.frame_count:
            arrays["frames"] = store.indices()
        return self.replace(**arrays)
