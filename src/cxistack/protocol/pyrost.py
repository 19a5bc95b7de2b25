"""What pyrost's protocol is asked of an open file: paths, shapes, and where each frame is.

A store does not use it: it names files and borrows them (see ``catalogue/locate.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LayoutError
from ..hdf5.shapes import dataset_shapes, has_path
from .attribute import Attribute
from .lookup import Lookup

__all__ = ["OnOpenFiles"]


class OnOpenFiles(Lookup):
    """A protocol's methods that take h5py objects."""

    def find_path(self, attr: str, h5file: Any) -> str:
        """Return the first load path of `attr` that an open `h5file` has, or an empty string.

        A path with a link that leads nowhere counts as present: reading it raises LinkError, where
        taking the next path instead could load other data.
        """
        paths = self.attribute(attr).paths if attr in self.load_paths else ()
        return next((path for path in paths if has_path(h5file, path)), "")

    def read_dataset_shapes(self, path: str, h5file: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets at `path`, by their paths.

        Parameters
        ----------
        path : str
            A dataset, or a group, which stands for its direct children that are datasets, each
            once and in natural order; but one that is virtual over others stands for all.
        h5file : h5py.File
            An open file.

        Raises
        ------
        LayoutError
            If something else is there, or a dataset without a dataspace.
        LinkError
            If a link at `path`, or in the group, leads nowhere.
        """
        return dataset_shapes(path, h5file)

    def read_attribute_shapes(self, attr: str, h5file: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets of `attr` in `h5file`, by their paths."""
        return self.read_dataset_shapes(self.find_path(attr, h5file), h5file)

    def read_attribute_indices(self, attr: str, h5files: Iterable[Any]) -> npt.NDArray[Any]:
        """Return where each frame of `attr` is, a Python object each.

        It is here for those who used it; a store does not need such a list.

        Parameters
        ----------
        attr : str
            Name of the attribute.
        h5files : iterable of h5py.File
            Open files.

        Returns
        -------
        numpy.ndarray
            Objects of shape (N, 3): name of the file, path of the dataset, index of the row. The
            index is ``()`` where the whole dataset is meant.

        Raises
        ------
        LayoutError
            If a dataset has not the dimensions that its kind needs.
        """
        rows: list[tuple[str, str, Any]] = []
        for h5file in h5files:
            if shapes := self.read_attribute_shapes(attr, h5file):
                rows += _rows(self.attribute(attr), h5file.filename, shapes)
        table = np.empty((len(rows), 3), dtype=object)
        for number, row in enumerate(rows):
            table[number, 0], table[number, 1], table[number, 2] = row
        return table


def _rows(
    attribute: Attribute, filename: str, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, str, Any]]:
    """Return file, path and index of each frame; the index is ``()`` of a whole dataset."""
    for path, shape in shapes.items():
        if not attribute.fits(len(shape)):
            raise LayoutError(
                f"{filename}: {path} has shape {shape}, which cannot be the {attribute.kind} that "
                f"{attribute.name} is"
            )
        has_rows = attribute.kind == "sequence" or (attribute.kind == "stack" and len(shape) > 2)
        yield from ((filename, path, row) for row in (range(shape[0]) if has_rows else [()]))
