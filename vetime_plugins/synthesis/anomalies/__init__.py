"""Kinds of anomalies: a registry of small functions that each rewrite one stretch of one variable."""

from __future__ import annotations

from vetime_plugins.synthesis.anomalies.context import Change, Context
from vetime_plugins.synthesis.anomalies.registry import KINDS, Kind

__all__ = ["KINDS", "Change", "Context", "Kind"]
