"""A Dask cluster of two worker processes on this machine, and what dies on it."""

import contextlib
import logging
import os
import signal
from pathlib import Path

__all__ = ["Killer", "die_while_writing", "two_workers"]


@contextlib.contextmanager
def two_workers():
    """Yield the client of a cluster of two processes of one thread each."""
    import dask
    from distributed import Client, LocalCluster

    quiet = {
        # The dashboard, and what is measured for it, are not looked at here.
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.worker.profile.enabled": False,
        "distributed.nanny.environ": {},
        # Warnings of its own threads are errors in these tests.
        "logging": {"distributed": "critical"},
    }
    with dask.config.set(quiet):
        cluster = LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
            memory_limit="1GiB",
        )
        with cluster, Client(cluster) as client:
            yield client


class Killer:
    """A reduction that kills its process, the first time that one of its methods is called.

    It counts frames, so that one that is lost or taken twice is seen.

    Parameters
    ----------
    folder : path
        Where it remembers that it has killed.
    method : {"step", "merge"}
        Where it kills.
    """

    def __init__(self, folder, method="step"):
        self.mark, self.method = Path(folder) / f"killed-in-{method}", method

    def _kill(self, method):
        if method == self.method and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def init(self, shape, dtype):
        return []

    def step(self, state, frames, idxs):
        self._kill("step")
        return [*state, *idxs.tolist()]

    def merge(self, a, b):
        self._kill("merge")
        return a + b

    def finish(self, state):
        return state


def die_while_writing(mark):
    """Have this worker die when it has added frames to a file, if it is the first to do so.

    Parameters
    ----------
    mark : str
        The file that says that one has died.
    """
    from cxistack.store.writer import FrameWriter

    append = FrameWriter.append

    def dies(writer, frames):
        append(writer, frames)
        if not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    FrameWriter.append = dies
