"""Normal behaviour: what a healthy machine, heart, server or spacecraft puts out."""

from __future__ import annotations

from vetime_plugins.synthesis.normal.families import FAMILIES, Draft, draw_normal

__all__ = ["FAMILIES", "Draft", "draw_normal"]
