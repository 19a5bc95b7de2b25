"""From a command's words to a store and its protocol."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import StorageError
from ..hdf5.remote.urls import is_url
from ..store.named import named_run
from ..store.store import CXIStore

__all__ = [
    "AsJSON",
    "ChannelName",
    "CropTo",
    "DetectorName",
    "EveryNth",
    "FileNames",
    "Force",
    "Frames",
    "ProtocolFile",
    "Threads",
    "frame_choice",
    "listed",
    "new_file",
    "open_run",
    "open_store",
]

AsJSON = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
FileNames = Annotated[
    list[str],
    typer.Argument(
        metavar="FILES...",
        help="The files of one run, or quoted globs; FILE::/PATH for one dataset of each.",
    ),
]
ProtocolFile = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME|INI",
        help="A built-in protocol or an INI file; the default protocol when not given.",
    ),
]


CropTo = Annotated[
    tuple[int, int, int, int] | None,
    typer.Option(metavar="Y0 Y1 X0 X1", help="The region: rows Y0 to Y1, columns X0 to X1."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it is there.")]
Threads = Annotated[int | None, typer.Option(min=1, help="All cores if not given.")]
EveryNth = Annotated[int, typer.Option(min=1, help="Take every Nth pixel.")]
Frames = Annotated[
    str | None,
    typer.Option(metavar="A:B:C", help="Which frames, as a slice or one number; all if none."),
]


DetectorName = Annotated[
    str | None,
    typer.Option("--detector", metavar="NAME", help="The detector, where a file has several."),
]
ChannelName = Annotated[
    str | None,
    typer.Option("--channel", metavar="NAME", help="Its channel, where it has several."),
]


def open_store(
    names: list[str],
    protocol: str | None,
    detector: str | None = None,
    channel: str | None = None,
) -> CXIStore:
    """Open files for reading, whatever is in them, or datasets that are named by FILE::/PATH."""
    run = named_run(names)
    if run is not None:
        if protocol is not None or detector is not None or channel is not None:
            raise ValueError(
                f"{names[0]!r} names a dataset, and needs no --protocol, --detector or --channel"
            )
        return run
    return CXIStore(names, protocol=protocol, detector=detector, channel=channel)


def open_run(
    names: list[str],
    protocol: str | None,
    detector: str | None = None,
    channel: str | None = None,
) -> CXIStore:
    """Open the files of a run for reading.

    Raises
    ------
    OSError
        A file is missing, or none of them is HDF5.
    ProtocolError
        `protocol` is neither a built-in one's name nor an INI file of one.
    """
    store = open_store(names, protocol, detector, channel)
    if not store.found:
        unreadable = [problem for problem in store.problems if not problem.attribute]
        if len(unreadable) == len(store.filenames()):
            raise StorageError("; ".join(problem.message for problem in unreadable))
    return store


def new_file(output: Path, run: CXIStore, force: bool) -> Literal["w", "x"]:
    """Return the mode in which a command opens the file that it writes.

    Raises
    ------
    FileExistsError
        It is there, and is not to be replaced.
    ValueError
        It is one of the run's.
    """
    if output.exists():
        if not force:
            raise FileExistsError(
                errno.EEXIST, "is there already; --force replaces it", str(output)
            )
        if any(output.samefile(name) for name in run.paths() if not is_url(name)):
            raise ValueError(f"{output} is one of the files that are read: name another one")
    return "w" if force else "x"


def frame_choice(text: str | None) -> int | slice | None:
    """Return the frames that ``--frames`` names; None for all."""
    if text is None:
        return None
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) == 1 and parts[0] is not None:
        return parts[0]
    if len(parts) in (2, 3):
        return slice(*parts)
    raise ValueError(f"--frames takes a number or a slice such as 5:100:2, not {text!r}")


def listed(text: str) -> list[str]:
    """Return the names in an option that takes several, with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]
