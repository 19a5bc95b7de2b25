"""What is in a file: every object once, under all its names, with what tells what it is.

No pixel is read. What cannot be followed or read is noted, and the tour goes on.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import h5py
import numpy as np

from ..errors import CXIError
from .files import Files
from .links import LinkPolicy, Place, resolve
from .messages import DAMAGE
from .names import natural_key
from .stored import address_of, storage_name

__all__ = ["Seen", "Tour", "children", "tour"]

MOST_OBJECTS = 1_000_000

_TELLING = frozenset(("NX_class", "axes", "default", "interpretation", "signal", "units"))
_READ = frozenset(("cxi_version", "number_of_entries"))
_LONGEST = 4096  # bytes of an attribute or a value that is read


@dataclass
class Seen:
    """A group, which has no shape, type and storage, or a dataset."""

    path: str  # in the file that the tour began with; through links where there is no other
    place: Place
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    storage: str = ""  # see storage_name
    attributes: Mapping[str, Any] = field(default_factory=dict)  # those of _TELLING
    value: Any = None  # of those of _READ
    aliases: list[str] = field(default_factory=list)  # other names

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return self.shape is None

    @property
    def is_text(self) -> bool:
        """Whether it is a dataset of strings."""
        return self.dtype is not None and h5py.check_string_dtype(self.dtype) is not None

    @property
    def name(self) -> str:
        """The last piece of its path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """Path of the group that it is in."""
        return self.path.rpartition("/")[0] or "/"

    @property
    def paths(self) -> tuple[str, ...]:
        """All its names."""
        return (self.path, *self.aliases)


@dataclass(frozen=True)
class Tour:
    """What was seen in a file, in the order in which it was seen."""

    filename: str
    seen: Mapping[str, Seen]  # groups and datasets by their paths
    troubles: Mapping[str, str]  # by their paths, what cannot be followed or read, and why

    @property
    def datasets(self) -> list[Seen]:
        """The datasets."""
        return [one for one in self.seen.values() if not one.is_group]

    @property
    def groups(self) -> list[Seen]:
        """The groups."""
        return [one for one in self.seen.values() if one.is_group]

    @cached_property
    def _by_name(self) -> Mapping[str, Seen]:
        return {path: one for one in self.seen.values() for path in one.paths}

    @cached_property
    def _by_group(self) -> Mapping[str, list[str]]:
        names: dict[str, list[str]] = defaultdict(list)
        for path in self._by_name:
            group, _, name = path.rpartition("/")
            names[group or "/"].append(name)
        return names

    def names_in(self, path: str) -> list[str]:
        """Return the names in the group of this path, in natural order."""
        return sorted(self._by_group.get(path, ()), key=natural_key)

    def at(self, path: str) -> Seen | None:
        """Return what a path leads to, by whatever names of it and of the groups on the way."""
        here = self._by_name.get(path)
        if here is not None or path in ("/", ""):
            return here
        group, _, name = path.rpartition("/")
        parent = self.at(group or "/")
        if parent is None or parent.path == (group or "/"):
            return None
        return self.at(f"{parent.path.rstrip('/')}/{name}")


