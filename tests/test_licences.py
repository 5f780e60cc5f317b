"""What the extras bring has a licence that is permissive, or named with the reason why it may be used."""

from __future__ import annotations

from importlib import metadata

import pytest

from tests import check_licences


def test_every_package_of_every_extra(capsys: pytest.CaptureFixture[str]) -> None:
    doubtful = check_licences.main()
    told = capsys.readouterr()
    assert (doubtful, told.err) == (0, ""), told.out
    listed = {line[2:].split()[0] for line in told.out.splitlines()}
    assert {"torch", "numpy", "pydantic", "safetensors", "scipy", "vetime-plugins"} <= listed
    # An exception for what nobody brings any more is none.
    installed = {name for name in check_licences.NAMED if _is_installed(name)}
    assert installed <= listed


@pytest.mark.parametrize(
    ("told", "doubtful"),
    [("MIT", 0), ("BSD License", 0), ("GPL-3.0-only", 1), ("LGPLv2+", 1), ("MPL-2.0 AND MIT", 1), ("", 1)],
)
def test_a_licence_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, doubtful: int
) -> None:
    monkeypatch.setattr(check_licences, "EXTRAS", ())
    monkeypatch.setattr(check_licences, "needed", lambda extra: {"numpy": metadata.distribution("numpy")})
    monkeypatch.setattr(check_licences, "licence", lambda found: told)
    assert check_licences.main() == doubtful
    assert ("neither permissive nor named" in capsys.readouterr().err) is bool(doubtful)


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
