"""VETimePipeline on every kind of input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from tests._shared import noisy_wave
from vetime_plugins import InputError, VETimeConfig, VETimePipeline
from vetime_plugins.errors import CheckpointError
from vetime_plugins.network.checkpoint import save_checkpoint
from vetime_plugins.network.devices import choose_device
from vetime_plugins.network.model import VETime

TINY = {
    "d_model": 32, "d_proj": 8, "temporal_layers": 1, "temporal_heads": 4, "vision_width": 32, "vision_depth":
    1, "vision_heads": 4, "decoder_width": 32, "decoder_heads": 4, "heads": 4, "image_size": 64,
    "max_chunk_steps": 512, "name": "tiny",
}  # fmt: skip


@pytest.fixture(scope="module")
def small() -> VETimePipeline:
    return VETimePipeline.from_pretrained("small", device="cpu")


@pytest.fixture(scope="module", params=["univariate", "any_variate"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VETimePipeline:
    """A pipeline with random weights and short chunks, in both multivariate forms."""
    torch.manual_seed(0)
    config = VETimeConfig(**TINY, any_variate=request.param == "any_variate")
    folder = tmp_path_factory.mktemp("tiny")
    return VETimePipeline.from_pretrained(
        save_checkpoint(folder, config, VETime(config).state_dict()), device="cpu"
    )


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 100, 511, 513, 1500])
@pytest.mark.parametrize("variables", [None, 1, 3])
def test_scores_have_the_length_of_the_series(
    tiny: VETimePipeline, length: int, variables: int | None
) -> None:
    scores = tiny.score(noisy_wave(length, variables))
    assert scores.shape == (length,)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()


def test_neighbours_in_the_batch_do_not_change_scores(tiny: VETimePipeline) -> None:
    many = [noisy_wave(n, seed=n) for n in (40, 1200, 7, 512, 300)]
    together = tiny.score(many)
    for one, scores in zip(many, together, strict=True):
        np.testing.assert_allclose(scores, tiny.score(one), atol=1e-5, rtol=0)


def test_neighbours_do_not_change_scores_of_the_shipped_weights(small: VETimePipeline) -> None:
    many = [noisy_wave(n, seed=n) for n in (40, 6000, 300)] + [noisy_wave(200, 2)]
    for one, scores in zip(many, small.score(many), strict=True):
        np.testing.assert_allclose(scores, small.score(one), atol=1e-5, rtol=0)


def test_two_calls_agree_to_the_bit(small: VETimePipeline) -> None:
    x = noisy_wave(900)
    np.testing.assert_array_equal(small.score(x), small.score(x))


def test_one_spike_stands_out(small: VETimePipeline) -> None:
    x = noisy_wave(1000)
    x[600] += 6
    assert abs(int(small.score(x).argmax()) - 600) <= 16


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.float32,
        lambda x: x.astype(np.float32)[::1],
        lambda x: np.repeat(x, 2)[::2],
        lambda x: pd.Series(
            x, index=pd.date_range("2024-01-01", periods=len(x), freq="h", tz="Europe/Berlin")
        ),
        lambda x: pd.DataFrame({"value": x}),
        lambda x: pd.Series(x, dtype="Float64"),
        pl.Series,
        lambda x: pl.DataFrame({"value": x}),
        torch.from_numpy,
    ],
)
def test_containers_give_the_same_scores(small: VETimePipeline, convert) -> None:
    x = noisy_wave(300)
    tolerance = 1e-3 if getattr(convert(x), "dtype", None) == np.float32 else 1e-12
    np.testing.assert_allclose(small.score(convert(x)), small.score(x), atol=tolerance)


def test_read_only_and_non_contiguous_arrays_are_left_alone(small: VETimePipeline) -> None:
    x = noisy_wave(400, 2)
    frozen = x.T.copy().T
    frozen.setflags(write=False)
    before = frozen.copy()
    np.testing.assert_allclose(small.score(frozen), small.score(x))
    np.testing.assert_array_equal(frozen, before)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float16, bool])
def test_other_number_types_are_scored(small: VETimePipeline, dtype: type) -> None:
    x = (np.arange(200) % 20 > 9).astype(dtype)
    scores = small.score(x)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, small.score(x.astype(np.float64)))


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e-9, 1e9])
def test_the_unit_does_not_matter(small: VETimePipeline, factor: float) -> None:
    x = noisy_wave(400)
    np.testing.assert_allclose(small.score(x * factor), small.score(x), atol=2e-3)


@pytest.mark.parametrize("factor", [3e-4, 1e-300, 1e290])
def test_the_unit_does_not_matter_beside_a_reference(small: VETimePipeline, factor: float) -> None:
    x, reference = noisy_wave(150), noisy_wave(500, seed=1) * 3
    expected = small.score(x, reference=reference)
    np.testing.assert_allclose(small.score(x * factor, reference=reference * factor), expected, atol=2e-3)


@pytest.mark.parametrize("length", [1, 2, 9, 17, 30])
def test_short_series_beside_a_long_periodic_reference(small: VETimePipeline, length: int) -> None:
    reference = np.sin(2 * np.pi * np.arange(500) / 25)
    scores = small.score(np.cos(np.arange(length)), reference=reference)
    assert scores.shape == (length,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("value", [0.0, 1.0, -1e300, 5e-324])
def test_constant_series_score_zero(small: VETimePipeline, value: float) -> None:
    np.testing.assert_array_equal(small.score(np.full(100, value)), 0)


def test_constant_variables_take_no_part(small: VETimePipeline) -> None:
    x = noisy_wave(300)
    padded = np.column_stack([np.full(300, 3.0), x, np.zeros(300)])
    per_variable = small.score(padded, per_variable=True)
    np.testing.assert_array_equal(per_variable[:, [0, 2]], 0)
    np.testing.assert_allclose(small.score(padded), per_variable[:, 1], atol=1e-9)


def test_gaps_are_filled_and_scored(small: VETimePipeline) -> None:
    x = noisy_wave(500)
    gappy = x.copy()
    gappy[:5] = np.nan
    gappy[200:230] = np.nan
    gappy[-1] = np.nan
    scores = small.score(gappy)
    assert np.isfinite(scores).all()
    objects = [None if np.isnan(v) else v for v in gappy]
    np.testing.assert_allclose(small.score(objects), scores)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "at least one point"),
        (np.zeros((0, 3)), "at least one point"),
        (np.zeros((5, 0)), "at least one point"),
        (np.float64(3), "0-D"),
        (np.zeros((2, 2, 2)), "3-D"),
        (["a", "b"], "needs numbers"),
        (["1", "2"], "needs numbers"),
        ([1, "2"], "needs numbers"),
        (np.array([1 + 2j]), "needs numbers"),
        (pd.date_range("2024", periods=5), "needs numbers"),
        ([1.0, np.inf, -np.inf], "2 infinite, the first at row 1"),
        ([np.nan, np.nan], "nothing but NaN"),
        (np.column_stack([np.arange(5.0), np.full(5, np.nan)]), r"column\(s\) \[1\]"),
        ([[1, 2], [3]], "one length"),
    ],
)
def test_unusable_input_is_one_clear_error(small: VETimePipeline, bad, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small.score(bad)


def test_the_bad_series_of_a_list_is_named(small: VETimePipeline) -> None:
    with pytest.raises(InputError, match=r"series\[1\]"):
        small.score([np.arange(5.0), np.array([np.inf, 1.0])])


def test_a_list_of_rows_is_one_series_and_a_list_of_arrays_is_many(small: VETimePipeline) -> None:
    rows = noisy_wave(60, 2)
    assert small.score(rows.tolist()).shape == (60,)
    assert [len(s) for s in small.score([rows, rows[:30]])] == [60, 30]
    assert isinstance(small.score([rows]), list)


def test_per_variable_scores_find_the_variable(small: VETimePipeline) -> None:
    x = noisy_wave(800, 3)
    x[400:404, 2] += 8
    scores = small.score(x, per_variable=True)
    assert scores.shape == (800, 3)
    assert scores[395:410].max(axis=0).argmax() == 2


def test_reference_of_equal_content_changes_nothing(small: VETimePipeline) -> None:
    x = noisy_wave(500)
    np.testing.assert_array_equal(small.score(x, reference=x.copy()), small.score(x))


def test_reference_of_another_width_is_refused(small: VETimePipeline) -> None:
    with pytest.raises(InputError, match="reference needs the series' 1 variable"):
        small.score(noisy_wave(50), reference=noisy_wave(50, 2))


def test_references_one_a_series(small: VETimePipeline) -> None:
    many, refs = (
        [noisy_wave(100, seed=1), noisy_wave(80, seed=2)],
        [noisy_wave(300, seed=3), noisy_wave(200, seed=4)],
    )
    together = small.score(many, reference=refs)
    np.testing.assert_allclose(together[1], small.score(many[1], reference=refs[1]), atol=1e-5)
    with pytest.raises(InputError, match="one entry a series"):
        small.score(many, reference=refs[:1])


@pytest.mark.parametrize(
    "gammas", [[0.5, 0.5], ["a"], [np.nan], [np.inf], [-0.5], [0], [], "a", [[0.5]], [None]]
)
def test_gammas_that_are_no_positive_numbers_are_refused(small: VETimePipeline, gammas: Any) -> None:
    for ask in (small.score, small.explain):
        with pytest.raises(
            InputError, match="variable_gammas needs 1 positive numbers, one per variable, got"
        ):
            ask(noisy_wave(50), variable_gammas=gammas)


def test_gammas_are_held_against_every_series_before_any_is_scored(small: VETimePipeline) -> None:
    seen: list[tuple[int, int]] = []
    with pytest.raises(InputError, match="variable_gammas needs 2"):
        small.score(
            [np.ones(50), np.ones((50, 2))],
            variable_gammas=[0.5],
            progress=lambda done, total: seen.append((done, total)),
        )
    assert not seen


def test_readouts_differ_and_unknown_ones_are_refused(small: VETimePipeline) -> None:
    x = noisy_wave(400)
    x[200] += 5
    point, window = small.score(x, readout="point"), small.score(x, readout="window")
    assert window.max() < point.max()
    for unknown in ("smooth", np.array(["point", "window"]), ["point"], 1):
        with pytest.raises(InputError, match="readout must be one of"):
            small.score(x, readout=unknown)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float16", ["float32"], {}, np.array([1, 2]), None])
def test_unknown_dtypes_are_refused(dtype: Any) -> None:
    with pytest.raises(InputError, match="dtype must be one of"):
        VETimePipeline.from_pretrained("small", device="cpu", dtype=dtype)


@pytest.mark.parametrize("device", ["gpu", 10**30, [], 2.5])
def test_devices_of_other_types_are_refused(device: Any) -> None:
    with pytest.raises(InputError, match="device must be"):
        VETimePipeline.from_pretrained("small", device=device)


def test_progress_counts_every_value(tiny: VETimePipeline) -> None:
    seen: list[tuple[int, int]] = []
    x = noisy_wave(1300, 2)
    x[:, 1] = 4.0
    tiny.score(x, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2600, 2600)


def test_explanation_has_the_documented_shapes(small: VETimePipeline) -> None:
    x = noisy_wave(450, 2) * 7 + 100
    told = small.explain(x)
    experts = len(small.config.experts)
    assert told.scores.shape == (450,)
    assert told.variable_scores.shape == told.reconstruction.shape == told.series.shape == (450, 2)
    assert told.expert_weights.shape == (450, experts)
    np.testing.assert_allclose(told.expert_weights.sum(axis=1), 1, atol=1e-5)
    assert told.expert_names == small.config.experts
    assert told.image.shape == (small.config.image_size, small.config.image_size, 3)
    assert told.image.dtype == np.uint8
    assert told.period == 40
    np.testing.assert_allclose(told.scores, small.score(x))


def test_explanation_of_gaps_and_chunks_has_the_scores_of_score(tiny: VETimePipeline) -> None:
    x = noisy_wave(1300, 2)
    x[100:140, 0] = np.nan
    told = tiny.explain(x)
    np.testing.assert_allclose(told.scores, tiny.score(x))
    np.testing.assert_allclose(told.variable_scores, tiny.score(x, per_variable=True))


def test_explanation_of_a_constant_is_defined(small: VETimePipeline) -> None:
    told = small.explain(np.full(50, 2.0))
    assert told.scores.max() == 0
    assert np.isfinite(told.reconstruction).all()


def test_embeddings_are_one_a_patch(small: VETimePipeline) -> None:
    width = small.config.d_model
    assert small.embed(noisy_wave(100)).shape == (7, width)
    assert small.embed(noisy_wave(100, 3)).shape == (3, 7, width)
    np.testing.assert_allclose(small.embed(noisy_wave(100, 1))[0], small.embed(noisy_wave(100, 1)[:, 0]))


def test_unknown_weights_name_what_exists(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="bundled names"):
        VETimePipeline.from_pretrained("huge")
    with pytest.raises(CheckpointError, match="is a folder without"):
        VETimePipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("device", ["tpu", "cuda:x", 3.5])
def test_unknown_devices_are_refused(device) -> None:
    with pytest.raises(InputError, match="device"):
        choose_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device_names_those_that_are_here() -> None:
    with pytest.raises(InputError, match=r"not available here; this machine has \['cpu'"):
        choose_device("cuda")


def test_bfloat16_is_close(small: VETimePipeline) -> None:
    x = noisy_wave(600)
    fast = VETimePipeline.from_pretrained("small", device="cpu", dtype="bfloat16").score(x)
    assert np.abs(fast - small.score(x)).mean() < 0.05


@pytest.mark.parametrize(("option", "value"), [("dtype", "float16"), ("batch_size", 0), ("batch_size", 1.5)])
def test_bad_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(InputError, match=option):
        VETimePipeline.from_pretrained("small", **{option: value})


MEMORY = """
import resource, numpy as np
from vetime_plugins import VETimePipeline
pipeline = VETimePipeline.from_pretrained("small", device="cpu")
pipeline.score(np.random.default_rng(0).normal(size=6000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
x = np.sin(np.arange(2_000_000) / 9) + np.random.default_rng(0).normal(size=2_000_000)
scores = pipeline.score(x)
assert scores.shape == x.shape and np.isfinite(scores).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""


@pytest.mark.slow
def test_two_million_points_fit_in_two_gibibytes() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2.0


def test_a_reference_may_have_several_stretches(small: VETimePipeline) -> None:
    x, stretches = noisy_wave(200), [noisy_wave(400, seed=1), noisy_wave(150, seed=2)]
    alone = small.score(x, reference=stretches)
    assert np.abs(alone - small.score(x, reference=stretches[0])).max() > 1e-4
    both = small.score([x, noisy_wave(90)], reference=[stretches, stretches[:1]])
    np.testing.assert_allclose(both[0], alone, atol=1e-5)
    np.testing.assert_allclose(both[1], small.score(noisy_wave(90), reference=stretches[0]), atol=1e-5)


def test_what_the_series_holds_of_its_reference_is_left_out(small: VETimePipeline) -> None:
    x, earlier = noisy_wave(400), noisy_wave(300, seed=1)
    expected = small.score(x, reference=earlier)
    np.testing.assert_array_equal(small.score(x, reference=x[100:300]), small.score(x))
    np.testing.assert_array_equal(small.score(x, reference=np.concatenate([earlier, x[:200]])), expected)
    np.testing.assert_array_equal(small.score(x, reference=np.concatenate([earlier, x])), expected)


def test_a_variable_without_values_matters_only_in_what_is_new(small: VETimePipeline) -> None:
    x = np.stack([noisy_wave(300), noisy_wave(300, seed=1)], axis=1)
    x[200:, 1] = np.nan
    np.testing.assert_array_equal(small.score(x, reference=x[200:]), small.score(x))
    with pytest.raises(InputError, match=r"reference needs at least one value in every variable.*\[1\]"):
        small.score(x[:200], reference=x[200:])
