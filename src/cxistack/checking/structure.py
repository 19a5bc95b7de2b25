"""Checks that read no pixel: all is there and fits the protocol, and the files agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..catalogue.catalogue import Catalogue
from ..catalogue.locate import Found
from ..hdf5.stored import leaves
from . import agreement
from .findings import Finding
from .problems import misfits
from .request import CheckRequest

__all__ = ["agrees", "is_there"]


def is_there(catalogue: Catalogue, request: CheckRequest) -> Iterator[Finding]:
    """Find files that do not open, links and sources that lead nowhere, shapes that do not fit."""
    for problem in misfits(catalogue):
        if not problem.attribute or problem.attribute in request.attributes:
            yield replace(problem, check="there")
    names = catalogue.files.names
    found = {attr: catalogue.found(attr) for attr in request.attributes}
    if not any(map(catalogue.opens, catalogue.numbers)):
        return  # what they would hold nobody knows
    for attr in found:
        if request.are_required and not catalogue.has(attr):
            paths = ", ".join(catalogue.protocol.attribute(attr).paths)
            cause = f"it is in none of the {len(names)} files; looked at {paths}"
            yield Finding("there", attr, names[0], cause)
    if not any(found.values()) and not request.are_required:
        cause = (
            "none of the protocol's attributes is here; `cxistack protocol discover` proposes a "
            "protocol for unknown files"
        )
        yield Finding("there", "", names[0], cause)
    if found.get("data"):
        yield from _idle(catalogue, found)


def _idle(catalogue: Catalogue, found: Mapping[str, Mapping[int, Found]]) -> Iterator[Finding]:
    """Find files that hold nothing of the run."""
    files = catalogue.files
    used = {
        leaf.place.filename
        for ones in found.values()
        for one in ones.values()
        for stored in one.datasets
        for leaf in leaves(stored)
    }
    is_whole = all(one.error is None for ones in found.values() for one in ones.values())
    for number in catalogue.numbers:
        has_none = not any(number in ones for ones in found.values())
        if has_none and is_whole and files.paths[number] not in used and catalogue.opens(number):
            cause = f"it has none of the attributes that {files.names[min(found['data'])]} has"
            yield Finding("there", "", files.names[number], cause)


def agrees(catalogue: Catalogue, request: CheckRequest) -> Iterator[Finding]:
    """Find types of frames and rows, scalars and images that are not the same in all files."""
    names = catalogue.files.names
    for attr in request.attributes:
        if catalogue.protocol.attribute(attr).kind == "scalar":
            continue  # its value is compared, below
        datasets = [
            (number, stored)
            for number, one in sorted(catalogue.found(attr).items())
            if one.error is None
            for stored in one.datasets
        ]
        for number, stored in datasets[1:]:
            _, first = datasets[0]
            if stored.dtype != first.dtype:
                yield Finding(
                    "agrees",
                    attr,
                    names[number],
                    f"it is {stored.dtype} here and {first.dtype} in {first.place}",
                    dataset=stored.place.path,
                )
    for problem in agreement.differences(catalogue):
        if problem.attribute in request.attributes:
            yield replace(problem, check="agrees")
