"""The documentation tells the truth: its blocks run, its tables hold, its site is built."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cxistack.cli.speckle_run import write_run
from factory import ROOT
from factory.beamlines import LAYOUTS
from factory.pages import Page

DOCS = ROOT / "docs"
PATHS = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PAGES = [page for page in map(Page, PATHS) if page.is_run]
NAMES = [page.path.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES]


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "demo"
    folder.mkdir()
    assert len(list(write_run(folder, frames=100))) == 4
    return folder


@pytest.fixture
def page(request, demo_run, tmp_path, monkeypatch):
    """Return a page whose files lie in the folder where the test is."""
    page = request.param
    for module in page.needs:
        pytest.importorskip(module, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    Path("demo").symlink_to(demo_run)
    for name in page.files:
        Path(name).symlink_to(request.getfixturevalue("shared_data") / name)
    if page.layout:
        Path("run").mkdir()
        LAYOUTS[page.layout](Path("run"))
    return page


@pytest.mark.parametrize("page", PAGES, ids=NAMES, indirect=True)
def test_a_page_does_what_it_shows(page):
    report, names = page.run()
    assert not report, report
    for left, right in page.rows():
        ours, theirs = eval(left, names), eval(right, names)
        assert np.array_equal(np.asarray(ours), np.asarray(theirs)), f"{left} and {right}"


def test_there_are_pages_and_rows_to_run():
    assert len(PAGES) >= 15
    assert sum(len(page.rows()) for page in PAGES) >= 20


@pytest.mark.parametrize(
    "text",
    [
        "```python\n>>> 1 + 1\n3\n```",
        "```python\nmissing\n```",
        "```console\n$ cxistack protocol show nothing\n```",
        "```console\n$ cxistack protocol list\nno such protocol\n```",
        "```{code-block} python\n:caption: job.py\n\ndef job(:\n```",
    ],
)
def test_a_page_that_is_wrong_is_told_of(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.md").write_text(text)
    try:
        report, _ = Page("wrong.md").run()
    except (NameError, SyntaxError):
        return
    assert report


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_a_page_has_in_code_is_what_a_test_can_run(path):
    # What C and Cython look like is README's to show, and its test's to compile.
    known = {"python", "console", "ini", "{include}", "{toctree}", "{eval-rst}"}
    assert {block.language for block in Page(path).blocks} <= known


@pytest.mark.parametrize("name", ["FrameDataset", "IterableFrameDataset"])
def test_signatures_that_are_written_by_hand_are_those_of_the_code(name):
    torch = pytest.importorskip("cxistack.adapters.torch", exc_type=ImportError)
    written = re.search(rf"torch\.{name}\((.*)\)", (DOCS / "api" / "adapters.md").read_text())[1]
    parameters = inspect.signature(getattr(torch, name)).parameters.values()
    told = [one.replace(annotation=inspect.Parameter.empty) for one in parameters]
    assert f"({written})" == str(inspect.Signature(told))


def test_no_result_waits_to_be_filled_in():
    assert not [path for path in PATHS if re.search(r"^@@", path.read_text(), re.M)]


def test_the_site_is_built_without_a_warning(tmp_path):
    for module in ("sphinx", "myst_parser", "pydata_sphinx_theme", "sphinx_copybutton"):
        pytest.importorskip(module)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", tmp_path / "trees", DOCS, tmp_path / "site"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "site" / "index.html").read_text()
    assert "fonts.googleapis" not in index
    assert "load_attribute" in (tmp_path / "site" / "api" / "load.html").read_text()
