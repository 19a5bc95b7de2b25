"""The SIMD level can be asked for, by name, for the process or for a while."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from cxistack import kernels


def test_the_best_level_is_the_default() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "CXISTACK_SIMD"}
    assert _level(environment) == kernels.simd_levels()[-1]


@pytest.mark.parametrize("name", kernels.simd_levels())
def test_the_environment_chooses(name: str) -> None:
    assert _level({**os.environ, "CXISTACK_SIMD": name}) == name


def test_a_level_that_is_not_there_is_refused() -> None:
    with (
        pytest.raises(ValueError, match=r"'altivec' is not available.*portable"),
        kernels.use_simd("altivec"),
    ):
        pass
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _level({**os.environ, "CXISTACK_SIMD": "altivec"})
    assert "ImportError: The environment variable CXISTACK_SIMD" in caught.value.stderr


def test_the_level_before_returns_after_an_error() -> None:
    before = kernels.simd_level()
    with contextlib.suppress(RuntimeError), kernels.use_simd("portable"):
        assert kernels.simd_level() == "portable"
        raise RuntimeError
    assert kernels.simd_level() == before


def _level(environment: dict[str, str]) -> str:
    script = "from cxistack import kernels; print(kernels.simd_level())"
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
