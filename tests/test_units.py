"""Scores depend neither on the unit of a series nor on the order of its variables."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests._shared import noisy_wave
from vetime_plugins import VETimePipeline
from vetime_plugins.imaging import image_to_series, series_to_image
from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.scaling import Scaling

pytestmark = pytest.mark.filterwarnings("ignore::vetime_plugins.errors.InputWarning")

LARGEST = np.finfo(np.float64).max
TOLERANCE = 1e-6
"""What docs/reliability.md promises for factors and shifts that round the values."""


def _levels(length: int = 300, top: int = 7) -> NDArray[np.float64]:
    """Whole numbers, whose windows are full of ties."""
    return np.random.default_rng(0).integers(0, top + 1, length).astype(float)


def _with_gap() -> NDArray[np.float64]:
    x = noisy_wave(260, 2)
    x[40:60, 1] = np.nan
    return x


def _square() -> NDArray[np.float64]:
    return np.sign(np.sin(2 * np.pi * (np.arange(300) + 0.5) / 30)) + (np.arange(300) == 150)


KINDS = {
    "wave": noisy_wave(400),
    "three variables": noisy_wave(250, 3),
    "gap": _with_gap(),
    "levels": _levels(),
    "ramp": (np.arange(300) % 17).astype(float),
    "square": _square(),
    "rare": (np.arange(300) % 97 == 5).astype(float),
    "far from zero": noisy_wave(300) + 1e4,
}


@pytest.fixture(scope="module")
def small() -> VETimePipeline:
    return VETimePipeline.from_pretrained("small", device="cpu")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exponent", [-900, -31, -9, 1, 12, 40, 900])
def test_powers_of_two_change_no_bit(small: VETimePipeline, kind: str, exponent: int) -> None:
    x = KINDS[kind]
    np.testing.assert_array_equal(small.score(np.ldexp(x, exponent)), small.score(x))


@pytest.mark.parametrize("exponent", [-1074, -1072, -1030, 1020])
def test_whole_numbers_are_scored_alike_from_the_smallest_denormal_to_the_largest_float(
    small: VETimePipeline, exponent: int
) -> None:
    x = _levels()
    np.testing.assert_array_equal(small.score(np.ldexp(x, exponent)), small.score(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1e-9, 1 / 3, 0.3048, 1.8, 1000.0, 7e300])
def test_other_factors_change_nothing_but_rounding(small: VETimePipeline, kind: str, factor: float) -> None:
    x = KINDS[kind] / 1e4 if factor > 1e300 else KINDS[kind]
    np.testing.assert_allclose(small.score(x * factor), small.score(x), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [-273.15, 0.1, 1e3])
def test_shifts_change_nothing_but_rounding(small: VETimePipeline, kind: str, shift: float) -> None:
    x = KINDS[kind]
    np.testing.assert_allclose(small.score(x + shift), small.score(x), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("exponent", [-40, 30])
def test_the_unit_does_not_matter_beside_a_reference(small: VETimePipeline, exponent: int) -> None:
    x, reference = _levels(150), _levels(500, 9)
    scaled = small.score(np.ldexp(x, exponent), reference=np.ldexp(reference, exponent))
    np.testing.assert_array_equal(scaled, small.score(x, reference=reference))


def test_each_variable_has_its_own_unit(small: VETimePipeline) -> None:
    x = noisy_wave(300, 3)
    np.testing.assert_array_equal(small.score(np.ldexp(x, [-30, 0, 200])), small.score(x))


@pytest.mark.parametrize("readout", ["point", "window"])
@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_variables_means_nothing(small: VETimePipeline, readout: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = np.arange(200)[:, None]
    x = np.sin(2 * np.pi * steps / rng.integers(5, 40, 5)) + (rng.random((200, 5)) < 0.03)
    if seed % 2:
        x = np.round(x)  # ties
    order = rng.permutation(5)
    expected = small.score(x, readout=readout)
    np.testing.assert_allclose(small.score(x[:, order], readout=readout), expected, rtol=0, atol=TOLERANCE)
    alone = small.score(x, per_variable=True)
    np.testing.assert_allclose(
        small.score(x[:, order], per_variable=True), alone[:, order], rtol=0, atol=TOLERANCE
    )


EXTREMES = {
    "largest": np.array([LARGEST, -LARGEST] * 40),
    "one glitch": np.where(np.arange(200) == 90, 1e300, noisy_wave(200)),
    "sum overflows": LARGEST * (1 - np.random.default_rng(0).random(300) / 8),
    "square overflows": noisy_wave(300) * 1e200,
    "square vanishes": noisy_wave(300) * 1e-200,
    "denormals": np.array([0.0, 5e-324] * 40),
    "constant": np.full(60, LARGEST),
    "two variables": np.array([[LARGEST, 1.0], [-LARGEST, 2.0]] * 40),
}


@pytest.mark.parametrize("kind", EXTREMES)
def test_extremes_are_scored_without_a_warning(small: VETimePipeline, kind: str) -> None:
    scores = small.score(EXTREMES[kind])
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.isfinite(small.explain(EXTREMES[kind]).reconstruction).all()


@pytest.mark.parametrize("kind", EXTREMES)
def test_images_of_extremes_lead_back_without_a_warning(kind: str) -> None:
    x = EXTREMES[kind]
    found = image_to_series(*series_to_image(x, size=None))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found / 2, x / 2, rtol=0, atol=1e-9 * np.ptp(x / 2) + 5e-324)


@pytest.mark.parametrize("exponent", [-1060, -200, -3, 5, 1000])
def test_images_are_the_same_in_every_unit(exponent: int) -> None:
    x = _levels()
    image, geometry = series_to_image(x)
    scaled, other = series_to_image(np.ldexp(x, exponent))
    np.testing.assert_array_equal(scaled, image)
    assert other.period == geometry.period


def test_a_variable_varies_or_not_whatever_its_unit() -> None:
    x = np.array([0.0, 1.0] * 10)
    assert as_series(np.ldexp(x, -1074)).varies.all()
    assert as_series(np.where(x > 0, LARGEST, -LARGEST)).varies.all()
    assert not as_series(np.full(20, 5e-324)).varies.any()
    assert not as_series(1e5 * (1 + 1e-15 * x)).varies.any()


def test_standardised_values_lead_back() -> None:
    x = noisy_wave(200, 2) * [1e-9, 1e9] + [0, 1e12]
    scaling = Scaling.of_values(x)
    z = scaling.standardise(x)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(scaling.restore(z), x, atol=1e-6 * x.std(axis=0).max())
    np.testing.assert_array_equal(z * 2**20, np.round(z * 2**20))
