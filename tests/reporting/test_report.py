"""A report against NumPy and h5py: what the page says and shows of a run."""

import base64
import io
import re
import sys

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cxistack import CXIStore
from cxistack.cli import app
from cxistack.pictures.colours import GREY, PALETTE
from cxistack.reporting.measured import measure
from cxistack.reporting.report import MOST_FRAMES, Wanted, chosen_frames, report
from factory.beamlines import euxfel
from factory.server import serving

DETECTOR = "/entry_1/instrument_1/detector_1"
SHAPE = (30, 40)


def write(path, frames, first=0):
    rng = np.random.default_rng(first)
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            f"{DETECTOR}/data", data=frames, chunks=(1, *frames.shape[1:]), compression="gzip"
        )
        mask = np.zeros(frames.shape[1:], np.uint32)
        mask[5:9, 10:20] = 1
        h5[f"{DETECTOR}/mask"] = mask
        h5[f"{DETECTOR}/distance"] = 1.25
        h5[f"{DETECTOR}/x_pixel_size"] = 75e-6
        h5[f"{DETECTOR}/y_pixel_size"] = 75e-6
        h5["/entry_1/instrument_1/source_1/energy"] = 1.6e-15
        h5["/entry_1/sample_1/geometry_1/translation"] = rng.normal(size=(len(frames), 3)) * 1e-6
        h5["/speckle_tracking/whitefield"] = np.hypot(*np.indices(frames.shape[1:]))
    return str(path)


@pytest.fixture
def frames():
    made = np.random.default_rng(8).poisson(40, (12, *SHAPE)).astype(np.uint16)
    made[:, 0, 0] = 65535  # a gap, by its mark
    made[3, 1, 1] = 65535  # once
    return made


@pytest.fixture
def names(tmp_path, frames):
    return [write(tmp_path / f"run_{k}.cxi", frames[3 * k : 3 * k + 3], 3 * k) for k in range(4)]


@pytest.fixture
def good(frames):
    good = frames != 65535
    good[:, 5:9, 10:20] = False
    return good


def page_of(names, path, wanted=Wanted(verbose=False), protocol="cxi"):  # noqa: B008
    with CXIStore(names, protocol=protocol) as run:
        problems = report(run, path, wanted)
    return path.read_text(encoding="utf-8"), problems


def text_of(page):
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def picture_of(page, title):
    """Return (red, green, blue) of the picture below a heading."""
    found = re.search(rf"<h3>{title}</h3><img[^>]*base64,([^\"]+)\"", page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB"))


@pytest.mark.parametrize("threads", [1, 2])
def test_one_pass_finds_what_numpy_finds(names, frames, good, threads):
    with CXIStore(names, protocol="cxi") as run:
        numbers = np.array([0, 2, 3, 7, 11])
        found = measure(run, numbers, use_mask=True, num_threads=threads, verbose=False)
    some, fine = frames[numbers], good[numbers]
    never = ~fine.any(axis=0)
    np.testing.assert_array_equal(found.numbers, numbers)
    np.testing.assert_array_equal(np.ma.getmaskarray(found.mean), never)
    expected = np.ma.MaskedArray(some, ~fine)
    np.testing.assert_allclose(found.mean.compressed(), expected.mean(axis=0).compressed())
    np.testing.assert_array_equal(found.highest.compressed(), expected.max(axis=0).compressed())
    np.testing.assert_allclose(found.good, fine.mean(axis=0))
    np.testing.assert_array_equal(
        found.counts, [one[ok].sum() for one, ok in zip(some, fine, strict=True)]
    )


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "uint8"])
def test_pixels_without_a_value_are_bad_in_every_type(tmp_path, dtype):
    frames = np.random.default_rng(1).poisson(3, (4, 6, 7)).astype(dtype)
    gap = {"f": np.nan, "i": -1}.get(frames.dtype.kind)
    if gap is not None:
        frames[:, 2, 3] = gap
    with h5py.File(tmp_path / "a.cxi", "w") as h5:
        h5[f"{DETECTOR}/data"] = frames
    with CXIStore(str(tmp_path / "a.cxi"), protocol="cxi") as run:
        found = measure(run, np.arange(4), use_mask=False, verbose=False)
    assert np.ma.getmaskarray(found.mean).sum() == (gap is not None)
    where = np.ones(frames.shape, bool)
    where[:, 2, 3] = gap is None
    sums = np.sum(frames, axis=(1, 2), where=where, dtype=np.float64)
    np.testing.assert_allclose(found.counts, sums, rtol=1e-6)


