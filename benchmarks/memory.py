"""What a load takes of memory beside its result, seen in a process of its own (Linux)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cxistack as cxi

from .data import Subject
from .timing import Ratio

__all__ = ["LOADS", "memory_ratios", "memory_status"]

_MIB = 1 << 20
LOADS: dict[str, dict[str, Any]] = {
    "whole frames": {},
    "whole frames as float32": {"dtype": "float32"},
    "every 4th pixel": {"ss_idxs": 4, "fs_idxs": 4},
}


def memory_ratios(subject: Subject, threads: int, *loads: str) -> list[Ratio]:
    """Return, for each of the loads, how far its peak stays below what is allowed."""
    if not Path("/proc/self/clear_refs").exists():
        print("without peak memory: it is read from Linux' /proc")
        return []
    found = []
    of_chunks = max(size for _, size in subject.table) + subject.chunk_bytes
    allowed = 64 * _MIB + threads * of_chunks
    for name in loads:
        words = [str(subject.path), str(threads), json.dumps(LOADS[name])]
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", *words],
            cwd=Path(__file__).parent.parent,
            check=True,
            capture_output=True,
            text=True,
        )
        growth, result = map(int, answer.stdout.split())
        beside = growth - result
        found.append(
            Ratio(
                subject.codec,
                f"peak memory, {name}",
                "what is allowed",
                allowed / max(beside, _MIB),
                1.0,
                kind="bound",
                note=f"{beside / _MIB:.0f} MiB beside {result / _MIB:.0f}, "
                f"of {allowed / _MIB:.0f} allowed",
            )
        )
    return found


def _main() -> None:
    """Load as the words say; print by how many bytes memory grew, and the result's bytes."""
    name, threads, words = sys.argv[1:]
    arguments = {
        key: slice(None, None, value) if key.endswith("idxs") else value
        for key, value in json.loads(words).items()
    }
    with cxi.CXIStore(name) as store:
        store.describe("data")
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = memory_status("VmRSS")
        values = store.load_attribute("data", num_threads=int(threads), verbose=False, **arguments)
        print(memory_status("VmHWM") - before, values.nbytes)


def memory_status(key: str) -> int:
    """Return an entry of this process's status in bytes: VmRSS is its memory, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


if __name__ == "__main__":
    _main()
