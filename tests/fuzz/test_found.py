"""What the fuzzer found, and what it begins with, is tried in every run of the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.targets import TARGETS, seeds
from vetime_plugins.cli import tables

pytest.importorskip("pandas")

FOUND = sorted((Path(__file__).parent / "found").glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=[f"{path.parent.name}-{path.name}" for path in FOUND])
def test_an_input_that_broke_a_promise_breaks_none(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzer_begins_with_is_read(name: str) -> None:
    contents = seeds(name)
    for content in contents:
        TARGETS[name](content)


def test_tables_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that cannot fail would find nothing."""
    monkeypatch.setattr(tables, "_parse_with_csv", lambda *_: {"a": np.array([1.0])})
    with pytest.raises(AssertionError):
        TARGETS["table"](b"\0\x09a\n2\n")
