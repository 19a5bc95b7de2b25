"""The table of what is there: what a store shows of itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

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
from ..markup import notebook, notes
from ..markup import table as markup_table

__all__ = ["html", "rows", "summary", "table"]


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
    if problems := _problems(catalogue):
        text += ["Problems:", *(f"    {one}" for one in problems)]
    return "\n".join(text)


def html(catalogue: Catalogue, mode: str, thumbnail: str) -> str:
    """Return what :func:`table` says as HTML, beside a thumbnail that is HTML."""
    lines = rows(catalogue)
    return notebook(
        _title(catalogue, mode),
        markup_table(HEADER, lines) if lines else "",
        thumbnail,
        notes(_notes(catalogue, lines)),
        notes(_problems(catalogue), are_bad=True),
    )


def summary(catalogue: Catalogue, mode: str) -> str:
    """Return the part of :func:`table` that tells what is there, without what is wrong."""
    found = rows(catalogue)
    lines = [HEADER, *found]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER) - 1)]
    text = [_title(catalogue, mode)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        text.append("  ".join([" ", *cells, line[-1]]))
    return "\n".join([*text, *(f"    {one}" for one in _notes(catalogue, found))])


def _title(catalogue: Catalogue, mode: str) -> str:
    names = catalogue.files.names
    title = names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} ... {names[-1]}"
    return f"CXIStore ({mode}): {shown(title)}"


def _notes(catalogue: Catalogue, found: Sequence[object]) -> list[str]:
    """Say which entry is read, that nothing was found, and what another protocol would find."""
    told = [entries] if (entries := _entries(catalogue)) else []
    if not found:
        told.append("(none of the protocol's attributes)")
    more = addition(catalogue)
    return told if more is None else [*told, str(more)]


def _problems(catalogue: Catalogue) -> list[str]:
    """Return the first problems, those that many files have alike as one."""
    alike = folded(misfits(catalogue))
    told = []
    for one in alike[:10]:
        others = f" (and {len(one) - 1} more files alike)" if len(one) > 1 else ""
        told.append(f"{one[0]}{others}")
    if len(alike) > 10:
        told.append(f"... and {sum(map(len, alike[10:]))} more: see store.problems")
    return told
