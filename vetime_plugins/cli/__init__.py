"""The command ``vetime``: one module for each sub-command."""

from __future__ import annotations

from vetime_plugins.cli.dispatch import main

__all__ = ["main"]
