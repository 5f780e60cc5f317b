"""Every stage of the network agrees with the authors' implementation on the same random weights."""

from __future__ import annotations

import pytest

from tests._shared import shared_path
from tests.parity_table import differences, fixtures

TOLERANCE = 1e-4


def test_every_stage_agrees_with_the_authors() -> None:
    folder = shared_path("parity")
    cases = fixtures(folder)
    assert len(cases) > 1, "the folder of parity fixtures has no cases"
    worst = {(case.name, stage): value for case in cases for stage, value in differences(case, folder)}
    too_far = {key: value for key, value in worst.items() if not value <= TOLERANCE}
    assert not too_far


@pytest.mark.parametrize("kind", ["uni", "multi"])
def test_fixtures_cover_chunked_and_multivariate(kind: str) -> None:
    assert any(case.name.startswith(kind) for case in fixtures(shared_path("parity")))
