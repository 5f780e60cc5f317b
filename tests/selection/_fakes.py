"""Detectors whose place in a ranking is known beforehand."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d


class Distance:
    """Good at points that stand off: distance to the median of five points."""

    def fit(self, X, y=None):
        self.decision_scores_ = self.decision_function(X)
        return self

    def decision_function(self, X):
        padded = np.pad(X, ((2, 2), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=0)
        return np.abs(X - np.median(windows, axis=-1)).max(axis=1)


class Smeared(Distance):
    """Finds the same, and raises all around it as well."""

    def decision_function(self, X):
        return maximum_filter1d(super().decision_function(X), 31)


class Noise:
    """Knows nothing."""

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        return np.random.default_rng(len(X)).random(len(X))


class Middling(Distance):
    """Knows something: `Distance` under much noise."""

    def decision_function(self, X):
        scores = super().decision_function(X)
        return scores + 2 * scores.std() * Noise().decision_function(X)


class Failing:
    def __init__(self, longest=0):
        self.longest = longest

    def fit(self, X, y=None):
        if len(X) > self.longest:
            raise RuntimeError("it is\nbroken")
        self.decision_scores_ = np.zeros(len(X))
        return self

    def decision_function(self, X):
        return np.zeros(len(X))


class Tiring(Distance):
    """Fails from its second run on, whichever of its copies runs."""

    runs = 0

    def fit(self, X, y=None):
        type(self).runs += 1
        if self.runs > 1:
            raise RuntimeError("it is tired")
        return super().fit(X)


class Clock:
    """What detectors of this module take for the time of day, in seconds."""

    now = 0.0


class Timed(Distance):
    """Takes so many seconds of `Clock` a point."""

    def __init__(self, seconds):
        self.seconds = seconds

    def fit(self, X, y=None):
        Clock.now += len(X) * self.seconds
        return super().fit(X)


class Slow(Timed):
    def __init__(self, seconds=1e-2):
        super().__init__(seconds)


class Fast(Timed):
    def __init__(self, seconds=1e-5):
        super().__init__(seconds)


class Quadratic(Distance):
    def fit(self, X, y=None):
        Clock.now += len(X) ** 2 * 1e-6
        return super().fit(X)


class Stepped(Distance):
    """Takes a second for a thousand points or more, and hardly any time for fewer."""

    def fit(self, X, y=None):
        Clock.now += 1.0 if len(X) >= 1000 else 1e-3
        return super().fit(X)


def wave(n=1200, period=40, seed=0):
    """A noisy sine, (n,)."""
    return np.sin(2 * np.pi * np.arange(n) / period) + 0.1 * np.random.default_rng(seed).normal(size=n)
