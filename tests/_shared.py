"""Where the tests find material that is too large, or not ours to publish, to live in the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
