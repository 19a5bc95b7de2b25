"""Which files of a run are still written, and how many of their frames are whole."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..catalogue.index import Part
from ..hdf5.files import Files
from ..hdf5.growth import written_rows
from ..hdf5.open_writers import SWMR, marks_of
from ..hdf5.stored import leaves

__all__ = ["Readiness"]


class Readiness:
    """What is known of the writers of a run's files, as they were at the begin of a look.

    Attributes
    ----------
    marks : dict of str to int
        HDF5's marks of each file that has any.
    sources : set of str
        Files that hold frames, and are perhaps none of the run's: links lead to them.
    """

    def __init__(self) -> None:
        self.marks: dict[str, int] = {}
        self.sources: set[str] = set()
        self._locked: frozenset[int] = frozenset()
        # Of chunks of several frames, how many rows were whole at the look before.
        self._before: dict[tuple[str, int], int] = {}

    def begin(self, paths: Sequence[str], locked: frozenset[int]) -> None:
        """Note what is written now, before a look: what is closed then, is whole in the look."""
        self._locked = locked
        self.marks = {path: marks for path in paths if (marks := marks_of(path))}

    @property
    def is_closed(self) -> bool:
        """Whether no file is marked as open for writing."""
        return not self.marks

    def is_held(self, path: str, swmr: bool) -> bool:
        """Tell whether a file is to be left alone: its writer lets nobody read it yet."""
        marks = self.marks.get(path, 0)
        if swmr and marks & SWMR:
            return False
        try:
            return bool(marks) or os.stat(path).st_ino in self._locked  # noqa: PTH116
        except OSError:
            return False  # told of where it is opened

    def frames(self, files: Files, parts: Sequence[Part], given: int) -> int:
        """Return how many frames of a file are whole; the first `given` are known to be."""
        ready = 0
        for part in parts:
            whole = self._of_part(files, part, max(0, given - ready))
            ready += whole
            if whole < part.count:
                break
        return max(given, ready)

    def _of_part(self, files: Files, part: Part, given: int) -> int:
        stored = part.stored
        sources = {one.place.filename for one in leaves(stored)}
        self.sources |= sources
        for path in sources - self.marks.keys():
            if marks := marks_of(path):
                self.marks[path] = marks
        if sources.isdisjoint(self.marks):
            return part.count
        if stored.assembly is not None or not part.has_frame_axis:
            return given  # which pieces are whole is known when they are closed
        rows = written_rows(files, stored, part.row + given)
        if stored.chunks is not None and stored.chunks[0] > 1:
            # Chunks of one flush come into the index one by one: they are all in it a look later.
            rows, self._before[stored.address] = (
                min(rows, self._before.get(stored.address, 0)),
                rows,
            )
        return max(given, min(part.count, rows - part.row))
