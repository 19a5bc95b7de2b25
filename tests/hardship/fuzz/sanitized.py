"""Fuzzes the C decoders: ``python -m tests.hardship.fuzz.sanitized``.

They are compiled with AddressSanitizer and UBSan.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ...factory import ROOT
from .samples import DECODERS, samples, write

HERE = Path(__file__).parent
DECODE = ROOT / "src" / "cxistack" / "kernels" / "c" / "decode"
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g")
GFNI = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vbmi", "-mgfni")
LEVELS = {"portable": (), "avx2": ("-mavx2",), "gfni": GFNI}
LIBRARIES = ("-llz4", "-lzstd", "-ldeflate")


def build(folder: Path, compiler: str) -> Path:
    """Compile the decoders and the driver as meson does, but with sanitizers; x86-64 only."""
    flags = [*WARNINGS, *SANITIZERS, "-DCXI_X86", "-DCXI_GFNI", f"-I{DECODE}"]
    objects = []
    for level, own in LEVELS.items():
        for name in (f"unshuffle_{level}", "above_planes", "lz4_strides"):
            objects.append(str(folder / f"{name}_{level}.o"))
            source = str(DECODE / f"{name}.c")
            subprocess.run(
                [compiler, *flags, *own, f"-DCXI_LEVEL={level}", "-c", source, "-o", objects[-1]],
                check=True,
            )
    once = {f"unshuffle_{level}.c" for level in LEVELS} | {"above_planes.c", "lz4_strides.c"}
    sources = [str(p) for p in sorted(DECODE.glob("*.c")) if p.name not in once]
    program = folder / "sanitized"
    driver = str(HERE / "sanitized.c")
    subprocess.run(
        [compiler, *flags, driver, *sources, *objects, "-o", str(program), *LIBRARIES], check=True
    )
    return program


def fuzz(program: Path, folder: Path, decoder: str, count: int, seed: int) -> str:
    """Run the driver on one decoder's samples; return the counts that it prints."""
    names = []
    for i, stored in enumerate(samples(decoder)):
        names.append(str(folder / f"{decoder}-{i}"))
        write(stored, Path(names[-1]))
    ran = subprocess.run(
        [str(program), str(count), str(seed), *names], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"{decoder}, seed {seed}: {ran.returncode}\n{ran.stderr}")
    return ran.stdout


def main() -> None:
    """Build and run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="damaged chunks per decoder")
    parser.add_argument("--decoder", choices=DECODERS, action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compiler", default=shutil.which("gcc") or "cc")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder, options.compiler)
        for decoder in options.decoder or DECODERS:
            begin = time.perf_counter()
            counts = fuzz(program, folder, decoder, options.count, options.seed)
            took = time.perf_counter() - begin
            sys.stdout.write(f"{decoder}: {options.count} damaged chunks in {took:.0f} s\n{counts}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
