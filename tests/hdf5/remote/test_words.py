"""What a user says of how servers are asked is checked."""

import pytest

from cxistack.hdf5.remote.words import RemoteWords, words_of


def test_words_are_few_and_have_defaults():
    assert words_of(None) == words_of({}) == RemoteWords()
    assert words_of({"timeout": 3, "retries": 0, "requests": 1}) == RemoteWords(3.0, 0, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"time": 1},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": "3"},
        {"retries": -1},
        {"retries": 1.5},
        {"requests": 0},
        {"requests": True},
    ],
)
def test_others_are_refused(given):
    with pytest.raises(ValueError, match="remote="):
        words_of(given)
