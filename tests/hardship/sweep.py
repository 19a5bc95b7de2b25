"""Every state in which a kill or a power cut can leave a file: it is old or new, and whole.

``python -m tests.hardship.sweep [SIZES]`` sweeps more: groups of these sizes, in all file formats.
"""

import ctypes
import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from factory.folders import fast_folder  # noqa: E402
from hardship import replay, scenarios  # noqa: E402

NAME = "run.cxi"


def compiled(folder):
    """Compile the shim into a folder; return its path."""
    library = Path(folder) / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "shim.c", "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return str(library)


def with_shim(library, module, function, *arguments):
    """Run a function of a module of this folder in a child that the shim is preloaded into."""
    code = f"import sys; sys.path.insert(0, {str(HERE.parent)!r}); from hardship import {module}; "
    code += f"{module}.{function}(*sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "LD_PRELOAD": library}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def log_saves(folder, sizes):
    """In the child: do every save in a folder of its own, and log it. Writes log and folders."""
    shim = ctypes.CDLL(None)
    log = os.open(Path(folder) / "log", os.O_WRONLY | os.O_CREAT)
    for kind, libver, size in cases(sizes):
        place = Path(folder) / f"{kind} {libver} {size}"
        place.mkdir()
        if kind != "new file":
            scenarios.make(place / NAME, libver, size)
            shutil.copy(place / NAME, f"{place}.old")
        shim.shim_watch(os.fsencode(place))
        shim.shim_log(log)
        scenarios.save(place / NAME, kind)
        shim.shim_mark()
        shim.shim_log(-1)
        shim.shim_watch(b"")


def cases(sizes):
    """Return (kind of save, file format, size of the group) in the order of the log."""
    return [
        (kind, libver, size)
        for size in sizes
        for libver in scenarios.LIBVERS
        for kind in scenarios.SAVES
    ]


class Judge:
    """Tells of a file's bytes whether they are the old contents or the new, by plain h5py."""

    def __init__(self, folder, kind, old):
        self.scratch = Path(folder) / "judged.h5"
        self.known = {None: "old" if old is None else "lost"}
        self.old = None if old is None else self._contents(old)
        self.new = scenarios.expected(self.old or {}, kind)

    def __call__(self, data):
        key = data if data is None else hashlib.sha256(data).digest()
        if key not in self.known:  # a file is opened once for all states in which it is the same
            self.known[key] = self._judged(data)
        return self.known[key]

    def _contents(self, data):
        self.scratch.write_bytes(data)
        return scenarios.contents(self.scratch)

    def _judged(self, data):
        try:
            found = self._contents(data)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            return f"broken: {error}"
        return "old" if found == self.old else "new" if found == self.new else "neither"


def sweep(folder, sizes, seed=0):
    """Replay all logs; return how often which state was found, by sort of fault."""
    library = compiled(folder)
    done = with_shim(library, "sweep", "log_saves_of", folder, *sizes)
    assert done.returncode == 0, done.stderr
    chance = random.Random(seed)
    found = Counter()
    for case, events in zip(cases(sizes), replay.read_log(Path(folder) / "log"), strict=True):
        place = Path(folder) / "{} {} {}".format(*case)
        before = Path(f"{place}.old")
        files = {NAME: before.read_bytes()} if before.exists() else {}
        model = replay.Folder(place, files)
        judge = Judge(folder, case[0], files.get(NAME))
        found["kill", judge(files.get(NAME))] += 1
        for event in events:
            found.update(("kill", judge(state)) for state in replay.killed(model, event, NAME))
            states = replay.powerless(model, NAME, chance)
            found.update(("power cut", judge(state)) for state in states)
        # The log must have told all: what the model holds is what the folder holds.
        real = {path.name: path.read_bytes() for path in place.iterdir()}
        assert {name: bytes(file.data) for name, file in model.names.items()} == real, case
        assert list(real) == [NAME], case
        # When a save returns, nothing is left that a power cut could take away.
        last = {judge(state) for state in replay.powerless(model, NAME, chance)}
        assert last == {"new"}, (case, last)
        shutil.rmtree(place)
    return found


def log_saves_of(folder, *sizes):
    """In the child, from its command line."""
    log_saves(folder, [int(size) for size in sizes])


def main():
    """Sweep the sizes of the command line; print the count of each outcome."""
    sizes = [int(size) for size in sys.argv[1:]] or [1, 2, 5, 9, 17, 33, 60, 120, 300, 1000]
    with fast_folder() as folder:
        found = sweep(folder, sizes)
    for (fault, state), count in sorted(found.items()):
        sys.stdout.write(f"{fault:10} {state:10} {count:8}\n")
    sys.exit(any(state not in ("old", "new") for _, state in found))


if __name__ == "__main__":
    main()
