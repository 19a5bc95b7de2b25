"""From a command's words to a store and its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import StorageError
from ..protocol import CXIProtocol
from ..store import CXIStore

__all__ = ["FileNames", "ProtocolFile", "open_run"]

FileNames = Annotated[
    list[str],
    typer.Argument(metavar="FILES...", help="The files of one run, or quoted globs."),
]
ProtocolFile = Annotated[
    Path | None,
    typer.Option("--protocol", metavar="INI", help="A protocol; the default one when not given."),
]


def open_run(names: list[str], protocol: Path | None) -> CXIStore:
    """Open the files of a run for reading.

    Raises
    ------
    OSError
        A file is missing, or none of them is HDF5.
    ProtocolError
        The INI file is no protocol.
    """
    chosen = CXIProtocol.import_ini(protocol) if protocol is not None else None
    store = CXIStore(names, protocol=chosen)
    if not store.found:
        unreadable = [problem for problem in store.problems if not problem.attribute]
        if len(unreadable) == len(store.filenames()):
            raise StorageError("; ".join(problem.message for problem in unreadable))
    return store
