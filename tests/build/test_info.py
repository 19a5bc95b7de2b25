"""What a bug report needs is told: of the package, of what it was compiled with, of the machine."""

import platform
import re
import sys

import cxistack


def test_it_names_versions_compiler_and_codecs():
    told = cxistack.build_info()
    assert told["cxistack"] == cxistack.__version__
    assert told["python"] == platform.python_version()
    assert re.fullmatch(r"[a-z]+ \d[\w.]*", told["compiler"])
    assert told["platform"].split()[0] == {"linux": "linux", "darwin": "darwin"}[sys.platform]
    assert sorted(told["codecs"]) == ["libdeflate", "liblz4", "libzstd"]
    for version in told["codecs"].values():
        assert re.match(r"\d+\.\d+", version)


def test_the_levels_in_use_are_of_those_that_the_machine_has():
    told = cxistack.build_info()
    assert told["simd"] in told["simd_levels"]
    assert told["simd_levels"][0] == told["unshuffle"][0] == "portable"
    assert told["cores"] >= 1


def test_what_is_told_is_the_askers():
    cxistack.build_info()["codecs"].clear()
    assert cxistack.build_info()["codecs"]
