"""Packages of others that use the C interface build against what is installed, and run."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

import cxistack
from cxistack import _capi
from factory.c_table import HEADER, constants, fields, pointed

HERE = Path(__file__).parent
ABI = HERE / "abi"  # headers that were, by their API, and where the table's fields lie
OLDER = ["1", "2"]

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def built(project, folder, *options):
    """Build a project as its users would; return its module."""
    source = shutil.copytree(HERE / project, folder / project)
    scripts = sysconfig.get_path("scripts")
    pkgconfig = Path(_capi.__file__).parent / "lib" / "pkgconfig"
    if not pkgconfig.is_dir():  # an editable install leaves it where it was made
        pkgconfig = folder
        text = (HERE.parents[1] / "src/cxistack/include/cxistack.pc.in").read_text()
        text = text.replace("@version@", cxistack.__version__)
        text = text.replace("prefix=${pcfiledir}/../..", f"prefix={HEADER.parents[2]}")
        (folder / "cxistack.pc").write_text(text)
    more = {"PATH": f"{scripts}:{os.environ['PATH']}", "PKG_CONFIG_PATH": str(pkgconfig)}
    command = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps"]
    settings = [f"--config-settings=setup-args={one}" for one in options]
    made = subprocess.run(
        [*command, *settings, "--target", folder / "prefix", source],
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (library,) = (folder / "prefix").glob("cxi_*.so")
    return library


def imported(library):
    spec = importlib.util.spec_from_file_location(library.name.split(".")[0], library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(3).integers(0, 1000, (23, 40, 36)).astype("u2")


@pytest.fixture
def run(tmp_path, frames):
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            "/entry/data/data", data=frames, chunks=(1, 40, 36), **hdf5plugin.Bitshuffle()
        )
    return path


@pytest.fixture(scope="module")
def region_c(tmp_path_factory):
    return built("region_c", tmp_path_factory.mktemp("c"))


@pytest.fixture
def fresh(region_c, tmp_path):
    """The C extension where no interpreter has imported it: it asks for the table again."""
    return Path(shutil.copy(region_c, tmp_path))


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_c_extension_sums_a_region_on_its_own_threads(run, frames, region_c, threads):
    load = cxistack.CXIStore(run).prepared(
        "data", transform=cxistack.Crop([3, 30, 5, 25]), dtype="f8"
    )
    assert imported(region_c).total(load.capsule(), threads) == frames[:, 3:30, 5:25].sum()


def test_a_load_outlives_its_store_and_its_capsule(run, region_c):
    module = imported(region_c)
    store = cxistack.CXIStore(run)
    capsule = store.prepared("data").capsule()
    del store
    assert module.describe(capsule) == (23, 2, 36, constants()["CXISTACK_UINT16"])


def test_a_c_extension_brings_frames_together_without_the_gil(run, frames, region_c):
    load = cxistack.CXIStore(run).prepared("data", dtype="f8")
    out = np.zeros(frames.shape[1:])
    imported(region_c).variance(load.capsule(), out)
    np.testing.assert_allclose(out, frames.var(0))
    with pytest.raises(RuntimeError, match="do not fit one another"):
        imported(region_c).variance(load.capsule(), out[1:].copy())


@pytest.mark.parametrize("api", OLDER)
def test_a_package_of_a_header_before_runs_with_this_one(run, frames, tmp_path, api):
    module = imported(built("region_c", tmp_path, f"-Dcxistack_include={ABI / api}"))
    load = cxistack.CXIStore(run).prepared("data", dtype="f8")
    assert module.total(load.capsule(), 2) == frames.sum()
    assert not hasattr(module, "variance")  # it came later


def test_a_cython_module_loops_without_the_gil(run, frames, tmp_path):
    module = imported(built("loops_cython", tmp_path))
    flat, cast = frames.reshape(len(frames), -1), np.zeros((len(frames), 40 * 36), "f4")
    assert module.cast(flat, cast) == 0
    assert np.array_equal(cast, flat)
    counts = np.ones(frames.shape[1:], "i8")
    assert module.count(frames, 700, counts) == 0
    assert np.array_equal(counts, 1 + (frames >= 700).sum(0))
    out = np.zeros(frames.shape, "f4")
    load = cxistack.CXIStore(run).prepared("data", dtype="f4")
    assert module.load(load.capsule(), out) == 0
    assert np.array_equal(out, frames)


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
def test_a_cpp_package_wraps_the_table(run, frames, tmp_path):
    module = imported(built("raii_cpp", tmp_path))
    load = cxistack.CXIStore(run).prepared("data", dtype="f4")
    assert module.total(load.capsule()) == frames.sum()
    assert module.median(load.capsule()) == np.median(frames, axis=0).sum()
    os.utime(run, (0, 0))  # as if somebody had written to it
    with pytest.raises(RuntimeError, match="was changed while it was in use"):
        module.total(load.capsule())


def doctored(abi, api, size):
    """Return the table under a capsule, but for what its first words say."""
    whole = ctypes.string_at(pointed(_capi.table, b"cxistack._capi.table"), 16)
    table = ctypes.create_string_buffer(whole, 16)
    ctypes.c_uint32.from_buffer(table, 0).value = abi
    ctypes.c_uint32.from_buffer(table, 4).value = api
    ctypes.c_size_t.from_buffer(table, 8).value = size
    make = ctypes.pythonapi.PyCapsule_New
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(ctypes.addressof(table), b"cxistack._capi.table", None), table


SIZE = 16 + 8 * len(fields())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((2, 3, SIZE), "ABI 1, API 3, and the installed cxistack has ABI 2, API 3: build"),
        ((1, 2, SIZE), "ABI 1, API 3, and the installed cxistack has ABI 1, API 2: install a"),
        ((1, 3, SIZE - 8), f"ABI 1, API 3 with a table of {SIZE - 8} bytes where {SIZE} are"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(fresh, monkeypatch, words, told):
    capsule, _keep = doctored(*words)
    monkeypatch.setattr(_capi, "table", capsule)
    with pytest.raises(ImportError, match=told):
        imported(fresh)


def test_a_later_table_is_taken(fresh, monkeypatch):
    capsule, _keep = doctored(1, 9, SIZE + 80)
    monkeypatch.setattr(_capi, "table", capsule)
    assert imported(fresh).total


def test_a_package_without_the_table_is_told_of(fresh, monkeypatch):
    monkeypatch.delattr(_capi, "table")
    with pytest.raises(ImportError, match="has no C interface; install a later"):
        imported(fresh)


OFFSETS = """
#define CXISTACK_NO_PYTHON
#include <stdio.h>
#include <cxistack/capi.h>
#define TELL(api, name) printf("%d %s %zu\\n", api, #name, offsetof(cxistack_capi, name));
int main(void)
{
    printf("ABI %d API %d\\n", CXISTACK_ABI, CXISTACK_API);
    TELL(0, abi) TELL(0, api) TELL(0, size)
    TELLS
    printf("%zu %zu %zu", sizeof(cxistack_pixels), sizeof(cxistack_axis), sizeof(cxistack_filter));
#if CXISTACK_API >= 3
    printf(" %zu", sizeof(cxistack_moments));
#endif
    printf("\\n");
    return 0;
}
"""


def offsets(include, functions, folder):
    source = folder / "offsets.c"
    tells = "\n".join(f"TELL({api}, {name})" for name, api in functions)
    source.write_text(OFFSETS.replace("TELLS", tells))
    command = ["cc", "-std=c11", f"-I{include}", str(source), "-o", str(folder / "offsets")]
    subprocess.run(command, check=True)
    return subprocess.run([folder / "offsets"], capture_output=True, text=True, check=True).stdout


def test_the_table_is_what_it_was(tmp_path):
    """What is there stays where it is; an addition takes a new API, and a line in the file."""
    functions = fields()
    told = offsets(HEADER.parents[1], functions, tmp_path)
    assert told == (ABI / "table.txt").read_text()
    assert functions[-1][1] == constants_of_header("CXISTACK_API")
    for api in OLDER:
        older = [one for one in functions if one[1] <= int(api)]
        before = offsets(ABI / api, older, tmp_path).splitlines()[1:]
        assert told.splitlines()[1 : len(before)] == before[:-1]
        assert told.splitlines()[-1].startswith(before[-1])  # the sizes of structs


def constants_of_header(name):
    (line,) = [one for one in HEADER.read_text().splitlines() if one.startswith(f"#define {name} ")]
    return int(line.split()[2])


def test_the_command_line_and_python_name_the_same_folder():
    command = [sys.executable, "-m", "cxistack", "--include"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert told == cxistack.get_include()
    assert (Path(told) / "cxistack" / "capi.h").is_file()


def test_the_words_of_cython_are_those_of_the_header():
    words = (Path(cxistack.get_include()).parent / "capi.pxd").read_text()
    told = [line.split("(*")[1].split(")")[0] for line in words.splitlines() if "(*" in line]
    assert told == [name for name, _ in fields()]
    assert [name for name in constants() if name not in words] == []
