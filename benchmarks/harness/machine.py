"""What machine and which versions the figures come from, and how many files may be open."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
from pathlib import Path

import h5py

import cxistack as cxi
from cxistack import kernels

__all__ = ["allow_open_files", "machine"]


def machine(threads: int) -> dict[str, str]:
    """Describe the machine and the versions."""
    described = {
        "CPU": _cpu(),
        "cores": f"{_cores()}, of which {threads} are used",
        "SIMD": kernels.simd_level(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "cxistack": cxi.__version__,
        "HDF5": h5py.version.hdf5_version,
    }
    for name in ("numpy", "h5py", "hdf5plugin", "hidefix", "bslz4_to_sparse"):
        try:
            described[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            described[name] = "not installed"
    return described


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    family, model = fields.get("cpu family"), fields.get("model")
    return f"{name} (family {family}, model {model})" if family else name


def _memory() -> str:
    try:
        nbytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return "unknown"
    return f"{nbytes / 2**30:.1f} GiB"


def allow_open_files() -> int:
    """Let this process hold as many files open as the system allows; return that number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
