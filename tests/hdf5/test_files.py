"""Work on files that somebody else changes meanwhile is done again, once."""

import pytest

from cxistack import FileChangedError, StorageError
from cxistack.hdf5.patience import read_again


class _Work:
    """Fails some times with an error, and then returns which try it was."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.steps: list[str] = []

    def act(self) -> int:
        self.steps.append("act")
        if self.errors:
            raise self.errors.pop(0)
        return len(self.steps)

    def look(self) -> None:
        self.steps.append("look")


def test_what_goes_well_is_done_once() -> None:
    work = _Work()
    assert read_again(work.act, work.look) == 1
    assert work.steps == ["act"]


def test_after_a_change_it_looks_again_and_does_it_once_more() -> None:
    work = _Work(FileChangedError("changed"))
    assert read_again(work.act, work.look) == 3
    assert work.steps == ["act", "look", "act"]


def test_a_second_change_is_raised_by_itself() -> None:
    work = _Work(FileChangedError("first"), FileChangedError("second"))
    with pytest.raises(FileChangedError, match="second") as raised:
        read_again(work.act, work.look)
    assert not isinstance(raised.value.__context__, FileChangedError)
    assert work.steps == ["act", "look", "act"]


def test_other_errors_are_raised_at_once() -> None:
    work = _Work(StorageError("lost"))
    with pytest.raises(StorageError, match="lost"):
        read_again(work.act, work.look)
    assert work.steps == ["act"]
