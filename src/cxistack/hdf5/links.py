"""Where a path leads: links walked one by one, before libhdf5 may follow them.

libhdf5 follows a link without a word wherever it points. Walked here, each hop is known and can be
shown, it can be kept to a folder, and it is named when it leads nowhere or in a circle.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import h5py

from ..errors import LayoutError, LinkError
from .files import Files
from .messages import shown
from .remote.urls import beside, is_url

__all__ = [
    "LinkPolicy",
    "Place",
    "candidates",
    "missing_files",
    "resolve",
    "resolve_file",
    "resolve_in",
]

LinkPolicy = Literal["follow", "tree"]
Prefix = Literal["HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX"]  # folders for links, and for virtual data
_MOST_HOPS = 64  # HDF5 itself follows 16


@dataclass(frozen=True)
class Place:
    """Where an object lies once every link on the way has been followed.

    Attributes
    ----------
    filename : str
        Absolute path of the file that holds it.
    path : str
        Path of the object in that file, free of links.
    hops : tuple of str
        The soft and external links on the way, for people to read.
    is_dataset : bool
        Whether it is a dataset (else a group).
    """

    filename: str
    path: str
    hops: tuple[str, ...]
    is_dataset: bool

    def __str__(self) -> str:
        return f"{shown(self.filename)}:{self.path}"


def resolve(files: Files, filename: str, path: str, policy: LinkPolicy = "follow") -> Place | None:
    """Follow `path` from the root of the file and return where it ends, or None: no such name.

    Raises
    ------
    LinkError
        A link on the way dangles, turns in a circle, or leaves the tree under ``policy="tree"``.
    """
    start = f"{filename}:{path}"
    trail = _Trail(_pieces(path))
    while True:
        outcome = _walk_file(files, filename, trail, start)
        if outcome is None:
            if trail.owed:
                raise LinkError(
                    f"{start}: a link leads nowhere ({'; '.join(trail.hops)}); what it names was "
                    "never written, or lies elsewhere"
                )
            return None
        if isinstance(outcome, Place):
            return outcome
        filename = resolve_file(files, outcome, filename, policy, start)


def resolve_in(files: Files, group: Place, name: str, policy: LinkPolicy) -> Place | None:
    """Return where `name` of a group leads; the hops that led to the group come first.

    Raises
    ------
    LinkError
        As :func:`resolve`.
    """
    place = resolve(files, group.filename, f"{group.path.rstrip('/')}/{name}", policy)
    return None if place is None else replace(place, hops=group.hops + place.hops)


@dataclass
class _Trail:
    """How far a walk has come.

    Attributes
    ----------
    todo : list of str
        The names still to be followed.
    hops : list of str
        The links behind it.
    owed : int
        How many of the names still to be followed come from a link. Where one of these is missing,
        the link leads nowhere; where a later one is, the file just does not have the path.
    """

    todo: list[str]
    hops: list[str] = field(default_factory=list)
    owed: int = 0

    def step(self) -> None:
        """Leave the first name behind."""
        self.todo = self.todo[1:]
        self.owed = max(0, self.owed - 1)

    def turn(self, pieces: list[str], hop: str) -> None:
        """Follow a link instead of the first name."""
        self.step()
        self.todo = pieces + self.todo
        self.owed += len(pieces)
        self.hops.append(hop)


def _walk_file(files: Files, filename: str, trail: _Trail, start: str) -> Place | str | None:
    """Walk within one file: to a place, to the name of another file, or to None."""
    with files.reading(filename) as h5:
        links = h5.id.links
        here: list[str] = []  # a way free of links: libhdf5 may walk it in one go
        while trail.todo:
            way = "/".join([*here, trail.todo[0]])
            name = os.fsencode(way)
            kind = _kind(h5, links, here, name)
            if kind is None:
                return None
            if kind == h5py.h5l.TYPE_HARD:
                here.append(trail.todo[0])
                trail.step()
                continue
            if len(trail.hops) >= _MOST_HOPS:
                raise LinkError(f"{start}: {_endless(trail.hops)}")
            if kind == h5py.h5l.TYPE_SOFT:
                target = os.fsdecode(links.get_val(name))
                pieces = _pieces(target) if target.startswith("/") else here + _pieces(target)
                trail.turn(pieces, f"soft link /{shown(way)} -> {shown(target)}")
                here = []
            elif kind == h5py.h5l.TYPE_EXTERNAL:
                target, inner = (os.fsdecode(part) for part in links.get_val(name))
                trail.turn(
                    _pieces(inner), f"external link /{shown(way)} -> {shown(target)}:{shown(inner)}"
                )
                return target
            else:
                raise LinkError(
                    f"{start}: /{way} is a user-defined link, which cannot be followed; name the "
                    "dataset that it means"
                )
        path = "/" + "/".join(here)
        if path != shown(path):
            raise LayoutError(
                f"{filename}:{shown(path)} has a name that is not UTF-8; give it another (a soft "
                "link beside it will do)"
            )
        node = h5py.h5o.open(h5.id, os.fsencode(path))
        if isinstance(node, h5py.h5d.DatasetID | h5py.h5g.GroupID):
            is_dataset = isinstance(node, h5py.h5d.DatasetID)
            return Place(filename, path, tuple(trail.hops), is_dataset)
        return None  # a named type: neither data nor a group of them


def _endless(hops: list[str]) -> str:
    """Say why links are not followed any further: in a circle some come again."""
    some = list(dict.fromkeys(hops))
    what = "links turn in a circle" if len(some) < len(hops) else f"more than {len(hops)} links"
    return f"{what} ({'; '.join(some[:4])}; and so on); name the dataset's own path in a protocol"


def _kind(h5: Any, links: Any, here: list[str], name: bytes) -> Any:
    """Return what kind of link `name` is, or None: there is no such name."""
    try:
        return links.get_info(name).type if links.exists(name) else None
    except (KeyError, RuntimeError, ValueError):
        parent = h5py.h5o.open(h5.id, os.fsencode("/" + "/".join(here)))
        if not isinstance(parent, h5py.h5g.GroupID):
            return None  # nothing lies below a dataset
        raise


def _pieces(path: str) -> list[str]:
    return [piece for piece in path.split("/") if piece not in ("", ".")]


def resolve_file(
    files: Files,
    target: str,
    linking: str,
    policy: LinkPolicy,
    start: str,
    prefix: Prefix = "HDF5_EXT_PREFIX",
) -> str:
    """Find the file that a link or a virtual mapping in the file `linking` means by `target`.

    The places are tried in the order of the HDF5 library (H5Lcreate_external): the name itself when
    absolute, each folder of the environment's `prefix`, the linking file's folder, the working
    folder.
    """
    for place in candidates(target, linking, prefix):
        if files.now(place) is None if is_url(place) else not Path(place).exists():
            continue
        found = place if is_url(place) else os.path.abspath(place)  # noqa: PTH100 (keeps links)
        if policy == "tree" and not files.in_tree(found):
            real = os.path.realpath(found)
            via = f", a symbolic link to {real}" if Path(found).is_symlink() else ""
            raise LinkError(
                f"{start}: leads to {found}{via}, outside the folders of the given files; "
                'links="follow" allows it'
            )
        return found
    places = ", ".join(dict.fromkeys(candidates(target, linking, prefix)))
    raise LinkError(
        f"{start}: needs the file '{shown(target)}', which is not there (looked for {places}); "
        "copy it there"
    )


def candidates(target: str, linking: str, prefix: Prefix) -> Iterator[str]:
    """Return the places where a file named in the file `linking` may be, the first one first."""
    if is_url(linking):  # never one of this machine
        yield beside(linking, Path(target).name if Path(target).is_absolute() else target)
        return
    folder = Path(linking).parent
    if Path(target).is_absolute():
        yield target
        target = Path(target).name
    for one in filter(None, os.environ.get(prefix, "").split(":")):
        yield str(Path(one.replace("${ORIGIN}", str(folder))) / target)
    yield str(folder / target)
    behind = Path(os.path.realpath(linking)).parent
    if behind != folder:
        yield str(behind / target)  # beside the file that a symbolic link stands for
    yield str(Path.cwd() / target)


def missing_files(errors: Iterable[object]) -> str:
    """Return the names of the files that :func:`resolve_file` did not find, by its sentences."""
    found = [re.search(r"needs the file ('.*?'), which is not there", str(one)) for one in errors]
    names = list(dict.fromkeys(one[1] for one in found if one is not None))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
