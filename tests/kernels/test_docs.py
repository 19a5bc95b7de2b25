"""The examples in the kernels' docstrings run, and every public kernel has one."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest

from cxistack import kernels


@pytest.mark.parametrize("name", kernels.__all__)
def test_examples(name: str) -> None:
    text = inspect.getdoc(getattr(kernels, name))
    assert text is not None
    test = doctest.DocTestParser().get_doctest(text, {**vars(kernels), "np": np}, name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", kernels.__all__)
def test_signatures_are_the_stubs(name: str) -> None:
    assert str(inspect.signature(getattr(kernels, name))) != "(*args, **kwargs)"
