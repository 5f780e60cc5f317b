"""Tests of `vetime_plugins.selection`."""
