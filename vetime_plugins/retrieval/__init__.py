"""Retrieval expert: how far is each part of a series from its nearest neighbours elsewhere in it.

A non-parametric view of novelty that the network reads beside its learned branches, and a detector in its own
right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vetime_plugins._lazy import lazy_names

if TYPE_CHECKING:
    from vetime_plugins.retrieval.config import RetrievalConfig
    from vetime_plugins.retrieval.features import (
        RetrievalFeatures,
        retrieval_distances,
        retrieval_evidence,
        retrieval_score,
    )

__all__ = [
    "RetrievalConfig",
    "RetrievalFeatures",
    "retrieval_distances",
    "retrieval_evidence",
    "retrieval_score",
]

# A network's configuration reads this one, and needs no torch.
_HOME = {
    "RetrievalConfig": "config",
    "RetrievalFeatures": "features",
    "retrieval_distances": "features",
    "retrieval_evidence": "features",
    "retrieval_score": "features",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
