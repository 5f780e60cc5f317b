"""Weights for the properties, and the table of what was tried."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests._tiny import save_tiny_weights
from tests.properties._cases import CASES, COUNTS
from vetime_plugins import VETimePipeline


@pytest.fixture(scope="session")
def small() -> VETimePipeline:
    return VETimePipeline.from_pretrained("small", device="cpu")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights that are fast to run."""
    return save_tiny_weights(tmp_path_factory.mktemp("tiny"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CASES and COUNTS:
        terminalreporter.write_line(f"{sum(COUNTS.values())} cases of {len(COUNTS)} properties")
        for name, count in COUNTS.items():
            terminalreporter.write_line(f"  {count:6d}  {name}")
    if CASES and COUNTS and (out := os.environ.get("VETIME_PROPERTY_COUNTS")):
        Path(out).write_text(json.dumps(COUNTS, indent=1) + "\n")
