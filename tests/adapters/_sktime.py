"""Series for the tests of the sktime adapter."""

from __future__ import annotations

import numpy as np
import pandas as pd

N, SPLIT = 300, 200
BURST = slice(240, 246)


def values(n_variables: int = 1, n: int = N, seed: int = 0) -> np.ndarray:
    """Noisy sines of shape (n, n_variables) with a burst in the second part."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    x = np.sin(2 * np.pi * (t + 5 * np.arange(n_variables)) / 25) + 0.1 * rng.standard_normal(
        (n, n_variables)
    )
    x[BURST] += 4
    return x


def frame(n_variables: int = 2, **kwargs) -> pd.DataFrame:
    columns = [f"v{i}" for i in range(n_variables)][::-1]  # not in alphabetical order
    return pd.DataFrame(values(n_variables, **kwargs), columns=columns)
