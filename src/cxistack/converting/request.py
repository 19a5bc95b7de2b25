"""ConvertRequest: what a user asks of a conversion, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import DTypeLike

from ..catalogue.frames import FrameSelection
from ..errors import AttributeMissingError
from ..kernels import Casting
from ..protocol.attribute import Attribute
from ..saving import photons
from ..store.store import CXIStore
from ..transforms.base import Transform

__all__ = ["LEAVE_OUT", "ConvertRequest", "listed", "names_of"]


LEAVE_OUT = "name the attributes that you want without it (attributes=, --attributes)"


@dataclass(frozen=True)
class ConvertRequest:
    """What is converted, and how; see the arguments of :func:`~cxistack.convert`."""

    attributes: tuple[str, ...]
    idxs: FrameSelection
    transform: Transform | None
    dtype: DTypeLike | None
    casting: Casting
    sources: Mapping[str, int | str]
    by_frame: tuple[str, ...]
    compression: str | Mapping[str, Any] | None
    chunks: Sequence[int] | None
    num_threads: int | None
    virtual: bool = False

    def __post_init__(self) -> None:
        if self.virtual and "data" not in self.attributes:
            raise ValueError("virtual= leaves 'data' where it is, which is not converted")
        for option, given in (("by_frame=", self.by_frame), ("sources=", self.sources)):
            for attr in given:
                if attr not in self.attributes:
                    raise ValueError(f"{option} names {attr!r}, which is not converted")

    def of(self, names: Sequence[str]) -> ConvertRequest:
        """Return the same of some of the attributes."""
        left: dict[str, Any] = {"sources": {}, "by_frame": (), "virtual": False}
        return replace(self, attributes=tuple(names), **left)


def listed(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names, each once; a single one may be given as it is."""
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def names_of(
    source: CXIStore, target: CXIStore, attributes: Iterable[str] | None
) -> tuple[str, ...]:
    """Return the attributes that are converted, each of which the run and the target know alike.

    When None, these are all that the run has and the target has a place for.
    """
    if not source.found:
        raise AttributeMissingError(
            "nothing to convert: the run's protocol finds none of its attributes in "
            f"{source.filenames()[0]}. Read the run by another protocol"
        )
    if attributes is None:
        attributes = [attr for attr in source.found if attr in target.protocol]
    names = listed(attributes)
    if not names:
        raise AttributeMissingError(
            f"none of the run's attributes ({', '.join(source.found)}) has a place in the target's "
            "protocol, or none of them is named"
        )
    for attr in names:
        if attr not in source:
            source.describe(attr)  # raises, and says where it was looked for
        if attr not in target.protocol:
            raise ValueError(f"the target's protocol has no place for {attr!r}")
        _check_alike(source.protocol.attribute(attr), target.protocol.attribute(attr))
    places: dict[str, str] = {}
    for attr in names:
        path = photons.saved_path(target._catalogue, attr)
        other = places.setdefault(path, attr)
        if other != attr:
            raise ValueError(
                f"the target's protocol puts both {other!r} and {attr!r} at {path}: give one of "
                "them another first path"
            )
    return names


def _check_alike(run: Attribute, target: Attribute) -> None:
    """Raise where an attribute is of another kind in the target, or no number in one of both."""
    if run.kind != target.kind:
        raise ValueError(
            f"{run.name!r} is a {run.kind} by the run's protocol and a {target.kind} by the "
            "target's: give both the same kind"
        )
    if run.datatype != target.datatype and not (run.is_number and target.is_number):
        raise ValueError(
            f"{run.name!r} is of type {run.datatype} by the run's protocol and of "
            f"{target.datatype} by the target's: give both the same type"
        )
