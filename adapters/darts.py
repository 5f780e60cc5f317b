"""VETime as a Darts anomaly scorer; importing this module needs no Darts, taking a name from it does."""

from __future__ import annotations

from vetime_plugins.adapters._shared import at_home, without_framework
from vetime_plugins.errors import MissingDependencyError

__all__ = ["VETimeScorer"]

try:
    from vetime_plugins.adapters._darts import VETimeScorer
except MissingDependencyError as error:
    # Tools that look for estimators import every module of a package, whatever is installed.
    __getattr__ = without_framework(error, __all__)
else:
    at_home(__name__, VETimeScorer)
