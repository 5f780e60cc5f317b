"""Checks of arguments that many functions share: numbers of Python and of numpy alike, booleans never."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np

from vetime_plugins.errors import InputError

__all__ = ["check_seed", "check_whole", "is_real"]


def is_real(value: object) -> TypeGuard[float]:
    """Tell whether it is a real number of any type, but no truth value."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def check_whole(name: str, value: Any, *, least: int = 1, meaning: str = "") -> int:
    """Return a whole number of any type as an int.

    Parameters
    ----------
    name : str
        How the error calls it.
    value : object
    least : int
        The smallest that is allowed.
    meaning : str
        What the error says of it, in a few words.

    Raises
    ------
    InputError
        If it is another type, a truth value, or below `least`.
    """
    if isinstance(value, Integral) and not isinstance(value, (bool, np.bool_)) and int(value) >= least:
        return int(value)
    raise InputError(
        f"{name} must be a whole number >= {least}{f' ({meaning})' if meaning else ''}, got {value!r}"
    )


def check_seed(random_state: Any) -> int:
    """Return a seed, 0 to 2**32 - 1, as an int; None is refused: it would be another one each time."""
    if check_whole("random_state", random_state, least=0, meaning="a seed below 2**32") < 2**32:
        return int(random_state)
    raise InputError(f"random_state must be a whole number below 2**32 (a seed), got {random_state!r}")
