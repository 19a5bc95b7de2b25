"""Whether files that say they are CXI are CXI 1.6: each file is walked through and held against it.

The rules are in ``cxi_rules``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..catalogue.catalogue import Catalogue
from ..hdf5.files import Files
from ..hdf5.links import Place
from ..hdf5.messages import DAMAGE
from ..hdf5.names import natural_key
from ..hdf5.tour import Seen, children, tour
from . import cxi_rules as rules
from .findings import Finding
from .request import CheckRequest

__all__ = ["conformance", "conforms"]


def conforms(catalogue: Catalogue, request: CheckRequest) -> Iterator[Finding]:
    """Find what is not as CXI 1.6 has it, where that is asked for."""
    if request.conformance:
        for number in filter(catalogue.opens, catalogue.numbers):
            yield from conformance(catalogue.files, number)


def conformance(files: Files, number: int) -> list[Finding]:
    """List what of a file is not CXI 1.6; nothing of a file that does not say that it is CXI.

    A file says so by a ``cxi_version`` or an ``entry_1``, but not by an ``entry_1`` that says it is
    of another layout (``definition``). Other files that it links to are not looked at.

    Raises
    ------
    StorageError
        The file cannot be opened.
    """
    path = files.paths[number]
    with files.reading(path):
        try:
            found = list(_departures(files, path))
        except DAMAGE as cause:
            sentence = f"HDF5 cannot make sense of the file: {cause}"
            found = [Finding("conforms", "", "", sentence, "/", rule="readable")]
    return [replace(one, filename=files.names[number]) for one in dict.fromkeys(found)]


def _departures(files: Files, filename: str) -> Iterator[Finding]:
    root = children(files, Place(filename, "/", (), False))
    entries = [name for name in root if re.fullmatch(r"entry_[0-9]+", name)]
    begin = ["/cxi_version", "/number_of_entries", *(f"/{name}" for name in entries)]
    seen = tour(files, filename, begin=begin)
    is_other = seen.at("/entry_1") is None or seen.at("/entry_1/definition") is not None
    if seen.at("/cxi_version") is None and is_other:
        return
    yield from rules.about_file(seen, entries)
    own = [one for one in seen.seen.values() if one.place.filename == filename]
    own.sort(key=lambda one: (not one.is_group, natural_key(one.path)))
    for one in own:
        if one.is_group:
            yield from rules.about_group(seen, one.path)
        elif one.path.count("/") > 1:  # it lies in an entry
            yield from rules.about_dataset(seen, one)
            if one.name in rules.TIMES:
                yield from rules.times(one.path, _texts(files, one))


def _texts(files: Files, one: Seen) -> list[str] | None:
    """Return the texts of a dataset; None where it has none, or keeps them in raw files."""
    if not one.is_text or one.storage == "external":  # of raw files nothing is read, or told
        return None
    with files.reading(one.place.filename) as h5:
        values = np.atleast_1d(h5[one.place.path][()])
    return [text.decode(errors="replace") if isinstance(text, bytes) else text for text in values]
