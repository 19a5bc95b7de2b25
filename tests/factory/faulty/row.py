"""A row of the table of faulty layouts, and the decorator that makes one of a function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from cxistack import CXIProtocol

from ..values import DATA, DISTANCE, frames

__all__ = ["GOOD_DISTANCE", "NAMES", "ROWS", "TITLE", "Row", "faulty", "run"]

#: What is right in the files, beside what is wrong: `distance`, which must load all the same.
GOOD_DISTANCE = 0.25

_TEXT = CXIProtocol(
    {"title": "str", "names": "str", "distance": "float"},
    {"title": ["/title"], "names": ["/names"], "distance": [DISTANCE]},
    {"title": "scalar", "names": "sequence", "distance": "scalar"},
)

#: What rows say that ask for text.
TITLE = {"options": {"protocol": _TEXT}, "attr": "title", "path": "/title"}
NAMES = {"options": {"protocol": _TEXT}, "attr": "names", "path": "/names"}


@dataclass(frozen=True, eq=False)
class Row:
    """A faulty layout, what is asked of it, and what must come.

    Attributes
    ----------
    name, note : str
        The layout's name, and what is wrong with it.
    make : callable
        Takes an empty folder, writes the files and returns the names to open.
    error : type of exception or None
        Its very class. None: `gives` must come.
    says : str
        A regular expression: what is wrong, where, and what can be done.
    gives : object
        The array that is right, for a layout that only looks faulty, and for a fault that is told
        in `problems` without being an error.
    attr : str
        What is asked for.
    path : str or None
        Path of the dataset that the message must name; None: the whole file is at fault.
    file : str
        Name of the file that the message must name.
    ask, options : mapping
        Further arguments of `load_attribute`, and of the store.
    shows : bool
        Whether `store.problems` lists it: where no value has to be read to tell.
    rest : bool
        Whether `distance` is in the files and loads.
    opens : bool
        Whether a store can be made at all.
    like : str
        The row that is the same fault in other files, and so in the same words.
    meanwhile : callable or None
        What is done to the first file after the store has told its problems, and before the load.
    """

    name: str
    note: str
    make: Callable[[Path], Any]
    error: type[Exception] | None
    says: str
    gives: Any = None
    attr: str = "data"
    path: str | None = DATA
    file: str = "run.cxi"
    ask: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    shows: bool = True
    rest: bool = True
    opens: bool = True
    like: str = ""
    meanwhile: Callable[[str], object] | None = None


ROWS: dict[str, Row] = {}


def faulty(error, says, *, breaks=None, count=2, **more):
    """Make a row of a function whose name and docstring are the layout's name and note.

    The function writes the files and returns their names; or breaks what is in the folder: a sound
    layout of the factory, of one part of so many frames.
    """

    def register(make):
        assert make.__name__ not in ROWS, make.__name__
        note = " ".join(make.__doc__.split())
        made = make if breaks is None else _broken(breaks, count, make)
        ROWS[make.__name__] = Row(make.__name__, note, made, error, says, **more)
        return make

    return register


def _broken(layout, count, fault):
    """Return a function that writes a sound layout with a good `distance`, and breaks it."""

    def make(folder):
        (name,) = layout(folder, [frames(count)])
        run(folder, name=name)
        fault(folder)
        return name

    return make


def run(folder, tree=(), name="run.cxi", **options):
    """Write values and links, by their paths, to a file with a good `distance`; return its name."""
    with h5py.File(folder / name, "a", **options) as h5:
        for path, value in dict(tree).items():
            h5[path] = value
        if DISTANCE not in h5:
            h5[DISTANCE] = GOOD_DISTANCE
    return str(folder / name)
