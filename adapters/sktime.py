"""VETime as an sktime detector and transformer; importing needs no sktime, taking a name from it does."""

from __future__ import annotations

from vetime_plugins.adapters._shared import at_home, without_framework
from vetime_plugins.errors import MissingDependencyError

__all__ = ["VETimeDetector", "VETimeTransformer"]

try:
    from vetime_plugins.adapters._sktime import VETimeDetector
    from vetime_plugins.adapters._sktime_transformer import VETimeTransformer
except MissingDependencyError as error:
    # Tools that look for estimators import every module of a package, whatever is installed.
    __getattr__ = without_framework(error, __all__)
else:
    at_home(__name__, VETimeDetector, VETimeTransformer)
