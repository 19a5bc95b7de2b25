"""What is installed is what the sources are; importing it is light; the sources keep to rules."""

import ast
import importlib.metadata
import importlib.resources
import importlib.util
import re
import subprocess
import sys

import pytest

import cxistack
from factory import ROOT

SOURCES = ROOT / "src" / "cxistack"
PYTHON = sorted(SOURCES.rglob("*.py"))

pytestmark = pytest.mark.skipif(not SOURCES.is_dir(), reason="the sources are not here")


def run(code):
    """Run code in a fresh interpreter; return what it prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_installed(file):
    """Tell whether the installed package has a file, given by its path in the package."""
    if file.suffix == ".py":
        name = ".".join(("cxistack", *file.with_suffix("").parts)).removesuffix(".__init__")
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            return False
    return (importlib.resources.files("cxistack") / file.as_posix()).is_file()


def version_in_meson_build():
    text = (ROOT / "meson.build").read_text()
    (version,) = re.findall(r"^\s*version: '([^']+)'", text, re.MULTILINE)
    return version


@pytest.mark.parametrize("suffix", ["py", "pyi", "ini", "typed", "yaml"])
def test_every_source_file_is_installed(suffix):
    files = [file.relative_to(SOURCES) for file in SOURCES.rglob(f"*{suffix}")]
    assert [str(file) for file in files if not is_installed(file)] == []


def test_of_the_c_parts_the_interface_alone_is_installed():
    parts = [
        file.relative_to(SOURCES) for end in ("pxd", "h") for file in SOURCES.rglob(f"*.{end}")
    ]
    assert sorted(file.as_posix() for file in parts if is_installed(file)) == [
        "capi.pxd",
        "include/cxistack/capi.h",
    ]


def test_the_version_is_the_one_that_meson_build_names():
    version = version_in_meson_build()
    assert cxistack.__version__ == importlib.metadata.version("cxistack") == version


def test_the_version_is_written_nowhere_else():
    version = version_in_meson_build()
    others = [ROOT / "pyproject.toml", *PYTHON]
    assert [file.name for file in others if f'"{version}"' in file.read_text()] == []


def test_importing_it_imports_nothing_that_is_optional_or_slow():
    heavy = {
        *("matplotlib", "xarray", "torch", "napari", "npe2", "dask", "distributed", "pandas"),
        *("scipy", "PIL", "pint", "textual_image", "obstore", "fsspec", "boto3"),
        *("typer", "rich", "IPython", "pytest", "hypothesis", "tqdm", "hdf5plugin"),
        *("asyncio", "importlib.metadata", "importlib.resources", "configparser", "tempfile"),
        *("hashlib", "secrets", "difflib", "unittest", "email", "socket", "ssl", "inspect"),
    }
    before = set(run("import sys, h5py; print(*sys.modules)").split())
    for names in ("CXIStore", "*"):
        code = f"import sys, cxistack; from cxistack import {names}; print(*sys.modules)"
        assert {"h5py", "cxistack.store.store"} <= set(run(code).split())
        code = code.replace(
            "cxistack;", "cxistack; cxistack.__version__ = '';"
        )  # not to look it up
        assert (heavy - before) & set(run(code).split()) == set()


def test_importing_the_package_alone_imports_neither_h5py_nor_numpy():
    loaded = set(run("import sys, cxistack; print(*sys.modules)").split())
    assert {"numpy", "h5py", "importlib.metadata"} & loaded == set()
    assert {one for one in loaded if one.startswith("cxistack")} <= {"cxistack"}


ALONE = """
import os, sys, h5py, numpy
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            __import__(name)
        except ImportError as error:
            if "pip install 'cxistack[" not in str(error):
                print(name, error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_every_module_can_be_the_first_that_is_imported():
    """So a pickle or a command does. Where a library is missing it says which extra has it."""
    files = [file.relative_to(SOURCES).with_suffix("") for file in PYTHON]
    names = [".".join(("cxistack", *file.parts)).removesuffix(".__init__") for file in files]
    command = [sys.executable, "-c", ALONE, *names]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_what_is_not_public_is_not_there():
    assert not hasattr(cxistack, "public_names")
    assert sorted(dir(cxistack)) == sorted(cxistack.__all__)
    with pytest.raises(ImportError):
        exec("from cxistack import nothing_of_this_name", {})


FILTERED = """
import sys
import h5py
import hdf5plugin
import numpy as np
with h5py.File(sys.argv[1], "w") as h5:
    frames = np.repeat(np.arange(5, dtype="u2"), 32 * 32).reshape(5, 32, 32)
    h5.create_dataset("/entry/data/data", data=frames, chunks=(1, 32, 32), **hdf5plugin.Blosc())
    assert h5["/entry/data/data"].id.get_chunk_info(0).filter_mask == 0
"""


@pytest.mark.parametrize(
    "code",
    [
        "store = cxistack.CXIStore({0!r}); assert store['data'][...].sum() > 1e4",
        "store = cxistack.CXIStore({0!r}); assert store.file['/entry/data/data'][()].sum() > 1e4",
        "cxistack.convert(cxistack.CXIStore({0!r}), cxistack.CXIStore({1!r}, 'w'), verbose=False)",
        "cxistack.CXIStore({1!r}, 'w').save_attribute('data', frames, compression=Blosc)",
        "cxistack.CXIStore({0!r}, 'r+').save_attribute('data', frames, 'insert', [1, 3])",
        "cxistack.CXIStore({1!r}, 'w').save_attribute('data', frames, compression='bitshuffle')",
    ],
)
def test_filters_are_registered_when_a_file_first_needs_them(tmp_path, code):
    """Each in a process of its own, in which nobody else has registered any."""
    names = [str(tmp_path / "in.h5"), str(tmp_path / "out.cxi")]
    subprocess.run([sys.executable, "-c", FILTERED, names[0]], check=True)
    run(
        "import numpy as np, cxistack; frames = np.ones((2, 32, 32), 'u2'); "
        "Blosc = {'compression': 32001, 'compression_opts': (0, 0, 0, 0, 5, 1, 0)}; "
        + code.format(*names)
    )


def test_everything_public_is_there_and_documented():
    for name in cxistack.__all__:
        thing = getattr(cxistack, name)
        if not isinstance(thing, str):
            assert thing.__doc__, name


def test_the_main_names_are_public():
    names = "CXIProtocol CXIStore STData Transform Crop Downscale Mirror ComposeTransforms kernels"
    assert set(names.split()) <= set(cxistack.__all__)


def test_exceptions_are_also_the_built_in_ones():
    for name, built_in in {
        "AttributeMissingError": KeyError,
        "CastError": ValueError,
        "ClosedStoreError": RuntimeError,
        "FrameIndexError": IndexError,
        "LayoutError": ValueError,
        "LinkError": OSError,
        "ProtocolError": ValueError,
        "ReadOnlyStoreError": ValueError,
        "StorageError": OSError,
    }.items():
        assert issubclass(getattr(cxistack, name), cxistack.CXIError)
        assert issubclass(getattr(cxistack, name), built_in)


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: str(file.relative_to(SOURCES)))
def test_a_module_says_in_its_first_line_what_it_does_and_is_not_long(file):
    text = file.read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    assert first.endswith(".")
    assert len(text.splitlines()) <= 600


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: str(file.relative_to(SOURCES)))
def test_library_code_has_no_print_and_no_bare_except(file):
    if "cli" in file.relative_to(SOURCES).parts:
        pytest.skip("a command line program prints")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}"


def test_handles_have_one_owner():
    """h5py.File appears in hdf5/files.py, in its handles, and in saving/ only."""
    owners = {
        file.relative_to(SOURCES).as_posix()
        for file in PYTHON
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "h5py.File"
    }
    rest = {file for file in owners if not file.startswith("saving/")}
    assert rest <= {"hdf5/files.py", "hdf5/handle.py"}
