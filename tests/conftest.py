"""What all tests share: the real files, the docstrings' example run, hypothesis' profiles."""

import gc
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import cxistack
from factory import ROOT

# A shell that runs the tests in its background has interrupts ignored; some tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "dev", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real files, or skip."""
    shared = os.environ.get("CXISTACK_SHARED")
    folder = (Path(shared) if shared else ROOT.parent / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"no real files in {folder}: set CXISTACK_SHARED to the folder above data/")
    return folder


@pytest.fixture(scope="session")
def doctest_names(tmp_path_factory) -> dict[str, object]:
    """Return the names that docstrings use without saying where they come from."""
    run = tmp_path_factory.mktemp("doctest") / "run.cxi"
    frames = 100 * np.arange(1, 7)[:, None, None] + 20 * np.arange(16)[:, None] + np.arange(20)
    with h5py.File(run, "w") as h5:
        h5["/entry_1/instrument_1/detector_1/data"] = frames.astype(np.uint16)
    public = {name: getattr(cxistack, name) for name in cxistack.__all__}
    return {**public, "cxistack": cxistack, "np": np, "example_run": str(run)}


@pytest.fixture(autouse=True, scope="session")
def _names_for_doctests(doctest_namespace, doctest_names):
    doctest_namespace.update(doctest_names)


@pytest.fixture
def server(tmp_path):
    """Return a web server on this machine that gives the files of a folder."""
    from factory.server import serving

    folder = tmp_path / "served"
    folder.mkdir()
    with serving(folder) as one:
        yield one


@pytest.fixture(scope="session")
def two_workers():
    """Return the client of a Dask cluster of two processes, which all tests of a session share."""
    pytest.importorskip("distributed")
    from factory.clusters import two_workers

    with two_workers() as client:
        yield client


LONG = {"hardship", "oracles", "store", "streaming", "whole"}


def pytest_collection_modifyitems(items):
    """Begin with the rooms of the longest files: one that begins last lets a core wait for it."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


def pytest_collection_finish():
    """Let garbage be looked for among what tests make, not among the tests: 17 000 of them."""
    gc.collect()
    gc.freeze()
