"""The benchmarks run, check what they time, and say so; what they find is not looked at."""

import json
import subprocess
import sys

import numpy as np
import pytest

from factory import ROOT

sys.path.insert(0, str(ROOT))

command = pytest.importorskip("benchmarks.__main__", exc_type=ImportError)
from benchmarks.harness import curves, peers, picture, report, results, timing  # noqa: E402
from benchmarks.harness.options import Options  # noqa: E402
from benchmarks.harness.pyrost_peer import PeerUnavailableError  # noqa: E402
from benchmarks.suites import SUITES, suite  # noqa: E402

COLUMNS = 80  # of a terminal


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse():
        raise PeerUnavailableError("not in a test")

    monkeypatch.setattr(peers, "pyrost_store", refuse)


def run(name, folder, **options):
    found = report.Report({"CPU": "any"})
    found.begin(name, "for a test")
    suite(name).run(found, Options(size="tiny", folder=folder, **options))
    assert list(folder.iterdir()) == []  # files are gone
    return found


def shown(found):
    return {(ratio.stored, ratio.case, ratio.against) for ratio in found.ratios}


def test_the_list_names_every_suite(capsys):
    assert command.main(["--list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    files = (ROOT / "benchmarks" / "suites").iterdir()
    suites = {file.stem for file in files if not file.name.startswith(("_", "."))}
    assert [line.split()[0] for line in lines] == list(SUITES)
    assert set(SUITES) == suites
    assert all(len(line.split()) > 3 and len(line) <= COLUMNS for line in lines)


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_runs_in_its_smallest_form(tmp_path, capsys, name):
    (tmp_path / "files").mkdir()
    words = [name, "--tiny", "--folder", str(tmp_path / "files"), "--json", "-"]
    assert command.main(words) in (0, 1)  # 1: a must is missed, as figures mean nothing

    answer = capsys.readouterr()
    found = json.loads(answer.out)  # and nothing else
    assert found["machine"]["cxistack"]
    for result in found["results"]:
        assert result["suite"] == name
        assert result["what"]
        assert result["figure"] > 0 or result["unit"] == "of N"  # an exponent may be negative
        assert result["unit"]
        assert (result["target"] is None) == (result["held"] is None)
    assert found["results"] or (name == "memory" and sys.platform != "linux")
    places = (str(ROOT), sys.prefix)  # which may be long
    lines = [line for line in answer.err.splitlines() if not any(one in line for one in places)]
    assert all(len(line) <= COLUMNS for line in lines)
    assert list((tmp_path / "files").iterdir()) == []


def test_the_command_refuses_what_is_no_suite(capsys):
    for words in ([], ["load", "none"]):
        with pytest.raises(SystemExit, match="2"):
            command.main(words)
    assert "no suite none: --list shows all" in capsys.readouterr().err


def test_the_command_starts_as_a_module(tmp_path):
    name = tmp_path / "found.json"
    words = ["kernels", "--tiny", "--only", "64x64: cast", "--json", name]
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert "64x64: cast, out=, NumPy" in answer.stdout, answer.stderr
    assert len(json.loads(name.read_text())["results"]) == 2 * 3  # two ways, and their ratio


def test_a_tiny_run_measures_every_case(tmp_path, capsys):
    found = run("load", tmp_path)

    assert ("bitshuffle+LZ4", "400 x 600 as float32", "h5py by frame") in shown(found)
    assert ("none", "chunks of (16, 8, 20)", "h5py") in shown(found)
    assert any("random frames" in case for _, case, _ in shown(found))
    assert all(ratio.value > 0 for ratio in found.ratios)
    assert "without pyrost" in capsys.readouterr().err
    summary = found.summary()
    assert all(f"  {ratio.value:.2f}" in summary for ratio in found.ratios if ratio.value < 1000)
    picture.draw(found.ratios, found.machine, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").stat().st_size > 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux' /proc")
def test_a_tiny_run_over_the_memory_of_loads(tmp_path):
    found = run("memory", tmp_path)

    assert all("peak memory" in case for _, case, _ in shown(found))
    assert len(shown(found)) == 5 + 2  # codecs, and more loads of one


def test_a_tiny_run_over_many_files(tmp_path):
    found = run("many_files", tmp_path)

    assert ("-", "open 3 files of 100 frames", "h5py, by hand") in shown(found)
    assert ("deflate", "200 frames: index", "50 MB a million") in shown(found)


def test_all_axes_agree_with_h5py(tmp_path):
    found = run("load", tmp_path, full=True, only=("| float32",))

    combinations = {(ratio.stored, ratio.case) for ratio in found.ratios}
    assert len(combinations) == 5 * 3 * 4 * 4  # codecs, layouts, pixels, frames
    assert found.shown == []  # in averages only


def test_a_tiny_run_over_virtual_datasets(tmp_path):
    found = run("virtual", tmp_path)

    cases = {(case, against) for _, case, against in shown(found)}
    assert ("virtual over 5 files", "the files themselves") in cases
    assert ("16 modules, stacked", "h5py, virtual") in cases
    assert ("16 modules, a mosaic with gaps", "h5py, virtual") in cases


def test_a_tiny_run_over_masks_of_limits(tmp_path, capsys):
    found = run("masks", tmp_path)

    told = [figure for _, figure in found.shown]
    assert len(told) == 3 * 2 * 2
    assert (told[-1].stored, told[-1].case) == ("bitshuffle+LZ4", "uint16, 3 limits, a mask")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("bitshuffle+LZ4, uint16, 3 limits, a mask ")


def test_a_tiny_run_over_growth(tmp_path, capsys):
    found = run("growth", tmp_path)

    assert len(found.figures) == 13
    assert all(figure.what == "exponent" for figure in found.figures)
    assert {figure.most for figure in found.figures} == {1.1, 0.15}
    ours = [timing for timing in found.timings if timing.way == results.OURS]
    assert len(ours) == 13 * 3  # sizes
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= COLUMNS for line in lines)


@pytest.mark.parametrize(("power", "told"), [(0, 0.0), (1, 1.0), (2, 2.0)])
def test_an_exponent_is_that_of_the_last_decade(power, told):
    sizes = [1, 10, 100, 300, 1000]
    fixed = [1e-3 * max(size, 100) ** power for size in sizes]
    assert curves.exponent(sizes, fixed) == pytest.approx(told, abs=1e-9)


@pytest.mark.parametrize(("power", "missed"), [(1, 0), (2, 1)])
def test_a_curve_that_bends_upward_is_a_must_that_is_missed(monkeypatch, capsys, power, missed):
    clock = [0.0]

    def ways(size, _):
        def call():
            clock[0] += 1e-6 * size**power

        return {results.OURS: call}

    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(timing.time, name, lambda: clock[0])
    found = report.Report({})
    found.begin("growth", "for a test")
    curve = curves.Curve("work on N things", "-", ways)
    curves.measure_curve(found, curve, [1, 10, 100, 1000], timing.Pace(1))
    assert found.missed == missed
    told = capsys.readouterr().out
    assert ("MISSED by work on N things: its exponent is 2.00" in told) == bool(missed)
    assert told.splitlines()[-1 - bool(missed)].split()[-1] == f"{power}.00"


def test_a_tiny_run_over_calls(tmp_path):
    found = run("calls", tmp_path)

    assert ("none", "a frame of 8 x 8, 1 file", "40 us") in shown(found)
    assert ("bitshuffle+LZ4", "a frame of 8 x 8, 4 files", "60 us") in shown(found)
    assert ("-", "import, in a new process", "h5py") in shown(found)
    swept = {(stored, case) for stored, case, _ in shown(found) if "16 x 16" in case}
    assert len(swept) == 6 * 2  # filters; one frame, and many


def test_two_installations_are_measured_in_turn(tmp_path, capsys):
    words = ["against", sys.executable, "--tiny", "--only", "LZ4: load whole", "--json", "-"]
    assert command.main([*words, "--folder", str(tmp_path)]) in (0, 1)
    answer = capsys.readouterr()
    found = json.loads(answer.out)["results"]
    loaded = {result["what"].partition(", load whole")[0] for result in found}
    assert loaded == {"LZ4", "bitshuffle+LZ4"}
    assert len(found) == 2 * 3 * 3  # stacks; loads; two times, and their ratio
    assert answer.err.count("cxistack/__init__.py") == 2  # whose installations they are


def test_a_way_that_gives_something_else_ends_the_run():
    frames = np.arange(12)
    case = timing.Case(
        "a case",
        "none",
        frames.nbytes,
        "theirs",
        [timing.Way("theirs", lambda: frames), timing.Way("cxistack", lambda: frames + 1)],
    )
    with pytest.raises(SystemExit, match="cxistack does not give what theirs gives"):
        timing.measure(case, timing.Pool(0), timing.Pace(1, 1.0))


@pytest.mark.parametrize(
    ("value", "must", "goal", "verdict", "held"),
    [
        (3.0, 1.0, 2.0, "goal", True),
        (1.5, 1.0, 2.0, "must", True),
        (0.9, 1.0, 2.0, "MISSED", False),
        (0.9, None, 2.0, "below goal", None),
        (0.9, None, None, "", None),
    ],
)
def test_a_verdict(value, must, goal, verdict, held):
    ratio = results.Ratio("none", "a case", "h5py", value, must, goal)
    assert (ratio.verdict, ratio.held) == (verdict, held)


@pytest.mark.parametrize(
    ("value", "most", "verdict", "held"),
    [(3.0, 4.0, "must", True), (5.0, 4.0, "MISSED", False), (5.0, None, "", None)],
)
def test_the_verdict_on_a_figure(value, most, verdict, held):
    figure = results.Figure("none", "a case", "a call", value, "us", most)
    assert (figure.verdict, figure.held) == (verdict, held)


def test_tables_fit_a_terminal():
    long = "a case with a very long name that says all that it does, and then more of it"
    found = report.Report({})
    found.begin("a_suite", long)
    spent = {results.OURS: timing.Spent(1234.5, 1.0, 40), long: timing.Spent(99999.0, 1.0, 40)}
    timings = report.timings_of("-", long, spent, 10**15)
    ratio = results.Ratio("none", long, long, 123456.7, 999.0, 9999.0, note=long)
    below = results.Ratio("-", "a case", "h5py", 1.0, None, 1000.0)
    figure = results.Figure("deflate", long, long, 123456.7, "ms of CPU", 99999.0, note=long)
    found.add(long, timings, [ratio, below, figure])

    told = f"{report.timing_table(found.timings)}\n{found.summary()}"
    assert max(map(len, told.splitlines())) <= COLUMNS
    assert told.count("then more of it") >= 3
    assert "1 musts held, 1 missed" in told


@pytest.mark.parametrize("kinds", [["peer"], ["limit", "bound"], ["peer", "threads"]])
def test_a_picture_of_some_of_the_ratios(tmp_path, kinds):
    ratios = [results.Ratio("none", "a case", "h5py", 2.0, 1.0, 3.0, kind) for kind in kinds]
    picture.draw(ratios, {"CPU": "any"}, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").exists()
