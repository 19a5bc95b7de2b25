"""Tests in a process of its own, which may be killed, starved or lied to by its system."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

__all__ = ["PRELUDE", "compiled", "ends_well", "run", "start"]

#: What every child can use. `attempt` prints "exact", or the type and the words of the exception;
#: `moved` counts the bytes that it has read ("rchar") or written ("wchar").
PRELUDE = """
import os, resource, signal, sys, time
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.alarm({alarm})
import h5py, hdf5plugin
import numpy as np
from cxistack import *
PROTOCOL = CXIProtocol({{"data": "uint"}}, {{"data": ["/frames"]}}, {{"data": "stack"}})
def opened(*names):
    return CXIStore(list(names), protocol=PROTOCOL)
def attempt(name, expected, **arguments):
    try:
        store = opened(name)
        loaded = store.load_attribute("data", verbose=False, **arguments)
    except (CXIError, OSError, MemoryError) as error:
        print(type(error).__name__ + ":", str(error).replace(chr(10), " "), flush=True)
    else:
        exact = np.array_equal(loaded, expected)
        print("exact" if exact else "WRONG PIXELS", flush=True)
def moved(way):
    with open("/proc/self/io") as counts:
        return next(int(line.split()[1]) for line in counts if line.startswith(way + ":"))
"""


def _command(code, alarm):
    return [sys.executable, "-c", PRELUDE.format(alarm=alarm) + textwrap.dedent(code)]


def start(code, *, alarm=60, env=None, **options):
    """Start a child that runs `code` after `PRELUDE`; its output is to be read by lines."""
    return subprocess.Popen(
        _command(code, alarm),
        env={**os.environ, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def run(code, *, alarm=60, env=None):
    """Run `code` in a child to its end; return its return code, lines and errors."""
    with start(code, alarm=alarm, env=env) as child:
        out, err = child.communicate()
    return child.returncode, out.splitlines(), err


def ends_well(code, *, may_differ=False, **options):
    """Return the lines of a child that must not end by a signal or an unforeseen exception."""
    status, lines, err = run(code, **options)
    assert status == 0, f"ended with {status}: {err[-2000:]}"
    assert may_differ or "WRONG PIXELS" not in lines
    return lines


def compiled(source, library):
    """Compile C source to a shared library by gcc; return its path."""
    path = Path(library).with_suffix(".c")
    path.write_text(source)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(path), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return str(library)
