"""A wheel holds what users need and nothing private; a repaired one carries its own libraries.

What is looked at is the installed package. Tests of a repaired wheel are skipped where another one
is installed, unless CXISTACK_REPAIRED says that it must be one, as `.ci/wheel` does.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cxistack

CODECS = ("libdeflate", "liblz4", "libzstd")
ALLOWED = (
    r"cxistack/([a-z0-9_]+/)*[a-z0-9_]+\.pyi?",
    r"cxistack/([a-z0-9_]+/)*[a-z0-9_]+\.(cpython-[\w-]+|abi3)\.so",
    r"cxistack/py\.typed",
    r"cxistack/protocol/builtin/[a-z]+\.ini",
    # The interface for C and Cython.
    r"cxistack/include/cxistack/[a-z_]+\.h",
    r"cxistack/capi\.pxd",
    r"cxistack/plugins/napari\.yaml",  # what napari looks for
    r"(cxistack/|\.\./\.\./\.\./(lib|share)/)([\w-]+/)*pkgconfig/cxistack\.pc",
    # What belongs to the wheel itself.
    r"cxistack/\.dylibs/lib(deflate|lz4|zstd)[\w.-]*\.dylib",
    r"cxistack\.libs/lib(deflate|lz4|zstd)-[\w.-]+",
    r"cxistack-[\w.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)",
    r"cxistack-[\w.]+\.dist-info/licenses/bundled/lib(deflate|lz4|zstd)\.txt",
    r"cxistack-[\w.]+\.dist-info/sboms/[\w.-]+\.json",
)
# What installers write beside a wheel's own files.
INSTALLED = (
    r".*/__pycache__/.*|.*/bin/cxistack|.*\.dist-info/(INSTALLER|REQUESTED|direct_url\.json)"
)


@pytest.fixture(scope="module")
def files():
    """Return the files of the installed wheel by their names in it."""
    found = {str(file): Path(file.locate()) for file in importlib.metadata.files("cxistack") or ()}
    found = {name: file for name, file in found.items() if not re.fullmatch(INSTALLED, name)}
    if "cxistack/__init__.py" not in found:
        pytest.skip("an editable install has no wheel's files")
    return found


@pytest.fixture(scope="module")
def repaired(files):
    """Return the files of a wheel that bundles its libraries."""
    if not any(re.match(r"cxistack(\.libs|/\.dylibs)/", name) for name in files):
        assert "CXISTACK_REPAIRED" not in os.environ, "the wheel bundles no libraries"
        pytest.skip("this wheel was not repaired: it uses the system's libraries")
    return files


def test_nothing_private_is_in_it(files):
    assert [name for name in files if not any(re.fullmatch(one, name) for one in ALLOWED)] == []


@pytest.mark.parametrize(
    "name",
    [
        r"cxistack/py\.typed",
        r"cxistack/protocol/builtin/default\.ini",
        r"cxistack/include/cxistack/capi\.h",
        r"cxistack/capi\.pxd",
        r"cxistack/plugins/napari\.yaml",  # what napari looks for
        r"cxistack/kernels/_decode\.pyi",
        r".*\.dist-info/licenses/LICENSE",
    ],
)
def test_what_users_need_is_in_it(files, name):
    assert any(re.fullmatch(name, one) for one in files)


def test_the_licence_texts_of_the_bundled_libraries_are_in_it(repaired):
    texts = {
        name.rpartition("/")[2]: file for name, file in repaired.items() if "/bundled/" in name
    }
    assert sorted(texts) == [f"{codec}.txt" for codec in CODECS]
    for file in texts.values():
        assert re.search(
            r"(?i)permission is hereby granted|redistribution and use", file.read_text()
        )
    metadata = importlib.metadata.metadata("cxistack")
    assert set(metadata.get_all("License-File")) == {
        "LICENSE",
        *(f"bundled/{one}" for one in texts),
    }
    assert metadata["License-Expression"] == "BSD-2-Clause AND BSD-3-Clause AND MIT"


@pytest.mark.skipif(sys.platform == "darwin", reason="delocate writes none")
def test_its_bill_of_materials_names_each_bundled_library_and_its_version(repaired):
    (file,) = (file for name, file in repaired.items() if "/sboms/" in name)
    bill = json.loads(file.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    for codec in CODECS:
        short = codec.removeprefix("lib")
        (version,) = (one["version"] for one in bill["components"] if short in one["name"])
        assert version.startswith(cxistack.build_info()["codecs"][codec]), codec


EVERY_FILTER = """
import re, sys
import h5py, numpy as np
import cxistack as cxi

frames = np.arange(4 * 64 * 64, dtype="u4").reshape(4, 64, 64) % 1000
for name, options in {
    "deflate": "deflate", "bitshuffle": "bitshuffle", "zstd": {"compression": 32015},
    "lz4": {"compression": 32004},
}.items():
    store = cxi.CXIStore(f"{sys.argv[1]}/{name}.h5", "w")
    store.save_attribute("data", frames, compression=options)
    store = cxi.CXIStore(f"{sys.argv[1]}/{name}.h5")
    assert np.array_equal(store.load_attribute("data"), frames), name
maps = open("/proc/self/maps").read()
print(*sorted(set(re.findall(r"/\\S*/lib(?:lz4|zstd|deflate)[-.]\\S*", maps))), sep="\\n")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_it_uses_its_own_libraries_where_the_system_has_none(repaired, tmp_path):
    """In a mount namespace in which each of the system's codec libraries is an empty file."""
    folders = [Path(one) for one in ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")]
    patterns = [f"**/{codec}.so*" for codec in CODECS]
    system = {
        str(file.resolve())
        for folder in folders
        if folder.is_dir()
        for pattern in patterns
        for file in folder.glob(pattern)
    }
    inner = (
        'while [ "$1" != -- ]; do mount --bind /dev/null "$1" || exit 77; shift; done; shift; '
        'exec "$@"'
    )
    unshare = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", inner, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "--", "true"]).returncode:
        assert "CXISTACK_REPAIRED" not in os.environ, "unshare is not here or not allowed"
        pytest.skip("unshare is not here or not allowed")
    command = [*unshare, *sorted(system), "--", sys.executable, "-c", EVERY_FILTER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    own = {
        str(file.resolve()) for name, file in repaired.items() if name.startswith("cxistack.libs/")
    }
    mapped = set(done.stdout.splitlines())
    assert own <= mapped
    assert mapped & system == set()
