"""A folder as its log says it was at each moment: what a kill or a power cut leaves of it.

Nothing is run again: the calls that a save made were logged once, by the preloaded shim.c, and are
done here to a model of the folder.
"""

import struct
from collections import namedtuple
from pathlib import Path

__all__ = ["Event", "Folder", "killed", "powerless", "read_log"]

HEAD = struct.Struct("=iiqqq")
KINDS = (None, "open", "write", "truncate", "allocate", "fsync", "close", "rename", "unlink")
MARK = 10
CREATED = 0o100  # O_CREAT
EMPTIED = 0o1000  # O_TRUNC

Event = namedtuple("Event", "kind descriptor a b data")


def read_log(path):
    """Return the events of each save: the log is cut by marks."""
    raw, at, events, saves = Path(path).read_bytes(), 0, [], []
    while at < len(raw):
        op, descriptor, a, b, size = HEAD.unpack_from(raw, at)
        at += HEAD.size
        data, at = raw[at : at + size], at + size
        if op == MARK:
            saves.append(events)
            events = []
        else:
            events.append(Event(KINDS[op], descriptor, a, b, data))
    assert not events, "the log ends within a save"
    return saves


class File:
    """A file's bytes, those that are surely on the disk, and what was done to it since."""

    def __init__(self, data=b""):
        self.data = bytearray(data)
        self.synced = bytes(data)
        self.since = []

    def do(self, event):
        change(self.data, event)
        self.since.append(event)

    def sync(self):
        self.synced = bytes(self.data)
        self.since = []


def change(data, event):
    """Do to bytes what an event does to a file."""
    if event.kind == "write":
        data.extend(bytes(max(0, event.a - len(data))))
        data[event.a : event.a + len(event.data)] = event.data
    elif event.kind == "truncate":
        del data[event.a :]
        data.extend(bytes(event.a - len(data)))
    elif event.kind == "allocate":
        data.extend(bytes(max(0, event.a + event.b - len(data))))


class Folder:
    """The model: names, the files behind them, and the names that are surely on the disk."""

    def __init__(self, path, files):
        self.path = str(path)
        self.names = {name: File(data) for name, data in files.items()}
        self.synced = dict(self.names)
        self.since = []
        self.open = {}

    def do(self, event):
        """Do what one event did."""
        if event.kind == "open":
            self._open(event)
        elif event.kind == "close":
            self.open.pop(event.descriptor, None)
        elif event.kind in ("rename", "unlink"):
            self._link(*change_of_names(self, event))
        elif event.kind == "fsync":
            if self.open[event.descriptor] is self:
                self.synced = dict(self.names)
                self.since = []
            else:
                self.open[event.descriptor].sync()
        else:
            self.open[event.descriptor].do(event)

    def _open(self, event):
        name = self._name(event.data)
        if not name:
            self.open[event.descriptor] = self
            return
        if name not in self.names:
            assert event.a & CREATED, name
            self._link((name, File()))
        self.open[event.descriptor] = self.names[name]
        if event.a & EMPTIED:
            self.names[name].do(Event("truncate", event.descriptor, 0, 0, b""))

    def _link(self, *pairs):
        set_names(self.names, pairs)
        self.since.append(pairs)

    def _name(self, path):
        return path.decode().removeprefix(self.path).lstrip("/")


def set_names(names, pairs):
    """Give names to files; None takes a name away."""
    for name, file in pairs:
        names.pop(name, None)
        if file is not None:
            names[name] = file


def change_of_names(folder, event):
    """Return the pairs (name, file or None) that a rename or an unlink sets."""
    if event.kind == "unlink":
        return ((folder._name(event.data), None),)
    old, new = (folder._name(path) for path in event.data.split(b"\0"))
    return ((old, None), (new, folder.names[old]))


def killed(folder, event, name):
    """Yield what a file holds when its writer dies within an event, and after it: bytes or None."""
    if event.kind == "write":
        file = folder.open[event.descriptor]
        for size in sorted({len(event.data) // 2, 512}):
            if 0 < size < len(event.data):
                data = bytearray(file.data)
                change(data, event._replace(data=event.data[:size]))
                yield bytes(data) if folder.names.get(name) is file else _bytes(folder, name)
    folder.do(event)
    yield _bytes(folder, name)


def _bytes(folder, name):
    return bytes(folder.names[name].data) if name in folder.names else None


def powerless(folder, name, chance):
    """Yield what a file may hold after a power cut at this moment: bytes or None.

    Changes of names that the folder was not synchronised after may be missing from any of them on;
    of changes to a file since it was synchronised, any may be missing.
    """
    names = dict(folder.synced)
    states = [dict(names)]
    for pairs in folder.since:
        set_names(names, pairs)
        states.append(dict(names))
    for state in states:
        file = state.get(name)
        if file is None:
            yield None
            continue
        for kept in _subsets(file.since, chance):
            data = bytearray(file.synced)
            for event in kept:
                change(data, event)
            yield bytes(data)


def _subsets(events, chance, few=6):
    yield []
    if not events:
        return
    yield events
    some = range(len(events)) if len(events) <= few else chance.sample(range(len(events)), few)
    for number in some:
        yield events[:number] + events[number + 1 :]
    for _ in range(few):
        yield [event for event in events if chance.random() < 0.5]
