"""Every faulty layout of the table `factory.faulty`: an error of its own words, or the right array.

The table is in the functions of that package, one a layout: `python -m factory.faulty`, run in this
folder, shows them all with what cxistack says of each.
"""

import faulthandler
import os
import re
import runpy
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from typer.testing import CliRunner

from cxistack import CXIError, CXIStore
from cxistack.cli import app
from factory.faulty import GOOD_DISTANCE, ROWS

SECONDS = 60  # that no layout may hold a load up for

# What a person at the beamline is not to be shown: addresses, reprs of internals, dumps of errors.
UNREADABLE = re.compile(
    r"0x7f|<HDF5|<class|object at|Traceback|\bb'|\bnp\.|errno =|Errno (?!2\b|13\b)|[\n\r\t]"
    r"|buf =|None\b|synchronously.*synchronously"
)


@dataclass
class Outcome:
    """What came of a row: of loading, of `problems`, of the store's text, of the rest."""

    folder: str
    error: BaseException | None = None
    loaded: object = None
    problems: list = field(default_factory=list)
    table: str = ""
    distance: object = None
    info: object = None

    @property
    def words(self):
        """What the error says, without the folder of this test."""
        return str(self.error).replace(f"{self.folder}/", "")


def _info(names, row, folder):
    arguments = ["info", *names]
    if "protocol" in row.options:
        row.options["protocol"].to_ini(folder / "row.ini")
        arguments += ["--protocol", str(folder / "row.ini")]
    return CliRunner().invoke(app, arguments)


def _outcome(row, folder):
    made = row.make(folder)
    names = [made] if isinstance(made, str) else made
    got = Outcome(str(folder), info=_info(names, row, folder))
    if row.opens:
        with CXIStore(names, **row.options) as store:
            got.problems, got.table = store.problems, repr(store)
            if row.rest:
                got.distance = store.load_attribute("distance")
    try:
        with CXIStore(names, **row.options) as store:
            if row.meanwhile is not None:
                store.describe(row.attr)
                row.meanwhile(names[0])
            got.loaded = store.load_attribute(row.attr, verbose=False, **row.ask)
    except (CXIError, OSError, MemoryError) as error:
        got.error = error
    return got


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, pytestconfig):
    """Return what comes of a row, by its name; each is made once."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    @cache
    def outcome(name):
        folder = tmp_path_factory.mktemp(name)
        with capture.global_and_fixture_disabled():
            # libhdf5 sees no signal where it hangs: the process has to end, and to say where.
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                return _outcome(ROWS[name], folder)
            finally:
                faulthandler.cancel_dump_traceback_later()

    return outcome


@pytest.fixture(params=ROWS)
def row(request):
    """Return each row of the table."""
    chosen = ROWS[request.param]
    if chosen.name == "file_without_permission" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    return chosen


def test_it_raises_its_error_or_gives_what_is_right_and_never_another_array(row, outcomes):
    got = outcomes(row.name)
    if row.error is None:
        assert got.error is None
        np.testing.assert_array_equal(got.loaded, row.gives, strict=True)
    else:
        assert type(got.error) is row.error, got.loaded
        assert re.search(row.says, got.words), got.words


def test_its_words_name_the_file_and_the_dataset_and_are_for_people(row, outcomes):
    if row.error is None:
        pytest.skip("it is no error")
    words = outcomes(row.name).words
    assert row.file in words
    assert row.path is None or row.path in words
    assert not UNREADABLE.search(words), words
    assert words.isprintable(), words
    # HDF5's own words may stand behind ours, not for them.
    assert not re.match(r"'?(Unable|Can't|Cannot|unable)", words), words
    assert len(re.findall(r"[.?!] ", words)) < 2, words  # two sentences at most
    assert len(words) < 500, words


def test_problems_and_the_stores_text_list_it_where_no_value_is_needed(row, outcomes):
    if not row.opens:
        pytest.skip("there is no store to ask")
    got = outcomes(row.name)
    if not row.shows:
        assert got.problems == []
        return
    about = [one for one in got.problems if one.attribute in (row.attr, "")]
    assert about, got.problems
    assert {one.attribute for one in got.problems} <= {row.attr, "", "mask"}
    if row.error is None:
        assert re.search(row.says, str(about[0]).replace(f"{got.folder}/", ""))
        return
    # The error of a load says what was asked besides; the problem is in it.
    assert any(one.message in str(got.error) for one in about), got.problems
    assert about[0].message in got.table


def test_what_is_right_in_the_same_files_loads(row, outcomes):
    if not row.rest:
        pytest.skip("there is nothing else in them, or a file of them is lost")
    assert outcomes(row.name).distance == GOOD_DISTANCE


def test_info_ends_in_words_and_not_in_a_traceback(row, outcomes):
    info = outcomes(row.name).info
    assert info.exception is None or isinstance(info.exception, SystemExit), info.exception
    shown = info.stdout + info.stderr
    assert "Traceback" not in shown
    if row.shows and "links" not in row.options:
        assert info.exit_code in (1, 2)
        assert row.file in shown
    elif row.opens and "links" not in row.options:
        assert info.exit_code in (0, 1)


def _plain(words):
    """Return words without the names of files, datasets and numbers, which differ anyway."""
    words = re.sub(r"\(looked for [^)]*\)", "", words)
    words = re.sub(r"[\w.%-]+\.(?:cxi|h5|nxs)\b", "FILE", words)
    return re.sub(r"\d+", "N", re.sub(r"(?<![\w<])/[\w/\\.]+", "PATH", words))


def test_no_two_rows_are_in_the_same_words(outcomes):
    said = {}
    for row in ROWS.values():
        if row.error is None or outcomes(row.name).error is None:
            continue
        plain = _plain(outcomes(row.name).words)
        if row.like:
            assert plain == _plain(outcomes(row.like).words)
        else:
            assert plain not in said, (row.name, said[plain])
            said[plain] = row.name
    assert len(said) > 40


def test_the_table_can_be_shown(capsys):
    runpy.run_module("factory.faulty", run_name="__main__")
    shown = capsys.readouterr().out
    assert [name for name in ROWS if f"{name}: " not in shown] == []


def test_the_table_is_of_distinct_layouts_each_with_a_note():
    assert len(ROWS) > 60
    assert len({row.note for row in ROWS.values()}) == len(ROWS)
    assert all(row.like in ROWS for row in ROWS.values() if row.like)
