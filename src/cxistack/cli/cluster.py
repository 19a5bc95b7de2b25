"""The option ``--cluster``, and the Dask cluster that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["ClusterAddress", "connected"]

_TIMEOUT = "30s"  # for the scheduler to answer

ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Let a Dask cluster do it: its scheduler's address, or its scheduler file.",
    ),
]


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Give the client of a cluster; None where there is no address.

    Raises
    ------
    ValueError
        Dask is not installed.
    OSError
        Nobody answers there.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(f"--cluster needs Dask: pip install 'cxistack[dask]' ({error})") from error
    is_file = Path(address).is_file()
    words = {"scheduler_file" if is_file else "address": address}
    with Client(**words, timeout=_TIMEOUT, set_as_default=False) as client:
        yield client
