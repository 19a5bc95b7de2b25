"""What a conversion refuses before it reads a frame: files that do not agree on one value."""

from __future__ import annotations

import numpy as np

from ..checking.agreement import disagreements
from ..errors import LayoutError
from ..protocol.attribute import Attribute, Trait
from ..saving import photons
from ..store.store import CXIStore
from .carrier import Carrier
from .request import LEAVE_OUT

__all__ = ["refuse_contradictions", "refuse_different_values", "refuse_values_by_frame"]


def _single(carrier: Carrier) -> list[Attribute]:
    """Return what the new file has one of, and of which the user named no file that counts."""
    run, request = carrier.run, carrier.request
    names = [attr for attr in request.attributes if attr not in request.sources]
    found = [attr for attr in names if run._catalogue.found(attr) and not run.is_indexed(attr)]
    return [run.protocol.attribute(attr) for attr in found]


def refuse_values_by_frame(carrier: Carrier) -> None:
    """Raise where scalars may have a value for each frame, and the user did not say so."""
    found = carrier.run._catalogue.found
    unclear = [
        attribute.name
        for attribute in _single(carrier)
        if (carrier.is_chosen or len(found(attribute.name)) > 1)
        and _may_be_by_frame(carrier.run, attribute)
    ]
    if not unclear:
        return
    attr, *others = unclear
    first = min(found(attr))
    shape, name = found(attr)[first].datasets[0].shape, carrier.run.filenames()[first]
    more = f" (and so have {', '.join(map(repr, others))})" if others else ""
    raise LayoutError(
        f"{attr!r} has shape {shape} in {name}, which has {shape[0]} frames{more}. If there is "
        "a value for each frame, say so (by_frame=, --by-frame); if not, say which file's value "
        f"is written (sources=, --source); or {LEAVE_OUT}"
    )


def _may_be_by_frame(run: CXIStore, attribute: Attribute) -> bool:
    """Tell whether a scalar has as many values in each file as that has frames."""
    if attribute.kind != "scalar" or Trait.POINT in attribute.traits or not run.frame_count:
        return False
    frames: dict[int, int] = {}
    for part in run._catalogue.index("data").parts:
        frames[part.file] = frames.get(part.file, 0) + part.count
    found = run._catalogue.usable(attribute.name)
    shapes = {number: one.datasets[0].shape for number, one in found.items()}
    return all(shape and frames.get(number) == shape[0] > 1 for number, shape in shapes.items())


def refuse_different_values(carrier: Carrier) -> None:
    """Raise where files have different values of what the new file has one of."""
    names = [attribute.name for attribute in _single(carrier)]
    differ = disagreements(carrier.run._catalogue, names, carrier.request.transform)
    if differ:
        files = carrier.run.filenames()
        raise LayoutError(
            "the new file has one value where files of the run have different ones: "
            f"{'; '.join(one.told(files) for one in differ)}. Say which file's value is written "
            f"(sources=, --source), or {LEAVE_OUT}"
        )


def refuse_contradictions(carrier: Carrier) -> None:
    """Raise where the run's energy and wavelength contradict each other."""
    target = carrier.target
    said = {
        attr: photons.Said.of(
            photons.saved_path(target._catalogue, attr),
            np.asarray(carrier.value(carrier.run.protocol.attribute(attr))),
        )
        for attr in carrier.request.attributes
        if photons.has_other(target.protocol, attr)
    }
    photons.refuse_contradictions(target._catalogue, said, carrier.run.filenames()[0])
