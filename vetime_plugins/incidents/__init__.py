"""Incidents: what happened, when, how badly, of what kind and in which variables.

Scores tell of every step; a person wants the few things that happened. `find_incidents` groups the steps
above a threshold, finds where each group begins, peaks and ends, names its likely kind and ranks the
variables.
"""

from __future__ import annotations

from vetime_plugins.incidents.find import find_incidents
from vetime_plugins.incidents.records import KINDS, Contribution, Detection, Incident, Incidents
from vetime_plugins.incidents.tracking import IncidentEvent, IncidentTracker

__all__ = [
    "KINDS",
    "Contribution",
    "Detection",
    "Incident",
    "IncidentEvent",
    "IncidentTracker",
    "Incidents",
    "find_incidents",
]
