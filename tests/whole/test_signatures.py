"""What users write is pinned: names, arguments, defaults and options change with a word to them.

The pinned lines are in `signatures/`; `docs/versions.md` says what may change in which version.
"""

import difflib
import re

import pytest

from . import signatures as module
from .signatures import FOLDER, digest, pin, sections, signatures, version

WHAT_TO_DO = """
If it was not meant, take it back: users' programs call it. If it was meant:
1. docs/versions.md says which version may do it; when the first section of CHANGELOG.md is of a
   version that is out, begin a new one and raise `version` in meson.build.
2. Say in that section what users see, and what they write instead.
3. Run `python tests/whole/signatures.py`.
4. Write `Signatures: {digest}` at the end of that section.
"""


def pinned():
    return {file.name: file.read_text() for file in sorted(FOLDER.glob("*.txt"))}


@pytest.mark.parametrize("name", ["python.txt", "terminal.txt"])
def test_they_are_those_that_are_pinned(name):
    now = signatures()
    if now[name] != pinned()[name]:
        lines = difflib.unified_diff(
            pinned()[name].splitlines(), now[name].splitlines(), "pinned", "now", lineterm="", n=0
        )
        change = "\n".join(lines)
        pytest.fail(
            f"What users write has changed:\n{change}\n{WHAT_TO_DO.format(digest=digest(now))}",
            pytrace=False,
        )


def test_the_changelog_speaks_of_this_version_and_of_these_signatures():
    told, _, text = sections()[0]
    assert told == version(), f"the first section of CHANGELOG.md is {told}, not {version()}"
    found = re.findall(r"^Signatures: (\w+)$", text, re.M)
    if found != [digest(pinned())]:
        pytest.fail(
            f"CHANGELOG.md says Signatures: {found} of {told}, and the pinned ones are "
            f"{digest(pinned())}.\n{WHAT_TO_DO.format(digest=digest(pinned()))}",
            pytrace=False,
        )


def test_each_version_has_one_section_that_says_whether_it_is_out():
    versions = [told for told, _, _ in sections()]
    assert len(set(versions)) == len(versions)
    for _, state, _ in sections():
        assert re.fullmatch(r"not released|\d{4}-\d{2}-\d{2}", state)
    assert all(state != "not released" for _, state, _ in sections()[1:])


def test_those_of_a_version_that_is_out_cannot_be_pinned_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "sections", lambda: [("0.1.0", "2026-01-01", "Signatures: 0")])
    with pytest.raises(SystemExit, match="raise `version`"):
        pin()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(module, "sections", lambda: [("0.1.0", "not released", "")])
    pin()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == signatures()
