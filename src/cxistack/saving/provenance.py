"""Who saved to a file: process_N of a CXI entry, with program, version, command and date."""

from __future__ import annotations

import datetime
import os
import re
import shlex
import sys
from pathlib import Path

import h5py

from .cxi_layout import ENTRY, PROGRAM, make_group

__all__ = ["record"]


_FIELDS = ("program", "version", "command", "date")
# What this run of the program wrote of itself, by file: it says so once.
_recorded: dict[str, tuple[str, ...]] = {}


def record(h5: h5py.File, filename: str, call: str) -> None:
    """Add a process to a CXI file, once a run of the program; leave any other file as it is.

    Parameters
    ----------
    h5 : h5py.File
        The file, open for writing.
    filename : str
        The name that it will have.
    call : str
        The Python call that saves, which stands for the command of an interactive session.

    Notes
    -----
    A script may open and save to a file a thousand times: that is one process, dated by its first
    save. A file of CXI says so by a `cxi_version`; the layouts of others get no new groups.
    """
    entry = h5.get(ENTRY)
    if "cxi_version" not in h5 or not isinstance(entry, h5py.Group):
        return
    names = [name for name in entry if re.fullmatch(r"process_[0-9]+", name)]
    known = _recorded.get(filename)
    if known is not None and any(_read(entry, name) == known for name in names):
        return
    from importlib.metadata import version  # at first need: it takes long

    values = (PROGRAM, version(PROGRAM), _command(call), _now())
    _recorded[filename] = values
    if any(_read(entry, name) == values for name in names):
        return
    last = max((int(name.rpartition("_")[2]) for name in names), default=0)
    group = make_group(h5, f"{ENTRY}/process_{last + 1}")
    assert group is not None  # the name is free
    for field, value in zip(_FIELDS, values, strict=True):
        group[field] = value


def _read(entry: h5py.Group, name: str) -> tuple[str, ...]:
    """Return what a process says of itself, as far as it is text."""
    found = []
    for field in _FIELDS:
        dataset = entry.get(f"{name}/{field}")
        if isinstance(dataset, h5py.Dataset) and dataset.shape == ():
            value = dataset[()]
            found.append(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
    return tuple(found)


def _command(call: str) -> str:
    """Return the command line; the Python call where there is none, as in a notebook."""
    first = sys.argv[0] if sys.argv else ""
    if first in ("", "-", "-c") or Path(first).name == "ipykernel_launcher.py":
        return call
    # HDF5's strings end at a zero and are UTF-8; a command line may hold bytes that are not.
    return shlex.join(sys.argv).encode(errors="backslashreplace").decode()


def _now() -> str:
    """Return the date and time in ISO 8601, with the zone.

    `SOURCE_DATE_EPOCH <https://reproducible-builds.org/specs/source-date-epoch/>`_ stands for the
    time where it is set, so that the same work makes the same file.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isascii() and epoch.isdecimal():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).isoformat()
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