def tour(
    files: Files,
    filename: str,
    policy: LinkPolicy = "follow",
    *,
    begin: Sequence[str] | None = None,
) -> Tour:
    """Walk through a file: hard links first, then what only other links lead to.

    An object is seen once, whatever leads to it, so a circle of links is no trouble. With `begin`,
    only what is at these paths and below them is seen, and groups of other files are not entered.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    return _Walk(files, filename, policy, begin).run()


def children(files: Files, group: Place) -> list[str]:
    """Return the names in a group, in natural order."""
    with files.reading(group.filename) as h5:
        # A name in another encoding than UTF-8 comes as bytes.
        return sorted(map(os.fsdecode, h5[group.path]), key=natural_key)


def text_attribute(files: Files, place: Place, name: str) -> str | None:
    """Return a text that an object has as an HDF5 attribute, or None: it has none of that name."""
    with files.reading(place.filename) as h5:
        value = _attributes(h5[place.path].id).get(name)
    return value if isinstance(value, str) else None


def texts_in(files: Files, place: Place) -> list[str]:
    """Return the texts of a small dataset; none where it holds none."""
    with files.reading(place.filename) as h5:
        try:
            return [str(text) for text in np.atleast_1d(h5[place.path].asstr()[()])]
        except (*DAMAGE, UnicodeDecodeError):
            return []


def groups_of_class(files: Files, group: Place, wanted: str, by_name: re.Pattern[str]) -> list[str]:
    """Return the groups in a group whose ``NX_class`` is `wanted`, in natural order.

    A group without an ``NX_class`` is one of them where its name matches `by_name`. Groups of other
    files are left out.
    """
    found = []
    with files.reading(group.filename) as h5:
        parent = h5[group.path]
        for name in sorted(map(os.fsdecode, parent), key=natural_key):
            if isinstance(parent.get(name, getlink=True), h5py.ExternalLink):
                continue
            try:
                child = parent[name]
            except DAMAGE:
                continue  # it is told of when it is asked for
            if isinstance(child, h5py.Group):
                what = _attributes(child.id).get("NX_class")
                is_said = isinstance(what, str)
                if what == wanted or (not is_said and by_name.fullmatch(name)):
                    found.append(name)
    return found


class _Walk:
    """A tour that is being made."""

    def __init__(
        self, files: Files, filename: str, policy: LinkPolicy, begin: Sequence[str] | None
    ) -> None:
        self._files, self._filename, self._policy, self._begin = files, filename, policy, begin
        self._seen: dict[str, Seen] = {}
        self._known: dict[tuple[str, int], Seen] = {}
        self._troubles: dict[str, str] = {}
        self._groups: deque[tuple[str, Place]] = deque()
        self._links: deque[str] = deque()

    def run(self) -> Tour:
        """Walk until there is nothing new."""
        if self._begin is None:
            self._meet("/", Place(self._filename, "/", (), False))
        else:
            self._links.extend(self._begin)
        while self._groups or self._links:
            if len(self._seen) >= MOST_OBJECTS:
                self._troubles["/"] = f"only the first {MOST_OBJECTS:,} objects were looked at"
                break
            if self._groups:
                self._enter(*self._groups.popleft())
            else:
                self._follow(self._links.popleft())
        return Tour(self._filename, self._seen, self._troubles)

    def _enter(self, path: str, place: Place) -> None:
        with (
            self._noting(path, "cannot be read as a group"),
            self._files.reading(place.filename) as h5,
        ):
            group = h5py.h5g.open(h5.id, os.fsencode(place.path))
            for name in sorted(group, key=lambda name: natural_key(os.fsdecode(name))):
                self._look(group, name, path, place)

    @contextmanager
    def _noting(self, path: str, what: str) -> Iterator[None]:
        try:
            yield
        except DAMAGE as cause:
            self._troubles[path] = f"{what}: {cause}"

    def _look(self, group: Any, name: bytes, path: str, place: Place) -> None:
        text = os.fsdecode(name)
        child = f"{path.rstrip('/')}/{text}"
        with self._noting(child, "cannot be opened"):
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                self._links.append(child)
                return
            inner = f"{place.path.rstrip('/')}/{text}"
            node = h5py.h5o.open(group, name)
            self._note(child, Place(place.filename, inner, place.hops, False), node)

    def _follow(self, path: str) -> None:
        try:
            place = resolve(self._files, self._filename, path, self._policy)
        except (CXIError, OSError) as error:
            self._troubles[path] = str(error)
            return
        except DAMAGE as cause:
            self._troubles[path] = f"cannot be followed: {cause}"
            return
        if place is not None:
            self._meet(path, place)

    def _meet(self, path: str, place: Place) -> None:
        try:
            with self._files.reading(place.filename) as h5:
                self._note(path, place, h5py.h5o.open(h5.id, os.fsencode(place.path)))
        except DAMAGE as cause:
            if path == "/":
                raise
            self._troubles[path] = f"cannot be opened: {cause}"

    def _note(self, path: str, place: Place, node: Any) -> None:
        """Note an object and remember to go into it, unless it was met by another name."""
        with self._noting(path, "cannot be made sense of"):
            key = (place.filename, address_of(node, place.filename, place.path))
            known = self._known.get(key)
            if known is not None:
                known.aliases.append(path)
                return
            if isinstance(node, h5py.h5d.DatasetID):
                seen = _dataset(path, place, node)
            elif isinstance(node, h5py.h5g.GroupID):
                seen = Seen(path, place)
                if self._begin is None or place.filename == self._filename:
                    self._groups.append((path, place))
            else:
                return  # a named type
            seen.attributes = _attributes(node)
            self._known[key] = self._seen[path] = seen


def _dataset(path: str, place: Place, node: Any) -> Seen:
    plist = node.get_create_plist()
    storage = storage_name(plist)
    space = node.get_space()
    is_null = space.get_simple_extent_type() == h5py.h5s.NULL
    seen = Seen(
        path=path,
        place=Place(place.filename, place.path, place.hops, True),
        shape=() if is_null else space.shape,
        dtype=np.dtype("V0") if is_null else node.dtype,
        storage=storage,
    )
    is_one = not is_null and space.get_simple_extent_npoints() == 1
    if seen.name in _READ and is_one and storage not in ("external", "virtual"):
        seen.value = _plain(h5py.Dataset(node)[()])
    return seen


def _attributes(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    make = h5py.Dataset if isinstance(node, h5py.h5d.DatasetID) else h5py.Group
    for k in range(h5py.h5a.get_num_attrs(node)):
        attribute = h5py.h5a.open(node, index=k)
        name = os.fsdecode(attribute.name)
        with suppress(*DAMAGE):  # what it would have told is not told
            if name in _TELLING and 0 < attribute.get_storage_size() <= _LONGEST:
                found[name] = _plain(make(node).attrs[name])
    return found


def _plain(value: Any) -> Any:
    """Return a value as text, as a number, or as a list of these."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, np.ndarray):
        items = [_plain(item) for item in value.ravel().tolist()]
        return items[0] if len(items) == 1 else items
    return value.item() if isinstance(value, np.generic) else value
