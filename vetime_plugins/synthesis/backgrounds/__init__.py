"""Real series as normal behaviour: read from installed packages that ship them, never from this one."""

from __future__ import annotations

from vetime_plugins.synthesis.backgrounds.bank import (
    BackgroundBank,
    install_command,
    load_backgrounds,
    open_backgrounds,
    save_backgrounds,
    shared_bank,
)
from vetime_plugins.synthesis.backgrounds.catalogue import PACKAGES, SOURCES, Source
from vetime_plugins.synthesis.backgrounds.cuts import draw_background, draw_real

__all__ = [
    "PACKAGES",
    "SOURCES",
    "BackgroundBank",
    "Source",
    "draw_background",
    "draw_real",
    "install_command",
    "load_backgrounds",
    "open_backgrounds",
    "save_backgrounds",
    "shared_bank",
]
