"""Whether files that say they are CXI are CXI 1.6."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.catalogue import Catalogue
from ..hdf5.conformance import conformance
from .findings import Finding, Work

__all__ = ["conforms"]


def conforms(catalogue: Catalogue, work: Work) -> Iterator[Finding]:
    """Find what is not as the format has it, where that is asked for."""
    if not work.conformance:
        return
    for number in catalogue.numbers:
        if catalogue.opens(number):
            for one in conformance(catalogue.files, catalogue.files.paths[number]):
                yield Finding(
                    "conforms",
                    "",
                    catalogue.files.names[number],
                    one.sentence,
                    one.path,
                    is_warning=one.gravity == "warning",
                )
