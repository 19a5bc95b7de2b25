"""What a report says of a run in words and tables: its files, attributes, values, problems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checking.findings import Problem, folded
from ..errors import CXIError
from ..hdf5.messages import shown
from ..hdf5.remote.urls import is_url
from ..protocol.protocol import CXIProtocol
from ..protocol.units import conversion
from ..store.store import CXIStore
from ..store.table import rows

__all__ = ["FAILURES", "FileFacts", "attributes", "files", "frames_told", "problems", "size_told"]

#: What a part of a page may fail by; the page says so, and has the other parts.
FAILURES = (CXIError, OSError, ValueError, TypeError, ArithmeticError, MemoryError)

_MOST_VALUES = 9  # of a small array that is shown number by number


class FileFacts(NamedTuple):
    """A file of the run: its name, its bytes, and the frames of `data` in it."""

    name: str
    size: int | None
    frames: int


def files(run: CXIStore) -> list[FileFacts]:
    """Return what is known of each file; nothing is opened for it."""
    counts = dict.fromkeys(range(len(run.filenames())), 0)
    try:
        if "data" in run and run.is_indexed("data"):
            for part in run._catalogue.index("data").parts:
                counts[part.file] += part.count
    except FAILURES:
        pass  # the problems tell of it
    found = []
    for number, (name, path) in enumerate(zip(run.filenames(), run.paths(), strict=True)):
        found.append(FileFacts(shown(name), _size(run, path), counts[number]))
    return found


def _size(run: CXIStore, path: str) -> int | None:
    """Return the bytes of a file; None where it is not there."""
    try:
        if is_url(path):
            stamp = run._files.now(path)
            return None if stamp is None else stamp.size
        return Path(path).stat().st_size
    except OSError:
        return None


def size_told(size: int) -> str:
    """Return bytes as people write them.

    Examples
    --------
    >>> size_told(999), size_told(2_900_000), size_told(81_000_000_000)
    ('999 bytes', '2.9 MB', '81 GB')
    """
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return (
                f"{size / 1000**power:.2g} {unit}"
                if size < 1000**power * 99.5
                else (f"{size / 1000**power:.0f} {unit}")
            )
    return f"{size} bytes"


def protocol_told(run: CXIStore) -> str:
    """Return by which protocol a run is read."""
    known = (name for name in CXIProtocol.names() if CXIProtocol.import_named(name) == run.protocol)
    name = next(known, None)
    return "read by a protocol of its own" if name is None else f"read by the protocol {name}"


def attributes(run: CXIStore) -> list[tuple[str, ...]]:
    """Return a line for each attribute: name, kind, shape, type, unit, value, place."""
    lines: list[tuple[str, ...]] = []
    for name, kind, shape, dtype, where in rows(run._catalogue):
        unit, value = "", ""
        try:
            unit = run._unit(name) or ""
            if kind == "scalar":
                values = np.asarray(run.load_attribute(name, verbose=False))
                value = _value(values) + _in_other_words(name, values, unit)
        except FAILURES:
            value = "see problems"
        lines.append((name, kind, shape, dtype, unit, value, where))
    return lines


def _in_other_words(name: str, values: NDArray[Any], unit: str) -> str:
    """Return a value in the unit that people speak of: keV, angstrom, or what is near 1."""
    if values.size != 1 or unit not in ("m", "J") or not np.isfinite(value := float(values.item())):
        return ""
    spoken = {"energy": "keV", "wavelength": "angstrom"}.get(name)
    if spoken is None:
        small = ((1e-3, "um"), (0.1, "mm"))
        spoken = next((one for most, one in small if unit == "m" and 0 < abs(value) < most), None)
    found = None if spoken is None else conversion(unit, spoken)
    if found is None:
        return ""
    sign = {"angstrom": "Å", "um": "µm"}.get(found.wanted, found.wanted)
    return f" ({float(found.apply(value)):.6g} {sign})"


def _value(array: NDArray[Any]) -> str:
    if array.size > _MOST_VALUES:
        return f"{array.size} values"
    if array.dtype.kind in "OSU":
        return ", ".join(shown(_text(one))[:200] for one in array.ravel())
    return ", ".join(f"{one:.7g}" for one in array.ravel().tolist())


def _text(one: Any) -> str:
    return one.decode("utf-8", "backslashreplace") if isinstance(one, bytes) else str(one)


def problems(run: CXIStore, left_out: Sequence[Problem] = ()) -> list[str]:
    """Return what is wrong, each message once; of those that many files have alike, the first."""
    said = {one.message: one for one in [*left_out, *run.problems]}
    told = []
    for alike in folded(list(said.values())):
        others = f" (and {len(alike) - 1} more files alike)" if len(alike) > 1 else ""
        told.append(f"{alike[0]}{others}")
    return told


def frames_told(numbers: NDArray[np.int64], total: int) -> str:
    """Return which frames of how many were looked at."""
    if len(numbers) == total:
        return f"all {total:,} frames" if total != 1 else "the one frame"
    steps = set(np.diff(numbers).tolist())
    which = f"{len(numbers):,} of the {total:,} frames"
    if len(steps) == 1 and (step := steps.pop()) != 1:
        which += f", one in {step} from {numbers[0]} to {numbers[-1]}"
    elif len(numbers):
        which += f", from {numbers[0]} to {numbers[-1]}"
    return which