def test_the_page_tells_what_the_run_holds(names, tmp_path, good, frames):
    page, problems = page_of(names, tmp_path / "run.html")
    text = text_of(page)
    assert problems == []
    assert "Problems" not in text
    for word in (
        "run_0.cxi and 3 more",
        "4 files,",
        "12 frames of 30 × 40 pixels, uint16",
        "all 12 frames",
        "read by the protocol cxi",
        "distance scalar () float64 m 1.25",
        "1.6e-15 (9.98641 keV)",
        "7.5e-05 (75 µm)",
        "2.25 × 3 mm",
        "41 pixels (3.417%) are bad in every frame, 1 in some",
        "4 files, of 3 frames each.",
        "decoded by our deflate",
    ):
        assert word in text, word
    counts = [int(one[ok].sum()) for one, ok in zip(frames, good, strict=True)]
    most = int(np.argmax(counts))
    assert f"to {counts[most]:,} (frame {most})" in text
    assert "translations, 12 frames (µm)" in text or "translations, 12 frames (nm)" in text


def test_its_pictures_are_those_of_the_frames(names, tmp_path, good, frames):
    page, _ = page_of(names, tmp_path / "run.html")
    shown = picture_of(page, "Mean of the frames")
    times = shown.shape[0] // SHAPE[0]
    small = shown[::times, ::times]
    never = ~good.any(axis=0)
    np.testing.assert_array_equal((small == PALETTE[GREY]).all(axis=-1), never)
    mean = np.ma.MaskedArray(frames, ~good).mean(axis=0)
    green = np.ma.MaskedArray(small[..., 1].astype(float), never)  # rises along viridis
    assert np.ma.corrcoef(green.ravel(), mean.ravel())[0, 1] > 0.95
    fine = picture_of(page, "Where pixels are good")[::times, ::times]
    assert (fine[never] == PALETTE[0]).all()
    assert (fine[good.all(axis=0)] == PALETTE[GREY - 1]).all()
    assert "Whitefield, as the files have it" in page


def test_nothing_comes_from_a_network_and_nothing_is_run(names, tmp_path):
    page, _ = page_of(names, tmp_path / "run.html")
    assert "<script" not in page
    assert "//" not in re.sub(r"base64,[^\"]+|//[^\"<]*\.cxi", "", page)
    sources = re.findall(r"(?:src|href|srcset)=\"([^\"]{0,22})", page)
    assert sources
    assert set(sources) == {"data:image/png;base64,"}


def test_a_long_run_is_looked_at_in_part_and_the_page_says_so(tmp_path):
    count = 2 * MOST_FRAMES + 7
    with h5py.File(tmp_path / "long.cxi", "w") as h5:
        h5[f"{DETECTOR}/data"] = np.ones((count, 4, 5), np.uint8)
    page, _ = page_of(str(tmp_path / "long.cxi"), tmp_path / "run.html")
    assert "669 of the 2,007 frames, one in 3 from 0 to 2004 (--frames : takes all)" in text_of(
        page
    )
    wanted = Wanted(slice(10, 30, 5), verbose=False)
    page, _ = page_of(str(tmp_path / "long.cxi"), tmp_path / "run.html", wanted)
    assert "4 of the 2,007 frames, one in 5 from 10 to 25." in text_of(page)
    page, _ = page_of(str(tmp_path / "long.cxi"), tmp_path / "run.html", Wanted(-1, verbose=False))
    assert "The sum of its good pixels is 20." in text_of(page)


def test_frames_are_chosen_as_numpy_chooses(names):
    with CXIStore(names, protocol="cxi") as run:
        for key in (slice(None), slice(8, 2, -3), slice(-4, None), 5, -1):
            expected = np.sort(np.atleast_1d(np.arange(12)[key]))
            np.testing.assert_array_equal(chosen_frames(run, key), expected)
        with pytest.raises(ValueError, match="of the 12 that there are"):
            chosen_frames(run, slice(20, 30))


