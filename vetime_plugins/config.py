"""The configuration of a network under its public name; it lives in `vetime_plugins.network.config`."""

from __future__ import annotations

from vetime_plugins.network.config import FORMAT_VERSION, VETimeConfig

__all__ = ["FORMAT_VERSION", "VETimeConfig"]
