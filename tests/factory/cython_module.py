"""A Cython module of another package, compiled against the installed one and imported."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import cxistack


def compiled(code: str, name: str, folder: Path) -> ModuleType:
    """Compile and import a module; skip the test where there is no C compiler."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("no C compiler")
    source = folder / f"{name}.pyx"
    source.write_text(code)
    packages = Path(cxistack.__file__).parent.parent
    subprocess.run(
        [sys.executable, "-m", "cython", "-3", "-I", str(packages), str(source)], check=True
    )
    library = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    mac = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    files = [str(source.with_suffix(".c")), "-o", str(library)]
    folders = [f"-I{include}", f"-I{cxistack.get_include()}"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-O1", *folders, *mac, *files], check=True)
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
