"""A script written for pyrost runs with only its import changed."""

import subprocess
import sys
from pathlib import Path

import factory
from factory import DATA, frames, put

SCRIPT = Path(__file__).with_name("pyrost_script.py")


def test_a_script_written_for_pyrost_runs_with_only_its_import_changed(tmp_path):
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.count("pyrost as rst") == 1
    script = tmp_path / "script.py"
    script.write_text(text.replace("import pyrost as rst", "import cxistack as rst"))
    shape = (12, 15)
    raw = [
        put(
            tmp_path / f"raw_{n}.cxi",
            {DATA: frames(4, shape, start=720 * n), **factory.attributes(4, shape)},
        )
        for n in range(2)
    ]
    command = [sys.executable, "-W", "error", str(script), *raw, str(tmp_path / "results.cxi")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
