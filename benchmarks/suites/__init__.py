"""The suites: what each measures stands in the first line of its module.

A suite is a module, or a package, with ``run(report, options)``: it measures what `options` asks
for and adds what it finds to `report`. To add one, write its file and name it in `SUITES`.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from ..harness.options import Options
from ..harness.report import Report

__all__ = ["SUITES", "Suite", "suite", "summary"]

SUITES = (
    "load",
    "memory",
    "growth",
    "calls",
    "many_files",
    "virtual",
    "cold",
    "live",
    "remote",
    "masks",
    "streams",
    "save",
    "convert",
    "cluster",
    "processing",
    "kernels",
    "reductions",
    "pixels",
    "decoders",
    "capi",
    "adapters",
    "against",
)


class Suite(Protocol):
    """What a suite's module has."""

    __doc__: str

    def run(self, report: Report, options: Options) -> None:
        """Measure what is asked for, and add what is found."""


def suite(name: str) -> Suite:
    """Return the module of a suite."""
    return cast(Suite, importlib.import_module(f"{__name__}.{name}"))


def summary(name: str) -> str:
    """Return one line on a suite."""
    return suite(name).__doc__.partition("\n")[0]
