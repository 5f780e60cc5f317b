"""What tests of commands share."""

from __future__ import annotations

from vetime_plugins.cli import main


def fails(capsys, *argv):
    """Run a command that must fail; return its one line."""
    try:
        status = main([str(arg) for arg in argv])
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    assert status not in (0, None)
    assert not captured.out
    assert captured.err.count("\n") == 1
    return captured.err
