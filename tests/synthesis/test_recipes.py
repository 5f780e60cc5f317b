from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.synthesis import CorpusConfig
from vetime_plugins.synthesis.backgrounds import save_backgrounds
from vetime_plugins.synthesis.normal import services
from vetime_plugins.synthesis.recipes import RECIPES, find_recipe
from vetime_plugins.training.config import DataConfig


def test_recipes_are_found_by_name():
    assert find_recipe("classic") == CorpusConfig()
    assert find_recipe("mixed") is RECIPES["mixed"]
    with pytest.raises(InputError, match=r"one of classic, mixed.*; got 'none'"):
        find_recipe("none")


def test_training_draws_what_it_did_unless_a_recipe_is_named():
    assert find_recipe(DataConfig().recipe) == CorpusConfig()


def test_a_mixed_corpus_holds_real_and_made_series(tmp_path, monkeypatch):
    from vetime_plugins.synthesis import Corpus

    walk = np.cumsum(np.random.default_rng(0).standard_normal(5000)).astype(np.float32)
    save_backgrounds(tmp_path / "bank.npz", {"x/walk": walk})
    monkeypatch.setenv("VETIME_BACKGROUNDS", str(tmp_path / "bank.npz"))
    corpus = Corpus(0, length=(500, 900), config=find_recipe("mixed"))
    many = [corpus[i] for i in range(80)]
    assert 15 <= sum(one.family == "real" for one in many) <= 42
    assert len({one.family for one in many}) > 8
    gross = {"spike", "burst", "dip", "zero", "level_shift", "drift", "amplitude"}
    kinds = [anomaly.kind for one in many for anomaly in one.kinds]
    assert np.mean([kind in gross for kind in kinds]) > 0.5


def test_days_differ_by_the_calendar():
    for seed in range(20):
        factor = services.calendar(np.random.default_rng(seed), 7 * 24 * 10, 24.0)
        days = factor.reshape(-1, 24).mean(1)
        assert days.max() / days.min() > 1.05  # weekends at least
        assert factor.min() > 0


def test_levels_that_change_come_back():
    for seed in range(10):
        level = services.deployments(np.random.default_rng(seed), 4000)
        runs = level[np.flatnonzero(np.diff(level, prepend=np.nan))]
        assert len(runs) > len(np.unique(level))


def test_bursts_of_work_are_many_and_none_stands_alone():
    for seed in range(20):
        work = np.sort(services.bursts_of_work(np.random.default_rng(seed), 4000))
        assert (work > 0).sum() >= 8
        assert work[-1] < 4 * work[-12] + 1e-9


def test_stretch_draws_out_what_is_no_point():
    from vetime_plugins.synthesis import Corpus

    def lengths(kind, stretch):
        config = CorpusConfig(clean_share=0.0, single_share=1.0, kinds={kind: 1}, stretch=stretch)
        corpus = Corpus(3, length=4000, config=config)
        return [a.stop - a.start for i in range(25) for a in corpus[i].kinds if a.kind == kind]

    assert np.median(lengths("burst", (6.0, 8.0))) > 2 * np.median(lengths("burst", (1.0, 1.0)))
    assert max(lengths("spike", (6.0, 8.0))) <= 3
    with pytest.raises(InputError, match="stretch must be a range"):
        CorpusConfig(stretch=(2.0, 1.0))
