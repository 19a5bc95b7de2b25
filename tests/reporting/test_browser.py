"""The page as a browser shows it: light and dark, on a phone, on paper, and within a notebook.

Chromium draws it, where it is installed; a script that the tests add measures it.
"""

import html
import json
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest
from matplotlib.image import imread

from cxistack import CXIStore
from cxistack.reporting.report import Wanted, report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LIGHT, DARK = 1, 0  # as Blink numbers them
DETECTOR = "/entry_1/instrument_1/detector_1"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    name = (
        tmp_path_factory.mktemp("browser") / "a_run_with_a_long_name_that_does_not_fit_a_phone.cxi"
    )
    with h5py.File(name, "w") as h5:
        h5[f"{DETECTOR}/data"] = np.random.default_rng(0).poisson(9, (20, 60, 90)).astype("u2")
        h5[f"{DETECTOR}/mask"] = np.zeros((60, 90), np.uint32)
        h5["/entry_1/sample_1/geometry/translations"] = np.random.default_rng(0).random((20, 3))
        h5[f"{DETECTOR}/distance"] = np.zeros((3, 3, 3))  # a problem
    with CXIStore(str(name)) as store:
        yield store


@pytest.fixture(scope="module")
def page(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "run.html"
    assert report(store, path, Wanted(verbose=False))
    return path


@pytest.fixture(scope="module", autouse=True)
def _starts(tmp_path_factory):
    """Skip where Chromium is installed and cannot start, as in some containers."""
    blank = tmp_path_factory.mktemp("blank") / "blank.html"
    blank.write_text("<p>blank")
    try:
        browse(blank, "--dump-dom")
    except subprocess.SubprocessError as error:
        pytest.skip(f"Chromium does not start here: {error}")


def browse(page, *words, scheme=LIGHT, width=1400, height=900):
    """Let Chromium show a page without a window; return what it prints."""
    # Its memory is not in /dev/shm, which is small in containers.
    plain = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    look = (f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},{height}")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [CHROMIUM, *plain, "--hide-scrollbars", *look, profile, *words, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def measured(page, script, **how):
    """Return what a script finds on a page: it is added, and what it returns is shown."""
    text = page.read_text(encoding="utf-8")
    found = f"<script>document.body.dataset.found = JSON.stringify((() => {{{script}}})())</script>"
    copy = page.with_name("measured.html")
    copy.write_text(
        text.replace("</body>", f"{found}</body>") if "</body>" in text else text + found
    )
    shown = browse(copy, "--dump-dom", **how)
    return json.loads(html.unescape(re.search(r'data-found="([^"]*)"', shown)[1]))


LOOK = """
const of = (name, what) => getComputedStyle(document.querySelector(name))[what];
const dark = [...document.styleSheets[0].cssRules].map(one => one.media?.mediaText ?? "").filter(
  one => one.includes("dark"));
return {
  wide: document.documentElement.scrollWidth, back: of("body", "backgroundColor"),
  ink: of("body", "color"), light: of(".on-light", "display"), dark: of(".on-dark", "display"),
  broken: [...document.images].filter(one => !one.naturalWidth).length,
  count: document.images.length, rules: dark,
  spills: [...document.querySelectorAll("figure,section,h1,pre")].filter(
    one => one.getBoundingClientRect().right > innerWidth + 1).length,
}"""


def test_on_a_light_desk_all_is_there_and_fits(page):
    found = measured(page, LOOK)
    assert found["wide"] <= 1400
    assert found["spills"] == found["broken"] == 0
    assert found["count"] == 3 + 2 * 2  # a plot is there twice
    assert (found["back"], found["ink"]) == ("rgb(255, 255, 255)", "rgb(29, 33, 39)")
    assert (found["light"], found["dark"]) == ("block", "none")
    # What is dark is for screens alone.
    assert found["rules"]
    assert all(one.startswith("screen and ") for one in found["rules"])


@pytest.mark.parametrize("width", [400, 1400], ids=["phone", "desk"])
@pytest.mark.parametrize(
    ("scheme", "back"), [(LIGHT, (255, 255, 255)), (DARK, (20, 23, 27))], ids=["light", "dark"]
)
def test_it_has_the_colours_of_its_place_and_nothing_is_cut_off(page, scheme, back, width):
    png = page.with_name(f"shown_{scheme}_{width}.png")
    browse(page, f"--screenshot={png}", scheme=scheme, width=width, height=2600)
    pixels = np.rint(imread(png)[..., :3] * 255).astype(int)
    assert pixels.shape[:2] == (2600, width)
    assert (pixels[:, :4] == back).all()
    assert (pixels[:, -4:] == back).all()  # the margin on the right is whole
    red, green, blue = np.moveaxis(pixels, 2, 0)
    assert ((red > 200) & (green > 200) & (blue < 100)).mean() > 0.02  # what is good is yellow


def test_a_phone_scrolls_wide_tables(page):
    """Paths are in one line, beside the screen's edge, and no row is higher for them."""
    script = """return [...document.querySelectorAll(".wide tr")].map(
      one => one.getBoundingClientRect().height)"""
    heights = measured(page, script, width=400)
    assert max(heights) < 40


def test_it_can_be_printed(page):
    pdf = page.with_name("run.pdf")
    browse(page, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", scheme=DARK)
    assert pdf.read_bytes().startswith(b"%PDF")


def test_a_notebook_says_which_colours_there_are(store, tmp_path):
    """A dark notebook on a light system, and a page that says nothing on a dark one."""
    shown = store._repr_html_()
    words = "--jp-content-font-color1:rgb(1,2,3);--jp-border-color2:rgb(4,5,6)"
    page = tmp_path / "notebook.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body><div style="{words}">{shown}</div>'
        f'<div style="color:rgb(7,8,9)">{shown}</div></body>'
    )
    script = """
    return [...document.querySelectorAll(".cxistack td:first-child")].map(one => {
      const style = getComputedStyle(one); return [style.color, style.borderBottomColor]})"""
    found = measured(page, script)
    half = len(found) // 2
    assert set(map(tuple, found[:half])) == {("rgb(1, 2, 3)", "rgb(4, 5, 6)")}
    assert {color for color, _ in found[half:]} == {"rgb(7, 8, 9)"}
