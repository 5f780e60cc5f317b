"""Generated input, and how much of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

CASES = int(os.environ.get("VETIME_PROPERTY_CASES", "0"))
"""Cases of each property; 0 for the few, always the same, of `make test`."""
COUNTS: Counter[str] = Counter()
"""How often each property was tried."""
ADVICE = [
    pytest.mark.filterwarnings("ignore::vetime_plugins.errors.InputWarning"),
    pytest.mark.filterwarnings("ignore:the .* threshold:UserWarning"),
]
"""What the package says of doubtful input; any other warning is an error."""
LARGEST = float(np.finfo(np.float64).max)
_QUICK = 10
_MOST_VALUES = 6000


def tried(cost: int = 1) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a property on `CASES` / `cost` inputs, and count them."""
    limits = settings(
        max_examples=max(2, (CASES or _QUICK) // cost),
        derandomize=not CASES,
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        inner = test.hypothesis.inner_test  # type: ignore[attr-defined]

        @wraps(inner)
        def counted(*args: Any, **kwargs: Any) -> None:
            COUNTS[test.__name__] += 1
            inner(*args, **kwargs)

        test.hypothesis.inner_test = counted  # type: ignore[attr-defined]
        return limits(test)

    return decorate


def _shape_of(kind: str, rng: np.random.Generator, length: int, variables: int) -> NDArray[np.float64]:
    t = np.arange(length)[:, None]
    size = (length, variables)
    if kind == "noise":
        return rng.normal(size=size)
    if kind == "heavy tails":
        return rng.standard_cauchy(size=size)
    if kind == "levels":
        return rng.integers(0, 4, size=size).astype(float)
    if kind == "wave":
        return np.sin(2 * np.pi * t / rng.uniform(2, 80, variables))
    if kind == "rounded wave":
        return np.round(np.sin(2 * np.pi * t / rng.uniform(2, 80, variables)), 1)
    if kind == "saw":
        return (t % rng.integers(2, 40, variables)).astype(float)
    if kind == "rare":
        return (rng.random(size) < 0.03).astype(float)
    if kind == "walk":
        return np.cumsum(rng.normal(size=size), axis=0)
    if kind == "glitch":
        x = np.sin(t / 5 + np.arange(variables))
        x[rng.integers(length), rng.integers(variables)] = 10.0 ** rng.uniform(2, 12)
        return x
    if kind == "twins":
        return np.repeat(rng.normal(size=(length, 1)), variables, axis=1)
    return np.full(size, rng.normal())  # constant


SHAPES = [
    "noise", "heavy tails", "levels", "wave", "rounded wave", "saw", "rare", "walk", "glitch", "twins",
    "constant",
]  # fmt: skip
GAPS = ["none", "none", "scattered", "block", "head", "tail", "all but one"]


def _with_gaps(x: NDArray[np.float64], gaps: str, rng: np.random.Generator) -> NDArray[np.float64]:
    missing = np.zeros(x.shape, dtype=bool)
    length = len(x)
    at = int(rng.integers(length))
    if gaps == "scattered":
        missing = rng.random(x.shape) < 0.2
    elif gaps == "block":
        missing[at : at + length // 3, rng.integers(x.shape[1])] = True
    elif gaps == "head":
        missing[:at] = True
    elif gaps == "tail":
        missing[at + 1 :] = True
    elif gaps == "all but one":
        missing[np.arange(length) != at, rng.integers(x.shape[1])] = True
    missing[at] &= ~missing.all(axis=0)  # a variable without any value is another property
    return np.where(missing, np.nan, x)


@st.composite
def series(
    draw: st.DrawFn, *, longest: int = 300, widest: int = 4, gaps: bool = True, offset: float = 6
) -> NDArray[np.float64]:
    """Draw a finite series (T,) or (T, C); `offset` bounds log10 of its level, in deviations."""
    flat = draw(st.booleans())
    variables = 1 if flat else draw(st.integers(1, widest))
    length = draw(st.integers(1, max(1, min(longest, _MOST_VALUES // variables))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = _shape_of(draw(st.sampled_from(SHAPES)), rng, length, variables)
    level = draw(st.sampled_from([0.0, 1.0, -1.0])) * 10 ** draw(st.floats(0, offset))
    x = (x + level * (np.ptp(x, axis=0) + 1e-9)) * 10.0 ** draw(st.integers(-9, 9))
    if gaps:
        x = _with_gaps(x, draw(st.sampled_from(GAPS)), rng)
    return x[:, 0].copy() if flat else x


def check_scores(scores: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    """Check what holds for the scores of any series."""
    assert scores.dtype == np.float64
    assert scores.shape == shape
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()
