"""Memory as the system counts it (Linux), seen in a process that does nothing else."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .results import Ratio

__all__ = ["MIB", "bound", "growth", "has_peaks", "in_child", "memory_status", "traced"]

MIB = 1 << 20
_ROOT = Path(__file__).resolve().parents[2]
_RESET = Path("/proc/self/clear_refs")


def has_peaks() -> bool:
    """Tell whether this system says how much memory a process took at most."""
    if _RESET.exists():
        return True
    print("without peak memory: it is read from Linux' /proc")
    return False


def in_child(function: Callable[..., Iterable[int]], *words: object) -> list[int]:
    """Call a suite's function in a process of its own, with words; return the numbers it gives."""
    command = [sys.executable, "-m", __name__, function.__module__, function.__name__]
    answer = subprocess.run(
        [*command, *map(str, words)], cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return [int(number) for number in answer.stdout.split()]


def growth(call: Callable[[], Any]) -> tuple[int, Any]:
    """Return by how many bytes this process's peak passes what it had, and the call's result."""
    _RESET.write_text("5")  # the peak counts from here
    before = memory_status("VmRSS")
    result = call()
    return memory_status("VmHWM") - before, result


def traced(call: Callable[[], object]) -> tuple[int, int]:
    """Return the most bytes of Python that a call takes, and those that stay (1 at least)."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        gc.collect()
        stay, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, max(1, stay)


def memory_status(key: str) -> int:
    """Return an entry of this process's status in bytes: VmRSS is its memory, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def bound(stored: str, case: str, taken: int, allowed: int, note: str) -> Ratio:
    """Return how far memory stays below what is allowed; below a MiB, nothing is counted."""
    value = allowed / max(taken, MIB)
    return Ratio(stored, case, "what is allowed", value, 1.0, kind="bound", note=note)


def _main() -> None:
    module, name, *words = sys.argv[1:]
    print(*getattr(importlib.import_module(module), name)(*words))


if __name__ == "__main__":
    _main()
