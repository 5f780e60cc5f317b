"""VETime as a Merlion anomaly detector.

Importing this module registers ``"VETimeDetector"`` with Merlion's model factory. A process that only
receives the name (a Spark worker, one that loads a saved ensemble) needs the import as well, or instead of
the short name the full one: ``"vetime_plugins.adapters.merlion:VETimeDetector"``. The import by itself needs
no Merlion, taking a name from the module does.
"""

from __future__ import annotations

from vetime_plugins.adapters._shared import at_home, without_framework
from vetime_plugins.errors import MissingDependencyError

__all__ = ["VETimeDetector", "VETimeDetectorConfig", "VETimeThreshold"]

try:
    from vetime_plugins.adapters._merlion import VETimeDetector, VETimeDetectorConfig, VETimeThreshold
except MissingDependencyError as error:
    # Tools that look for estimators import every module of a package, whatever is installed.
    __getattr__ = without_framework(error, __all__)
else:
    at_home(__name__, VETimeDetector, VETimeDetectorConfig, VETimeThreshold)
