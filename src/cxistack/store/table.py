"""The table of what is there: what a store shows of itself."""

from __future__ import annotations

import re
from collections import Counter

from ..catalogue.catalogue import Catalogue
from ..catalogue.others import addition
from ..checking.findings import folded
from ..checking.problems import misfits
from ..errors import CastError, CXIError
from ..hdf5.links import Place
from ..hdf5.messages import shown
from ..hdf5.tour import groups_of_class
from ..loading.prepare import prepare
from ..loading.request import LoadRequest

__all__ = ["rows", "summary", "table"]


_ENTRY = re.compile(r"entry(_[0-9]+)?")
HEADER = ("attribute", "kind", "shape", "dtype", "found at")


def rows(catalogue: Catalogue) -> list[tuple[str, str, str, str, str]]:
    """Return one line for each attribute found: name, kind, shape, dtype, where."""
    lines = []
    for attr, found in catalogue.found_all().items():
        if not catalogue.has(attr):
            continue
        try:
            load = prepare(catalogue, LoadRequest(catalogue.protocol.attribute(attr)))
            shape, dtype = str(load.shape), "str" if load.is_text else str(load.dtype)
        except CastError:
            stored = [one.datasets[0] for one in found.values() if one.datasets]
            shape, dtype = str(stored[0].shape), f"{stored[0].dtype}: say dtype="
        except (CXIError, OSError):
            shape, dtype = "?", "see problems"
        paths = Counter(one.path for one in found.values())
        where = ", ".join(paths) or "made of limits"
        if len(catalogue.files.names) > 1 and found:
            where += f" in {len(found)} of {len(catalogue.files.names)} files"
        lines.append((attr, catalogue.protocol.get_kind(attr), shape, dtype, where))
    return lines


def _entries(catalogue: Catalogue) -> str:
    """Say which entry is read of a first file that has several; nothing of one."""
    number = next((number for number in catalogue.numbers if catalogue.opens(number)), None)
    if number is None:
        return ""
    root = Place(catalogue.files.paths[number], "/", (), False)
    names = groups_of_class(catalogue.files, root, "NXentry", _ENTRY)
    found = [one.get(number) for one in catalogue.found_all().values()]
    used = {one.path.split("/")[1] for one in found if one is not None} & {*names}
    if len(names) < 2 or not used:
        return ""
    read = ", ".join(f"/{name}" for name in names if name in used)
    return f"{read} is read, of the entries {', '.join(f'/{name}' for name in names)}"


def table(catalogue: Catalogue, mode: str) -> str:
    """Return the text that a store shows of itself."""
    text = [summary(catalogue, mode)]
    problems = misfits(catalogue)
    if problems:
        text.append("Problems:")
        alike = folded(problems)
        for one in alike[:10]:
            others = f" (and {len(one) - 1} more files alike)" if len(one) > 1 else ""
            text.append(f"    {one[0]}{others}")
        if len(alike) > 10:
            left = sum(map(len, alike[10:]))
            text.append(f"    ... and {left} more: see store.problems")
    return "\n".join(text)


def summary(catalogue: Catalogue, mode: str) -> str:
    """Return the part of :func:`table` that tells what is there, without what is wrong."""
    names = catalogue.files.names
    title = names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} ... {names[-1]}"
    lines = [HEADER, *rows(catalogue)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER) - 1)]
    text = [f"CXIStore ({mode}): {shown(title)}"]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        text.append("  ".join([" ", *cells, line[-1]]))
    if entries := _entries(catalogue):
        text.append(f"    {entries}")
    if len(lines) == 1:
        text.append("    (none of the protocol's attributes)")
    more = addition(catalogue)
    if more is not None:
        text.append(f"    {more}")
    return "\n".join(text)
