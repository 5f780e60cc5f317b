from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins.synthesis import generate
from vetime_plugins.synthesis.corpus import CorpusConfig
from vetime_plugins.synthesis.measure import jumpiness, local_scale, noise_level, novelty
from vetime_plugins.synthesis.multivariate import draw_panel
from vetime_plugins.synthesis.normal import FAMILIES, draw_normal, states
from vetime_plugins.synthesis.normal.chaos import mackey_glass
from vetime_plugins.synthesis.normal.noise import coloured, tame
from vetime_plugins.synthesis.normal.periodic import draw_cycles, draw_timeline
from vetime_plugins.synthesis.normal.sensor import Sensor
from vetime_plugins.synthesis.normal.shapes import SHAPES, TABLE, draw_shape, read_table


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_at_any_length(family):
    for seed, length in enumerate((32, 33, 500, 500, 500, 2048, 2048, 20_000)):
        draft = draw_normal(rng(seed), length, families={family: 1.0})
        values = draft.sensor.store(draft.values)
        assert values.shape == (length,)
        assert np.isfinite(values).all()
        assert draft.family == family
        assert draft.period is None or draft.period >= 2
        assert values.min() >= draft.sensor.low
        assert values.max() <= draft.sensor.high


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_diverse(family):
    drawn = [draw_normal(rng(seed), 400, families={family: 1.0}).values for seed in range(8)]
    scaled = np.stack([(x - x.mean()) / (x.std() + 1e-12) for x in drawn])
    relation = np.abs(np.corrcoef(scaled)) - np.eye(8)
    assert np.median(relation) < 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_standardised(shape):
    for seed in range(10):
        table = draw_shape(rng(seed), shape)
        assert table.shape == (TABLE,)
        assert abs(table.mean()) < 1e-9
        assert table.std() == pytest.approx(1.0)


def test_a_table_is_read_between_its_points_and_around():
    table = np.arange(TABLE, dtype=float)
    phase = np.array([0.0, 0.5 / TABLE, 1.0, -1.0 / TABLE])
    np.testing.assert_allclose(read_table(table, phase), [0.0, 0.5, 0.0, TABLE - 1.0])


def test_timeline_counts_cycles():
    line = draw_timeline(rng(), 1000, 50.0, 0.0)
    assert line.phase.min() >= 0
    assert line.phase.max() < 1
    starts = np.flatnonzero(np.diff(line.cycle)) + 1
    np.testing.assert_array_equal(np.diff(starts), 50)
    loose = draw_timeline(rng(), 20_000, 50.0, 0.1, elastic=0.3)
    lengths = np.diff(np.flatnonzero(np.diff(loose.cycle)))
    assert lengths.mean() == pytest.approx(50, rel=0.1)
    assert 1 < lengths.std() < 15


def test_clockwork_repeats_itself():
    for seed in range(5):
        signal, line = draw_cycles(rng(seed), 4000, 40.0, clock=True, variety=0.0)
        assert line.period == 40.0
        apart = np.corrcoef(signal[:-40], signal[40:])[0, 1]
        assert apart > 0.7


def test_noise_has_its_spectrum():
    for exponent in (0.0, 1.0, 2.0):
        power = np.abs(np.fft.rfft(coloured(rng(), 2**15, exponent))) ** 2
        f = np.arange(1, 2000)
        slope = np.polyfit(np.log(f), np.log(power[1:2000]), 1)[0]
        assert slope == pytest.approx(-exponent, abs=0.15)


def test_the_largest_values_have_company():
    for seed in range(20):
        wild = rng(seed).standard_t(1.5, 3000)
        calm = np.sort(np.abs(tame(wild)))
        assert calm[-1] <= 1.31 * calm[-4]


def test_mackey_glass_solves_its_equation():
    # Against a fine Euler integration of the same equation from the same past, over one delay.
    generator = rng(3)
    per_unit, delay = int(generator.integers(1, 5)), None
    delay = int(generator.uniform(17, 30) * per_unit)
    series = mackey_glass(rng(3), 3 * delay)
    assert 0.2 < series.min() < series.max() < 1.6
    past = series[:delay]
    fine = 50
    x = series[delay - 1]
    for step in range(delay):
        for _ in range(fine):
            x += (0.2 * past[step] / (1 + past[step] ** 10) - 0.1 * x) / per_unit / fine
        assert x == pytest.approx(series[delay + step], abs=5e-3)


def test_counts_have_their_mean_and_spread():
    rate = np.full(50_000, 5.0)
    poisson, wide = states.counts(rng(), rate, 0.0), states.counts(rng(), rate, 0.5)
    assert poisson.mean() == pytest.approx(5, rel=0.02)
    assert poisson.var() == pytest.approx(5, rel=0.05)
    assert wide.mean() == pytest.approx(5, rel=0.05)
    assert wide.var() == pytest.approx(5 + 0.5 * 25, rel=0.1)


def test_events_recur():
    for seed in range(5):
        wave = states.pulse_train(rng(seed), 3000, 25.0, 4.0, 0.5)
        assert np.sum(np.diff(wave) > 0) > 30


