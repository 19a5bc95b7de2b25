"""Which built-in protocol fits a file: it finds the frames that speak for themselves, and most."""

from __future__ import annotations

import functools
from typing import NamedTuple

from ..catalogue.modules import is_pattern, matcher
from ..catalogue.others import speaks_for
from ..errors import CastError
from ..hdf5.tour import Seen, Tour
from ..protocol.protocol import CXIProtocol
from .candidates import Candidate

__all__ = ["Fit", "best_fit", "keeps_type", "leads_to", "path_in"]


class Fit(NamedTuple):
    """A built-in protocol, and its name."""

    name: str
    protocol: CXIProtocol


def best_fit(tour: Tour, frames: Candidate | None) -> Fit | None:
    """Return the built-in protocol that finds `frames`, and of these the most attributes."""
    fits = [
        fit
        for fit in _builtin()
        if _finds(fit.protocol, tour, frames) and speaks_for(fit.name, tour.at)
    ]
    return max(fits, key=lambda fit: _worth(fit.protocol, tour, frames), default=None)


def leads_to(tour: Tour, path: str) -> Seen | None:
    """Return what a load path means in a file; of a pattern over modules, the first of them."""
    if not is_pattern(path):
        return tour.at(path)
    wanted = matcher(path)
    for seen in tour.datasets:
        if any(wanted.fullmatch(name) for name in seen.paths):
            return seen
    return None


def path_in(tour: Tour, protocol: CXIProtocol, attr: str) -> str | None:
    """Return the first load path that a file has, if only as a link that leads nowhere."""
    for path in protocol.load_paths.get(attr, ()):
        if leads_to(tour, path) is not None or path in tour.troubles:
            return path
    return None


def _finds(protocol: CXIProtocol, tour: Tour, frames: Candidate | None) -> bool:
    if frames is None:
        return any(path_in(tour, protocol, attr) for attr in protocol)
    path = path_in(tour, protocol, "data")
    return path is not None and leads_to(tour, path) is frames.seen


def keeps_type(protocol: CXIProtocol, family: str) -> bool:
    """Tell whether frames of a type ("int", "uint" or "float") come in that type."""
    try:
        return protocol.attribute("data").dtype_of(f"{family}64").name == f"{family}64"
    except CastError:
        return False


def _worth(protocol: CXIProtocol, tour: Tour, frames: Candidate | None) -> tuple[int, bool, bool]:
    found = sum(path_in(tour, protocol, attr) is not None for attr in protocol)
    keeps = frames is None or keeps_type(protocol, frames.family)
    return found, keeps, protocol == CXIProtocol.import_default()


@functools.cache
def _builtin() -> tuple[Fit, ...]:
    return tuple(Fit(name, CXIProtocol.import_named(name)) for name in CXIProtocol.names())
