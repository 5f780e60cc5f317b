"""Which device the network runs on."""

from __future__ import annotations

import torch

from vetime_plugins.errors import InputError


def choose_device(device: str | torch.device) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device that exists here, or raise `InputError`."""
    # How many there are of each kind. The number of a CPU means nothing to torch.
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    available = {"cpu": 1, "cuda": cuda, "mps": int(torch.backends.mps.is_available())}
    if isinstance(device, str) and device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {device!r}.") from error
    count = available.get(chosen.type, 0)
    if not count or (chosen.type != "cpu" and (chosen.index or 0) >= count):
        kinds = {name: n for name, n in available.items() if n}
        here = [f"{name}:{i}" if n > 1 else name for name, n in kinds.items() for i in range(n)]
        raise InputError(
            f"device {str(device)!r} is not available here; this machine has {here}. Use device='auto'."
        )
    return chosen
