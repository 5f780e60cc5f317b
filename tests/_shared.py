"""Where the tests find material that is too large, or not ours to publish, to live in the repository."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

_CHECKOUT = Path(__file__).resolve().parents[1]


def shared_path(name: str) -> Path:
    """Return the path of a piece of shared test material, or skip the calling test.

    Parameters
    ----------
    name : str
        File or folder below the shared folder, e.g. ``"data"`` or ``"metrics/reference.json"``.

    Returns
    -------
    Path
        The existing file or folder.

    Notes
    -----
    The shared folder is ``$VETIME_SHARED`` where that is set, otherwise the folder ``shared`` beside the
    checkout. A checkout without it (a user's clone, a public CI runner) skips these tests with the reason.
    """
    root = Path(os.environ.get("VETIME_SHARED") or _CHECKOUT.parent / "shared")
    path = root / name
    if not path.exists():
        pytest.skip(f"no {name!r} in {root}: set VETIME_SHARED to the folder that holds it")
    return path


def noisy_wave(length: int, variables: int | None = None, seed: int = 0) -> NDArray[np.float64]:
    """Return a sine with a cycle of 40 steps and noise, (length,) or (length, variables)."""
    rng = np.random.default_rng(seed)
    shape = (length,) if variables is None else (length, variables)
    t = np.arange(length) if variables is None else np.arange(length)[:, None]
    return np.sin(2 * np.pi * t / 40) + rng.normal(scale=0.2, size=shape)
