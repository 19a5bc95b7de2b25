"""What this build and this machine have: versions, decoders, SIMD levels, cores."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from ..hdf5.filters import hdf5_versions
from ..kernels import _decode, simd_level, simd_levels
from ..kernels.threads import count_threads
from ._built import CODECS, COMPILER, PLATFORM

__all__ = ["build_info", "get_include"]


def build_info() -> dict[str, Any]:
    """Return what to say in a bug report, and what to look at when a load is slow.

    Returns
    -------
    dict
        Versions by name; ``compiler`` and ``platform``: what it was compiled by and for;
        ``codecs``: the versions of the libraries that it was compiled with; ``decoders``: the HDF5
        filters decoded beside libhdf5; ``simd``: the level in use, of ``simd_levels``;
        ``unshuffle``: the ways to undo bitshuffle, the last in use; ``cores``: how many this
        process may use.

    Examples
    --------
    >>> sorted(build_info()["decoders"])
    ['bitshuffle', 'deflate', 'fletcher32', 'lz4', 'shuffle', 'zstd']
    """
    from importlib.metadata import version

    return {
        "cxistack": version("cxistack"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        **hdf5_versions(),
        "compiler": COMPILER,
        "platform": PLATFORM,
        "codecs": dict(CODECS),
        "decoders": tuple(_decode.decoders().values()),
        "simd": simd_level(),
        "simd_levels": simd_levels(),
        "unshuffle": _decode.unshuffle_levels(),
        "cores": count_threads(None),
    }


def get_include() -> str:
    """Return the folder that C and Cython code is compiled with, for ``cxistack/capi.h``.

    Examples
    --------
    >>> from pathlib import Path
    >>> (Path(get_include()) / "cxistack" / "capi.h").is_file()
    True
    """
    return str(Path(__file__).parents[1] / "include")
