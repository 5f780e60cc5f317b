"""Tests; a package, so that test modules can share helpers whatever directory they are run from."""
