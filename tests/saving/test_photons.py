"""Energy and wavelength: each goes to a dataset of its own, and both say the same."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from cxistack import CXIProtocol, CXIStore, LayoutError, STData, convert
from cxistack.converting import carrier
from factory import frames, put

HC, EV = constants.h * constants.c, constants.e
SOURCE = "/entry_1/instrument_1/source_1"
ENERGY, WAVELENGTH = f"{SOURCE}/energy", f"{SOURCE}/wavelength"
VALUES = {ENERGY: 8e3 * EV, WAVELENGTH: HC / (8e3 * EV)}
ATTRS = {ENERGY: "energy", WAVELENGTH: "wavelength"}
OTHER = {ENERGY: WAVELENGTH, WAVELENGTH: ENERGY}
either = pytest.mark.parametrize("path", [ENERGY, WAVELENGTH])


def read(name, path):
    with h5py.File(name) as h5:
        return h5[path][()] if path in h5 else None


def store_of(folder, *paths, **options):
    name = put(folder / "a.cxi", {path: VALUES[path] for path in paths}, "w")
    return CXIStore(name, "r+", protocol="cxi", **options), name


def save_both(store, energy, wavelength):
    with store.transaction():
        store.save_attribute("energy", energy)
        store.save_attribute("wavelength", wavelength)


class TestASave:
    @either
    def test_goes_to_its_own_place_and_leaves_the_others_alone(self, tmp_path, path):
        store, name = store_of(tmp_path, OTHER[path])
        before = read(name, OTHER[path])
        store.save_attribute(ATTRS[path], VALUES[path])
        assert read(name, path) == VALUES[path]
        assert read(name, OTHER[path]) == before
        assert store.find_dataset(ATTRS[path]) == path
        with h5py.File(name) as h5:
            assert h5[path].attrs["units"] == {ENERGY: "J", WAVELENGTH: "m"}[path]

    @either
    @pytest.mark.parametrize("safe", [True, False])
    @pytest.mark.parametrize("both", [True, False])
    def test_that_contradicts_the_other_is_refused(self, tmp_path, path, safe, both):
        store, name = store_of(tmp_path, *(OTHER if both else [OTHER[path]]), safe=safe)
        before = read(name, path), read(name, OTHER[path])
        words = rf"'{ATTRS[path]}' of .* contradicts {OTHER[path]} of .*a\.cxi, by which it is .*"
        words += rf"save '{ATTRS[path]}' and '{ATTRS[OTHER[path]]}' in one transaction"
        with pytest.raises(LayoutError, match=words):
            store.save_attribute(ATTRS[path], VALUES[path] * 1.001)
        assert (read(name, path), read(name, OTHER[path])) == before

    def test_of_both_in_one_transaction_changes_both(self, tmp_path):
        store, name = store_of(tmp_path, *OTHER)
        save_both(store, VALUES[ENERGY] * 2, VALUES[WAVELENGTH] / 2)
        assert read(name, ENERGY) == VALUES[ENERGY] * 2
        assert read(name, WAVELENGTH) == VALUES[WAVELENGTH] / 2

    @pytest.mark.parametrize("file", ["new", "new, safe=False", "there"])
    def test_of_both_in_one_transaction_that_contradict_each_other_is_refused(self, tmp_path, file):
        store, name = store_of(tmp_path, *OTHER)
        if file != "there":
            name = tmp_path / "new.cxi"
            store = CXIStore(name, "x", protocol="cxi", safe=file == "new")
        with pytest.raises(LayoutError, match=r"contradicts .*: both are saved here: see which"):
            save_both(store, VALUES[ENERGY] * 2, VALUES[WAVELENGTH])
        if file != "there":
            assert not name.exists()
        else:
            assert read(name, ENERGY) == VALUES[ENERGY]

    @pytest.mark.parametrize("safe", [True, False])
    def test_may_differ_by_how_h_and_c_were_rounded(self, tmp_path, safe):
        store, name = store_of(tmp_path, WAVELENGTH, safe=safe)
        store.save_attribute("energy", VALUES[ENERGY] * 12398 / 12398.42)
        assert read(name, WAVELENGTH) == VALUES[WAVELENGTH]

    @pytest.mark.parametrize(
        ("energy", "wavelength", "is_refused"),
        [
            (8e3 * EV, 1.55e-10, False),
            (8e3 * EV, np.float32(1.55e-10), False),
            (12.4e3 * EV, 1e-10, False),
            (8e3 * EV, 1.56e-10, True),
            (8e3 * EV, 1.55123e-10, True),
            (8.1e3 * EV, 1.55e-10, True),
            (12.4e3 * EV, 1.01e-10, True),
        ],
    )
    def test_may_differ_by_what_a_number_of_four_digits_leaves_out(
        self, tmp_path, energy, wavelength, is_refused
    ):
        store = CXIStore(tmp_path / "a.cxi", "w", protocol="cxi")
        if is_refused:
            with pytest.raises(LayoutError, match="contradicts"):
                save_both(store, energy, wavelength)
        else:
            save_both(store, energy, wavelength)
            assert read(tmp_path / "a.cxi", WAVELENGTH) == wavelength

    @either
    @pytest.mark.parametrize("safe", [True, False])
    def test_to_a_file_that_contradicts_itself_is_not_held_against_it(self, tmp_path, path, safe):
        store, name = store_of(tmp_path, *OTHER, safe=safe)
        with h5py.File(name, "r+") as h5:
            h5[OTHER[path]][...] = 8e3
        store.save_attribute(ATTRS[path], 1.01 * VALUES[path])
        assert (read(name, path), read(name, OTHER[path])) == (1.01 * VALUES[path], 8e3)
        st = STData(store, output_file=store).load([*ATTRS.values()], verbose=False)
        st.save(mode="overwrite")
        st.replace(**{ATTRS[path]: VALUES[path]}).save(mode="overwrite")
        assert (read(name, path), read(name, OTHER[path])) == (VALUES[path], 8e3)
        store.save_attribute(ATTRS[OTHER[path]], VALUES[OTHER[path]])
        with pytest.raises(LayoutError, match="contradicts"):
            store.save_attribute(ATTRS[OTHER[path]], 8e3)

    def test_of_both_to_a_file_that_contradicts_itself_is_refused_if_they_do(self, tmp_path):
        store, name = store_of(tmp_path, *OTHER)
        with h5py.File(name, "r+") as h5:
            h5[ENERGY][...] = 8e3
        with pytest.raises(LayoutError, match="both are saved here"):
            save_both(store, 1.01 * VALUES[ENERGY], 1.01 * VALUES[WAVELENGTH])
        assert read(name, ENERGY) == 8e3

    @pytest.mark.parametrize("unknown", [0.0, np.nan, np.inf, -1.0])
    def test_is_not_held_against_what_says_nothing(self, tmp_path, unknown):
        name = put(tmp_path / "a.cxi", {WAVELENGTH: unknown})
        CXIStore(name, "r+", protocol="cxi").save_attribute("energy", 1e-15)
        assert read(name, ENERGY) == 1e-15

    def test_is_not_held_against_what_cannot_be_read(self, tmp_path):
        name = put(tmp_path / "a.cxi", {WAVELENGTH: "one"})
        CXIStore(name, "r+", protocol="cxi").save_attribute("energy", 1e-15)
        assert read(name, ENERGY) == 1e-15

    @pytest.mark.parametrize(("factor", "is_refused"), [(1.0, False), (1.01, True)])
    def test_of_one_number_lies_among_those_of_all_shots(self, tmp_path, factor, is_refused):
        shots = VALUES[WAVELENGTH] * np.array([0.995, 1.0, 1.005])
        name = put(tmp_path / "a.cxi", {WAVELENGTH: shots})
        store = CXIStore(name, "r+", protocol="cxi")
        if is_refused:
            with pytest.raises(LayoutError, match="contradicts"):
                store.save_attribute("energy", VALUES[ENERGY] * factor)
        else:
            store.save_attribute("energy", VALUES[ENERGY] * factor)
        assert (read(name, ENERGY) is None) == is_refused

    def test_of_a_wavelength_is_held_against_an_energy_without_an_attribute(self, tmp_path):
        protocol = CXIProtocol(
            {"wavelength": "float"},
            {"wavelength": ["/mine", "/energy_eV", "/theirs"]},
            units={"wavelength": ["m", "eV", "m"]},
        )
        name = put(tmp_path / "a.h5", {"/energy_eV": 8e3, "/theirs": VALUES[WAVELENGTH]})
        store = CXIStore(name, "r+", protocol=protocol)
        with pytest.raises(LayoutError, match="change that as well"):
            store.save_attribute("wavelength", 1e-10)
        store.close()
        with h5py.File(name, "r+") as h5:
            h5["energy_eV"][...] = HC / EV / 1e-10
        store.open()
        store.save_attribute("wavelength", 1e-10)
        assert read(name, "/theirs") == 1e-10
        assert read(name, "/mine") is None

    def test_of_a_lone_attribute_is_held_against_one_that_is_made_of_it(self, tmp_path):
        protocol = CXIProtocol(
            {"wavelength": "float", "energy": "float"},
            {"wavelength": ["/w"], "energy": ["/e", "/w"]},
            units={"wavelength": ["m"], "energy": ["eV", "m"]},
        )
        name = put(tmp_path / "a.h5", {"/e": 8e3})
        with pytest.raises(LayoutError, match="save 'wavelength' and 'energy'"):
            CXIStore(name, "r+", protocol=protocol).save_attribute("wavelength", 1e-10)

    @given(st.floats(1, 1e6), st.sampled_from([ENERGY, WAVELENGTH]))
    def test_of_what_was_loaded_always_agrees(self, tmp_path_factory, ev, path):
        name = tmp_path_factory.mktemp("a") / "a.cxi"
        put(name, {OTHER[path]: {ENERGY: HC / (ev * EV), WAVELENGTH: ev * EV}[path]})
        store = CXIStore(name, "r+", protocol="cxi")
        store.save_attribute(ATTRS[path], store.load_attribute(ATTRS[path]))
        store.save_attribute(ATTRS[OTHER[path]], store.load_attribute(ATTRS[OTHER[path]]))


def test_a_container_saves_both(tmp_path):
    store, _ = store_of(tmp_path, WAVELENGTH)
    put(tmp_path / "a.cxi", {"/entry_1/instrument_1/detector_1/data": frames(2)})
    output = CXIStore(tmp_path / "out.cxi", "w", protocol="cxi")
    st = STData(store, output_file=output).load(verbose=False)
    st.save()
    assert read(tmp_path / "out.cxi", WAVELENGTH) == VALUES[WAVELENGTH]
    assert read(tmp_path / "out.cxi", ENERGY) == pytest.approx(VALUES[ENERGY], rel=1e-15)


def test_a_run_that_contradicts_itself_is_converted_without_one_of_both(tmp_path, monkeypatch):
    values = {**VALUES, ENERGY: VALUES[ENERGY] * 1.001, "/entry_1/data_1/data": frames(2)}
    run = CXIStore(put(tmp_path / "a.cxi", values), protocol="cxi")
    target = CXIStore(tmp_path / "out.cxi", "w", protocol="cxi")
    words = r"'energy' of .* contradicts 'wavelength' of .*a\.cxi, .* leave the other out"
    with monkeypatch.context() as patched:
        patched.setattr(carrier.Carrier, "carry", None)  # it is refused before frames are read
        with pytest.raises(LayoutError, match=words):
            convert(run, target, verbose=False)
    convert(run, target, ["data", "wavelength"], verbose=False)
    assert read(tmp_path / "out.cxi", WAVELENGTH) == VALUES[WAVELENGTH]


def test_both_are_converted_into_a_file_that_has_one_of_them(tmp_path):
    run = CXIStore(put(tmp_path / "a.cxi", VALUES), protocol="cxi")
    target = CXIStore(put(tmp_path / "b.cxi", {ENERGY: VALUES[ENERGY]}), "a", protocol="cxi")
    convert(run, target, verbose=False)
    assert read(tmp_path / "b.cxi", WAVELENGTH) == VALUES[WAVELENGTH]
    one = CXIStore(put(tmp_path / "c.cxi", {ENERGY: 2 * VALUES[ENERGY]}), "a", protocol="cxi")
    with pytest.raises(LayoutError, match=r"contradicts /entry_1.* of .*c\.cxi"):
        convert(run, one, ["wavelength"], verbose=False)
