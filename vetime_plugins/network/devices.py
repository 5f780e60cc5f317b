"""Which device the network runs on."""

from __future__ import annotations

import torch

from vetime_plugins.errors import InputError


def choose_device(device: str | torch.device) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device that exists here.

    Raises
    ------
    InputError
        If it does not.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {device!r}.") from error
    if not available.get(chosen.type, False):
        here = [name for name, present in available.items() if present]
        raise InputError(
            f"device {str(device)!r} is not available here; this machine has {here}. Use device='auto'."
        )
    return chosen
