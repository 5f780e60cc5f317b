"""Checks of arguments that many functions share: numbers of Python and of numpy alike, booleans never."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np

from vetime_plugins.errors import InputError

__all__ = ["as_plain", "check_seed", "check_whole", "is_real", "is_tensor"]


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


def is_tensor(value: object) -> bool:
    """Tell a tensor of torch by what it can do: torch need not be loaded."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


def as_plain(values: Any) -> Any:
    """Return a tensor as one that numpy can read: on the CPU, no gradient, dense; anything else as it is."""
    if not is_tensor(values):
        return values
    tensor = values.detach().cpu()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    tensor = tensor.to_dense().resolve_conj().resolve_neg()
    return tensor.double() if tensor.is_floating_point() else tensor