def test_a_plant_starts_at_rest():
    step = np.concatenate([np.full(50, 2.0), np.full(400, 5.0)])
    for seed in range(10):
        answer = states.respond(rng(seed), step, 10.0)
        np.testing.assert_allclose(answer[:50], 2.0)
        assert answer[-1] == pytest.approx(5.0, abs=0.05)


def test_sensor():
    sensor = Sensor(low=0.0, high=1.0, step=0.25)
    np.testing.assert_allclose(sensor.read(np.array([-3.0, 0.3, 0.9, 7.0])), [0.0, 0.25, 1.0, 1.0])
    held = Sensor(source=np.array([0, 1, 1, 3]), missing=np.array([True, False, False, False]))
    np.testing.assert_array_equal(held.store(np.array([1.0, 2.0, 3.0, 4.0])), [np.nan, 2.0, 2.0, 4.0])
    moved = sensor.affine(2.0, 10.0)
    x = np.linspace(-1, 2, 50)
    np.testing.assert_allclose(moved.read(2 * x + 10), 2 * sensor.read(x) + 10)


def test_anomalies_pass_the_same_sensor():
    config = CorpusConfig(clean_share=0.0, families={"number": 1.0})
    for seed in range(15):
        series = generate(1000, seed=seed, config=config)
        np.testing.assert_array_equal(series.values, np.round(series.values))
        assert series.values.min() >= 0


def test_measures():
    white = rng().normal(size=20_000)
    assert noise_level(white) == pytest.approx(1.0, rel=0.05)
    assert noise_level(np.arange(100.0)) == pytest.approx(0.0, abs=1e-12)
    assert noise_level(np.ones(2)) == 0.0
    assert 2.0 < jumpiness(white) < 5.0
    np.testing.assert_array_equal(local_scale(np.zeros(10), 5), 1.0)
    np.testing.assert_array_equal(local_scale(np.full(10, -7.0), 5), 7.0)
    loud = np.concatenate([white[:5000], 10 * white[5000:10_000]])
    scale = local_scale(loud, 200)
    assert scale[8000] == pytest.approx(10, rel=0.2)
    assert scale[2000] == pytest.approx(0.2 * loud.std())


def test_novelty_against_all_distances():
    values = np.sin(np.arange(400) / 5) + 0.1 * rng(5).normal(size=400)
    segment = values[200:230] + np.linspace(0, 2, 30)
    got = novelty(rng(1), values, segment, 200, margin=4, reach=400)
    width = 38
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    starts = np.concatenate([[196, 196], rng(1).integers(len(windows), size=8)])
    queries = windows[starts].copy()
    queries[0, 4:34] = segment

    def nearest(centre):
        result = []
        for query, start in zip(queries, starts, strict=True):
            gap = windows - query
            if centre:
                gap = gap - gap.mean(axis=1, keepdims=True)
            distance = np.sqrt((gap**2).sum(axis=1))
            distance[np.abs(np.arange(len(windows)) - start) < width // 2] = np.inf
            result.append(distance.min())
        return result[0] / max(1.2 * result[1], *result[2:])

    assert got == pytest.approx(max(nearest(False), nearest(True)), rel=1e-4)
    assert novelty(rng(), values[:40], values[5:25] + 1, 5, margin=10) == np.inf


class TestPanels:
    def test_roles(self):
        styles, constants, binary, relation = set(), 0, 0, []
        for seed in range(40):
            panel = draw_panel(rng(seed), 600, 12)
            styles.add(panel.style)
            values = panel.signal + panel.noise
            assert values.shape == (600, 12)
            assert np.isfinite(values).all()
            assert not panel.disturbance.any()
            spread = values.std(axis=0)
            constants += int((spread < 1e-9).sum())
            binary += sum(np.unique(values[:, c]).size == 2 for c in range(12))
            alive = values[:, spread > 1e-9]
            if alive.shape[1] > 1:
                relation.append(np.max(np.abs(np.corrcoef(alive.T)) - np.eye(alive.shape[1])))
        assert styles == {"plant", "body", "server", "telemetry", "loose"}
        assert constants > 10
        assert binary > 10
        assert np.median(relation) > 0.6  # variables have common causes

    def test_an_anomaly_of_a_factor_reaches_several_variables(self):
        config = CorpusConfig(clean_share=0.0, single_share=1.0, kinds={"burst": 1.0}, severity=(0.9, 1.0))
        reached = [
            len(a.variables) for seed in range(30) for a in generate(1000, 10, seed=seed, config=config).kinds
        ]
        assert len(reached) > 15
        assert max(reached) >= 5
        assert min(reached) == 1

    def test_commands_and_constants_are_left_alone(self):
        for seed in range(25):
            series = generate(800, 20, seed=seed, config=CorpusConfig(clean_share=0.0))
            touched = series.variable_labels.any(axis=0)
            still = np.ptp(series.clean, axis=0) == 0
            assert not touched[still].any()

    def test_sixty_four_variables(self):
        series = generate(500, 64, seed=1, config=CorpusConfig(clean_share=0.0))
        assert series.values.shape == (500, 64)
        assert np.isfinite(series.values).all()
