"""Each call of a save fails in turn: an OSError, no signal; the old file whole, the copy gone."""

import ctypes
import errno
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from cxistack import CXIStore
from factory.folders import fast_folder, names_in
from hardship import scenarios, sweep

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles what fails calls"),
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's"),
]
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EDQUOT": errno.EDQUOT}
CALLS = (
    None,
    "open",
    "write",
    "truncate",
    "allocate",
    "fsync",
    "close",
    "rename",
    "unlink",
    "read",
)


def fail_each_call(folder, kind, safe):
    """In the child: do a save again and again, and each time let another call fail; tell all."""
    shim, folder, safe = ctypes.CDLL(None), Path(folder), safe == "True"
    path, before = folder / "run.cxi", None
    if kind != "new file":
        scenarios.make(path, "latest", 9)
        before = path.read_bytes()
    mode, action, _ = scenarios.SAVES[kind]
    shim.shim_watch(os.fsencode(folder))
    for name, number in ERRORS.items():
        for stays in (0, 1):  # one call, or the disk is full from then on
            nth = 0
            while True:
                nth += 1
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_bytes(before)
                store = CXIStore(path, mode=mode, safe=safe)
                error = None
                shim.shim_fail(ctypes.c_long(nth), number, stays)
                try:
                    action(store)
                except OSError as caught:
                    error = caught
                failed = shim.shim_failed()
                shim.shim_fail(ctypes.c_long(0), 0, 0)
                store.close()
                if not failed:
                    break
                told = {
                    "call": CALLS[failed],
                    "errno": name,
                    "raised": error is not None,
                    "named": error is not None and "run.cxi" in str(error),
                    "same errno": error is not None and error.errno == number,
                    "old": (path.read_bytes() if path.exists() else None) == before,
                    "new": False,
                    "says saved": "is saved, but" in str(error),
                    "left": sorted(set(names_in(folder)) - {"run.cxi"}),
                }
                if safe and not told["old"]:
                    old = scenarios.contents(_written(folder.parent / "old.h5", before))
                    found = scenarios.contents(path)
                    told["new"] = found == scenarios.expected(old, kind)
                for name_left in told["left"]:
                    (folder / name_left).unlink()
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()


def _written(path, data):
    if data is None:
        import h5py

        h5py.File(path, "w").close()
    else:
        path.write_bytes(data)
    return path


def outcomes(kind, safe=True):
    with fast_folder() as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        library = sweep.compiled(scratch)
        done = sweep.with_shim(library, "test_failures", "fail_each_call", folder, kind, safe)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", scenarios.SAVES)
def test_a_failure_is_an_error_that_names_the_file_and_leaves_it_whole(kind):
    told = outcomes(kind)
    assert len(told) > 60
    for one in told:
        # Only what tidies up may fail in silence, and the next save tidies up after it; and a file
        # that could not be opened to be read is tried once more.
        harmless = one["call"] in ("close", "unlink", "read") and one["new"]
        assert one["raised"] or harmless, one
        assert not one["raised"] or one["named"], one
        if one["call"] != "read":  # HDF5's words, when it cannot read the file as it was
            assert not one["raised"] or one["same errno"], one
        assert one["old"] or one["new"], one
        assert not one["raised"] or one["says saved"] == one["new"], one
        if one["call"] not in ("unlink",):
            assert not one["left"], one
    reached = Counter((one["call"], one["errno"]) for one in told)
    for call in ("open", "write", "fsync", "close", "allocate"):
        for name in ERRORS:
            assert reached[call, name], (call, name, reached)
    assert reached["rename", "EIO"]
    assert reached["read", "EIO"] or kind == "new file"


@pytest.mark.parametrize("kind", ["append", "changed shape", "several"])
def test_in_place_it_is_an_error_too(kind):
    for one in outcomes(kind, safe=False):
        assert one["raised"] or one["call"] in ("close", "read"), one
        assert not one["raised"] or one["named"], one
