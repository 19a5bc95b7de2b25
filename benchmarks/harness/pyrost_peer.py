"""pyrost 0.7.7 as a peer: its two pure modules, fetched when a benchmark runs and never kept.

pyrost no longer builds, but the reading and writing of CXI files is pure Python: it is taken out of
the source distribution on PyPI, into a package of the same name in a temporary folder.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import json
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["PeerUnavailableError", "pyrost_store"]

_SDIST = "pyrost-0.7.7.tar.gz"
_SHA256 = "7d3a3a5d658bd1c103d1efb61087095ee3c2c211df19ee741c35d7b68abf8817"
_INDEX = "https://pypi.org/simple/pyrost/"
_MODULES = ("cxi_protocol.py", "data_container.py", "config/cxi_protocol.ini")


class PeerUnavailableError(Exception):
    """The peer cannot be had, and the benchmark goes on without it."""


@contextmanager
def pyrost_store() -> Iterator[Any]:
    """Lend pyrost's ``CXIStore`` class for as long as the block runs.

    Raises
    ------
    PeerUnavailableError
        The package index does not answer, or does not give what it gave when this was written.
    """
    sdist = _fetch()
    with tempfile.TemporaryDirectory(prefix="pyrost-peer-") as folder:
        package = Path(folder) / "pyrost"
        (package / "config").mkdir(parents=True)
        (package / "__init__.py").touch()
        with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
            for name in _MODULES:
                member = archive.extractfile(f"pyrost-0.7.7/pyrost/{name}")
                if member is None:
                    raise PeerUnavailableError(f"{_SDIST} has no pyrost/{name}")
                (package / name).write_bytes(member.read())
        sys.path.insert(0, folder)
        try:
            yield importlib.import_module("pyrost.cxi_protocol").CXIStore
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.partition(".")[0] == "pyrost"]:
                del sys.modules[name]


@functools.cache  # several suites of one run ask for it
def _fetch() -> bytes:
    # The index's JSON form: PEP 691.
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(_INDEX, headers=accept), timeout=30
        ) as r:
            files = json.load(r)["files"]
        url = next(file["url"] for file in files if file["filename"] == _SDIST)
        with urllib.request.urlopen(url, timeout=60) as r:
            sdist: bytes = r.read()
    except (OSError, ValueError, KeyError, StopIteration) as cause:
        raise PeerUnavailableError(
            f"{_SDIST} cannot be fetched from {_INDEX}: {cause!r}"
        ) from cause
    if hashlib.sha256(sdist).hexdigest() != _SHA256:
        raise PeerUnavailableError(f"{url} is not the file that this benchmark knows")
    return sdist
