"""The package's exceptions and its warning: each message says what was needed, what came, and what to do."""

from __future__ import annotations


class VETimeError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(VETimeError, ValueError):
    """The series, labels or an argument cannot be used as they are."""


class CheckpointError(VETimeError):
    """A weights folder or a foreign state dict is missing, damaged or of another shape."""


class OutOfMemoryError(VETimeError, MemoryError):
    """There is no memory for a series; the message names sizes and the cure. The process can go on."""


class MissingDependencyError(VETimeError, ImportError):
    """An optional framework is not installed; the message names the extra that brings it."""


class InputWarning(UserWarning):
    """The series can be scored, but looks like something else than measurements of one series.

    To silence it: ``warnings.filterwarnings("ignore", category=vetime_plugins.errors.InputWarning)``.
    """
