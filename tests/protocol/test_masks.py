"""The names of the flags of masks are those of the formats."""

import pytest

from cxistack import CXIProtocol, ProtocolError
from cxistack.protocol.masks import FLAGS
from factory.masks import CHEETAH_BITS, CXI_BITS, NEXUS_BITS, flags_protocol


class TestNames:
    @pytest.mark.parametrize(("convention", "bits"), [
        ("cxi", CXI_BITS), ("nexus", NEXUS_BITS), ("cheetah", {**CXI_BITS, **CHEETAH_BITS}),
    ])  # fmt: skip
    def test_are_those_of_the_format(self, convention, bits):
        known = FLAGS[convention].names
        assert len(set(known.values())) == len(known)
        for name in set(bits) - ({"has_signal"} if convention == "cheetah" else set()):
            assert known[name] == bits[name]

    @pytest.mark.parametrize(("conventions", "flags", "said"), [
        (["cxi"], ["gap"], "'gap' is a flag of none.*invalid, saturated"),
        (["good"], ["dead"], "'dead' is a flag of none.*none of which is a bit field"),
        ([], ["dead"], r"\[flags\], key mask: 'dead'"),
        (["nexus", "cxi"], ["user", "hot", "warm"], "'warm'"),
        (["cheetah"], ["has_signal"], "'has_signal'"),
    ])  # fmt: skip
    def test_that_no_convention_knows_are_refused(self, conventions, flags, said):
        paths = [f"/{n}" for n in range(len(conventions))] or ["/m"]
        given = {"mask": conventions} if conventions else {}
        with pytest.raises(ProtocolError, match=said):
            CXIProtocol(
                {"mask": "bool"}, {"mask": paths}, {"mask": "stack"}, given, flags={"mask": flags}
            )

    def test_survive_an_ini_file(self, tmp_path):
        protocol = flags_protocol("cheetah", ["hot", "in_jet"])
        protocol.to_ini(tmp_path / "p.ini")
        assert CXIProtocol.import_ini(tmp_path / "p.ini") == protocol
