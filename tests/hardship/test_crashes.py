"""A kill or a power cut at any moment of a save: the file is old or new, and whole."""

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxistack import CXIStore
from factory import DATA, frames, put
from factory.folders import fast_folder, names_in
from hardship import scenarios, sweep

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles what logs calls")
linux = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")


@needs_gcc
@linux
def test_in_each_state_that_a_fault_can_leave_the_file_is_old_or_new():
    with fast_folder() as folder:
        found = sweep.sweep(folder, scenarios.GROUP_SIZES)
    assert {state for _, state in found} == {"old", "new"}, found
    assert sum(found.values()) >= 5000, found


SAVER = """
    import os, sys
    import numpy as np
    from cxistack import CXIStore
    name = sys.argv[1]
    store = CXIStore(name, mode="r+")
    store.load_attribute("translations", verbose=False)
    for line in sys.stdin:  # one loop of saves a line
        pid = os.fork()
        if not pid:
            number = first = int(line)
            print(os.getpid(), flush=True)
            with CXIStore(name, mode="r+") as store:
                while True:
                    number += 1
                    with store.transaction():
                        store.save_attribute("data", np.full((6, 5, 7), number, "uint16"))
                        store.save_attribute("defocus_x", np.full((5 + number % 3, 7), number))
                    if number == first + 1:
                        print("saved", flush=True)
        os.waitpid(pid, 0)
        print("dead", flush=True)
"""


@pytest.fixture
def quick_path():
    """Where a save takes a few milliseconds, also on a machine with a busy disk."""
    with fast_folder() as folder:
        yield Path(folder)


def test_200_kills_lose_nothing(quick_path):
    path = put(quick_path / "run.cxi", {DATA: np.full((6, 5, 7), 1, "uint16")}, compression="gzip")
    put(path, {
        "/speckle_tracking/defocus_x": np.full((6, 7), 1.0),
        "/entry_1/sample_1/geometry/translations": np.arange(18.0).reshape(6, 3),
    })  # fmt: skip
    command = [sys.executable, "-c", textwrap.dedent(SAVER), path]
    chance, ends, left = random.Random(5), Counter(), 0
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as child:
        for kill in range(200):
            child.stdin.write(f"{100 * (kill + 1)}\n")
            child.stdin.flush()
            pid = int(child.stdout.readline())
            began = time.perf_counter()
            assert child.stdout.readline() == "saved\n"
            # On a busy machine a save takes longer; the kill falls into one of the next.
            time.sleep(chance.uniform(0, 2) * (time.perf_counter() - began))
            os.kill(pid, signal.SIGKILL)
            assert child.stdout.readline() == "dead\n"
            left += len(names_in(quick_path)) > 1
            with h5py.File(path) as h5:
                numbers = set(h5[DATA][...].ravel()) | set(
                    h5["/speckle_tracking/defocus_x"][...].ravel()
                )
                assert len(numbers) == 1, "one save's data beside another's defocus_x"
                ends[numbers.pop()] += 1
                assert h5["/entry_1/sample_1/geometry/translations"][5, 2] == 17
        child.stdin.close()
    assert len(ends) == 200
    assert left > 20, "no kill fell into a save"
    with CXIStore(path, mode="r+") as store:
        store.save_attribute("data", frames(2))
    assert names_in(quick_path) == ["run.cxi"]


def test_what_killed_saves_leave_is_removed_by_the_next_and_nothing_else(tmp_path):
    path = put(tmp_path / "run.cxi", {DATA: frames(2)})
    stale = [".run.cxi.0123abcd.saving", ".run.cxi.ffffffff.saving", ".run.cxi.saving.lock"]
    others = [
        ".run.cxi.bak.0123abcd.saving",
        ".other.cxi.0123abcd.saving",
        ".run.cxi.backup01.saving.lock",
        ".runxcxi.0123abcd.saving",
        "run.cxi.0123abcd.saving",
    ]
    for name in stale + others:
        (tmp_path / name).write_text("x")
    with CXIStore(path, mode="r+") as store:
        store.save_attribute("data", frames(3))
    assert names_in(tmp_path) == sorted(["run.cxi", *others])


def test_a_process_that_ends_within_a_transaction_ends_in_good_order(tmp_path):
    path = put(tmp_path / "run.cxi", {DATA: frames(2)})
    code = f"""
        import numpy as np
        from cxistack import CXIStore
        import threading
        begun = threading.Event()
        def save():
            with CXIStore({path!r}, mode="r+") as store, store.transaction():
                store.save_attribute("data", np.ones((1, 5, 7), "uint16"))
                begun.set()
                threading.Event().wait()
        threading.Thread(target=save, daemon=True).start()
        begun.wait()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(CXIStore(path).load_attribute("data"), frames(2))


def test_a_forked_child_neither_ends_nor_spoils_its_parents_transaction(tmp_path):
    path = put(tmp_path / "run.cxi", {DATA: frames(2)})
    code = f"""
        import os, sys
        import numpy as np
        from cxistack import CXIError, CXIStore, FileInUseError
        store = CXIStore({path!r}, mode="r+")
        try:
            with store.transaction():
                store.save_attribute("data", np.full((3, 5, 7), 3, "uint16"))
                child = os.fork()
                if not child:
                    sys.exit(0)
                assert os.waitpid(child, 0)[1] == 256, "the child is told"
                try:
                    CXIStore({path!r}, mode="r+").save_attribute("distance", 1.0)
                    sys.exit(2)
                except FileInUseError:
                    pass
        except CXIError as error:
            assert "forked" in str(error), error
            sys.exit(1)
        print(os.listdir({str(tmp_path)!r}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "['run.cxi']\n"), done.stderr
    assert (CXIStore(path).load_attribute("data") == 3).all()
    assert CXIStore(path).load_attribute("data").shape == (3, 5, 7)
