"""A run of several files, for which frames are counted through."""

import pytest

import factory
from cxistack import CXIStore
from factory import frames


@pytest.fixture
def parts():
    return [frames(count, start=1000 * n) for n, count in enumerate((3, 1, 4))]


@pytest.fixture
def run(tmp_path, parts):
    return CXIStore(factory.many_files(tmp_path, parts))