class TestWhatIsWrong:
    """It is on the page, which has all else."""

    def test_a_damaged_chunk_costs_its_file(self, names, tmp_path):
        with h5py.File(names[1]) as h5:
            where = h5[f"{DETECTOR}/data"].id.get_chunk_info(1).byte_offset
        with open(names[1], "r+b") as file:  # noqa: PTH123
            file.seek(where)
            file.write(b"\0" * 20)
        page, problems = page_of(names, tmp_path / "run.html")
        assert any("run_1.cxi" in one for one in problems)
        assert "9 of the 12 frames" in text_of(page)
        assert "Mean of the frames" in page

    def test_a_mask_that_does_not_fit(self, names, tmp_path):
        with h5py.File(names[0], "r+") as h5:
            del h5[f"{DETECTOR}/mask"]
            h5[f"{DETECTOR}/mask"] = np.zeros((3, 3), np.uint32)
        page, problems = page_of(names, tmp_path / "run.html")
        assert problems
        assert "<h2>Problems</h2>" in page
        assert "Mean of the frames" in page

    def test_a_file_that_is_not_there_any_more(self, names, tmp_path):
        with h5py.File(names[2], "w") as h5:
            h5["nothing"] = 1
        page, _ = page_of(names, tmp_path / "run.html")
        assert "9 frames of 30 × 40" in text_of(page)

    def test_data_of_another_type_than_the_protocols(self, tmp_path):
        with h5py.File(tmp_path / "f.cxi", "w") as h5:
            h5[f"{DETECTOR}/data"] = np.random.default_rng(0).random((3, 5, 6))
        page, _ = page_of(str(tmp_path / "f.cxi"), tmp_path / "run.html", protocol=None)
        assert "as which they are loaded" in text_of(page)
        assert "Mean of the frames" in page

    def test_names_are_no_markup(self, tmp_path, frames):
        folder = tmp_path / "<i>&amp;"
        folder.mkdir()
        name = write(folder / "a<b>.cxi", frames)
        page, _ = page_of(name, tmp_path / "run.html")
        assert "<i>" not in page
        assert "<b>" not in page
        assert "a&lt;b&gt;.cxi" in page


def test_results_without_frames_have_a_page(tmp_path):
    with h5py.File(tmp_path / "results.cxi", "w") as h5:
        h5["/speckle_tracking/whitefield"] = np.random.default_rng(0).random((9, 11))
        h5["/speckle_tracking/translations"] = np.random.default_rng(0).random((7, 2))
    page, problems = page_of(str(tmp_path / "results.cxi"), tmp_path / "run.html", protocol=None)
    assert problems == []
    assert "Whitefield" in page
    assert "translations, 7 frames" in page
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    page, _ = page_of(str(tmp_path / "empty.h5"), tmp_path / "run.html")
    assert "Nothing of the protocol" in page


def test_modules_are_shown_row_by_row(tmp_path):
    made = euxfel.agipd_raw(tmp_path)
    page, problems = page_of(
        [str(one) for one in made.files], tmp_path / "run.html", protocol="euxfel"
    )
    assert problems == []
    assert "16 images row by row" in text_of(page)


def test_a_run_on_a_server_has_a_page(names, tmp_path):
    pytest.importorskip("obstore")
    with serving(tmp_path) as server:
        urls = server.of(*[name.rpartition("/")[2] for name in names])
        page, problems = page_of(urls, tmp_path / "run.html")
        store = CXIStore(urls, protocol="cxi")
        assert "<img" in store._repr_html_()
    assert problems == []
    text = text_of(page)
    assert "12 frames of 30 × 40 pixels" in text
    assert "missing" not in text
    assert f"in {urls[0].rpartition('/')[0]}," in text


def test_every_real_file_has_a_page(shared_data, tmp_path):
    for file in [*shared_data.glob("*.cxi"), *shared_data.glob("*.h5")]:
        page, problems = page_of(str(file), tmp_path / "run.html", protocol=None)
        assert problems == []
        assert "Where pixels are good" in page
        assert len(page) < 3_000_000


class TestTheCommand:
    def run(self, *words):
        return CliRunner().invoke(app, ["report", *map(str, words)])

    def test_writes_the_page(self, names, tmp_path):
        done = self.run(*names, "-o", tmp_path / "a.html", "--frames", "0:6", "--protocol", "cxi")
        assert done.exit_code == 0, done.output
        assert done.stdout == f"{tmp_path / 'a.html'}: 12 frames, 0 problems\n"
        assert "6 of the 12 frames, from 0 to 5" in text_of((tmp_path / "a.html").read_text())

    def test_replaces_nothing_unasked(self, names, tmp_path):
        (tmp_path / "a.html").write_text("mine")
        refused = self.run(*names, "-o", tmp_path / "a.html")
        assert refused.exit_code == 2
        assert "--force" in refused.stderr
        assert (tmp_path / "a.html").read_text() == "mine"
        assert self.run(*names, "-o", names[0], "--force").exit_code == 2
        assert CXIStore(names[0], protocol="cxi")["data"].shape == (3, *SHAPE)
        assert self.run(*names, "-o", tmp_path / "a.html", "--force").exit_code == 0

    @pytest.mark.parametrize(
        ("words", "why"), [(["--frames", "a"], "--frames"), (["none.cxi"], "none.cxi")]
    )
    def test_what_cannot_be_done_is_one_sentence(self, names, tmp_path, words, why):
        done = self.run(*names, *words, "-o", tmp_path / "a.html")
        assert done.exit_code == 2
        assert why in done.stderr
        assert not (tmp_path / "a.html").exists()

    def test_without_matplotlib_it_says_what_to_install(self, names, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        done = self.run(*names, "-o", tmp_path / "a.html")
        assert done.exit_code == 2
        assert "cxistack[plot]" in done.stderr
