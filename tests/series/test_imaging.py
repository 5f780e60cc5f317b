"""Reversible Image Conversion: period, strip, fold and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from vetime_plugins.errors import InputError
from vetime_plugins.series.imaging import (
    FoldGeometry,
    fold_images,
    image_to_series,
    make_strip,
    moving_average,
    series_to_image,
)
from vetime_plugins.series.period import find_period


def _wave(length: int, period: int) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * np.arange(length) / period)


@pytest.mark.parametrize("period", [8, 37, 100])
def test_period_of_a_wave_is_found(period: int) -> None:
    assert find_period(_wave(1500, period)) == period


@pytest.mark.parametrize("values", [np.zeros(500), np.arange(500.0), np.array([1.0]), np.arange(9.0)])
def test_series_without_a_cycle_has_no_period(values: NDArray[np.float64]) -> None:
    assert find_period(values) == 1


def test_noise_has_no_period() -> None:
    assert find_period(np.random.default_rng(0).normal(size=2000)) == 1


def test_moving_average_reflects_at_the_ends() -> None:
    expected = np.convolve(np.pad(np.arange(10.0) ** 2, 2, mode="reflect"), np.ones(5) / 5, mode="valid")
    np.testing.assert_allclose(moving_average(np.arange(10.0) ** 2, 5), expected)


def test_moving_average_wider_than_the_series_keeps_its_length() -> None:
    assert moving_average(np.arange(3.0), 25).shape == (3,)


@settings(max_examples=30)
@given(
    length=st.integers(1, 700),
    variables=st.integers(1, 4),
    period=st.sampled_from([1, 3, 16, 48, 61]),
    seed=st.integers(0, 99),
)
def test_unresampled_image_gives_the_series_back(length: int, variables: int, period: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(scale=50, size=(length, variables)) + 1000
    image, geometry = series_to_image(x, size=None, period=period)
    np.testing.assert_allclose(image_to_series(image, geometry), x, rtol=0, atol=1e-9)


def test_odd_enlargement_gives_the_series_back() -> None:
    x = _wave(48 * 11, 48) + np.random.default_rng(0).normal(size=48 * 11)
    image, geometry = series_to_image(x, size=48 * 3, period=48)
    assert geometry.fold.patches_per_row * 16 == 48
    np.testing.assert_allclose(image_to_series(image, geometry), x, atol=1e-9)


def test_resampled_image_stays_within_the_stated_bound() -> None:
    x = _wave(64 * 20, 64) * 3 + np.random.default_rng(1).normal(scale=0.2, size=64 * 20)
    image, geometry = series_to_image(x, size=224)
    row = geometry.fold.patches_per_row * 16
    reach = -(-row // 224) + 1
    back = image_to_series(image, geometry)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, reach, mode="edge"), 2 * reach + 1)
    bound = windows.max(axis=1) - windows.min(axis=1)
    inside = np.arange(len(x)) % row
    middle = (inside >= reach) & (inside < row - reach)
    assert (np.abs(back - x)[middle] <= bound[middle] + 1e-9).all()
    assert np.abs(back - x).max() > 1e-6  # it really was resampled


def test_one_dimensional_input_comes_back_one_dimensional() -> None:
    image, geometry = series_to_image(np.arange(40.0), size=None)
    assert image_to_series(image, geometry).shape == (40,)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([]), "series needs at least one point"),
        (np.zeros((2, 2, 2)), "series needs shape"),
        (np.array([1.0, np.nan]), "got NaN: fill the gaps first"),
        (np.array([np.inf]), "series needs finite values"),
    ],
)
def test_unusable_series_are_refused(bad: NDArray[np.float64], message: str) -> None:
    with pytest.raises(InputError, match=message):
        series_to_image(bad)


@pytest.mark.parametrize("gammas", [["a"], [np.nan], [np.inf], [0.0], [-1], [0.5, 0.5], [], 0.5, "1", [None]])
def test_unusable_gammas_are_refused(gammas: object) -> None:
    with pytest.raises(InputError, match="gammas needs 1 positive numbers, one per variable"):
        series_to_image(np.arange(40.0), gammas=gammas)  # type: ignore[arg-type]


@pytest.mark.parametrize("period", [0, -3, 2.5, "a", True])
def test_unusable_periods_are_refused(period: object) -> None:
    with pytest.raises(InputError, match="period must be a whole number >= 1"):
        series_to_image(np.arange(40.0), period=period)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["patch_size", "size"])
@pytest.mark.parametrize("sides", [0, -3, 2.5, "a", True])
def test_unusable_sizes_are_refused(name: str, sides: object) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number >= 1"):
        series_to_image(np.arange(40.0), **{name: sides})  # type: ignore[arg-type]


def test_foreign_image_is_refused() -> None:
    image, geometry = series_to_image(np.arange(40.0), size=None)
    with pytest.raises(InputError, match="belongs to an image of shape"):
        image_to_series(image[:, :-1], geometry)


def test_wrong_number_of_gammas_is_refused() -> None:
    with pytest.raises(InputError, match="2 positive numbers"):
        make_strip(np.zeros((30, 2)), 16, gammas=np.array([0.5]))


@pytest.mark.parametrize(("n_patches", "period"), [(31, 48), (40, 1), (7, 300), (1, 1), (100, 17)])
@pytest.mark.parametrize("variables", [1, 3])
def test_batched_fold_equals_torch_interpolation(n_patches: int, period: int, variables: int) -> None:
    generator = np.random.default_rng(n_patches)
    strips = torch.from_numpy(generator.integers(0, 256, (variables, 3, n_patches * 16)).astype(np.uint8))
    pads = torch.from_numpy(generator.integers(0, 256, (variables, 3)).astype(np.uint8))
    fold = FoldGeometry.for_period(n_patches, period, 16, variables)
    filler = pads[..., None].expand(-1, -1, fold.padding_patches * 16)
    tiles = torch.cat([strips, filler], dim=2).reshape(variables, 3, fold.rows, -1).transpose(0, 1)
    stacked = tiles.reshape(1, 3, variables * fold.rows, -1).float()
    tall = F.interpolate(stacked, size=(224, stacked.shape[3]), mode="nearest")
    expected = F.interpolate(tall, size=(224, 224), mode="bilinear", align_corners=False)
    # The sample stands in a batch with one of another fold, padded on the right.
    wide = F.pad(strips, (0, 64))
    batch = torch.stack([wide, torch.zeros_like(wide)])
    counts = torch.tensor([n_patches, n_patches + 4]), torch.tensor([fold.patches_per_row, 2])
    images = fold_images(batch, torch.stack([pads, pads]), *counts, 16, 224)
    torch.testing.assert_close(images[:1], expected, rtol=0, atol=1e-4)


def test_constant_series_has_a_finite_strip() -> None:
    strip = make_strip(np.zeros((100, 1)), 16)
    assert strip.period == 1
    assert strip.intensities.shape == (1, 3, 112)
