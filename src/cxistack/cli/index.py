"""``cxistack index``: the side file by which the files of a run on a server are opened at once."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated

import typer

from ..hdf5.indexing import make_index
from .failure import failures_told
from .lines import say

__all__ = ["index"]


def index(
    files: Annotated[
        list[str], typer.Argument(metavar="URL...", help="The files of one run on a server.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The side file.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the side file.")] = False,
) -> None:
    """Keep what HDF5 reads to know what is in files on a server, for CXIStore(..., index=FILE).

    Then each is opened by one request, however many chunks it has. The side file is refused when a
    file has changed since: by size and ETag, or by time where the server gives none.
    """
    with failures_told():
        if output.exists() and not force:
            raise FileExistsError(
                errno.EEXIST, "is there already; --force replaces it", str(output)
            )
        size = make_index(files, output, verbose=True)
        say(f"{output}: {size:,} bytes of {len(files)} files")
