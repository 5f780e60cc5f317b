"""Synthetic series with labelled anomalies: for training, and for testing detectors on one's own data."""

from __future__ import annotations

from vetime_plugins.synthesis.corpus import Corpus, CorpusConfig, generate
from vetime_plugins.synthesis.inject import inject, list_kinds
from vetime_plugins.synthesis.series import Anomaly, SyntheticSeries

__all__ = ["Anomaly", "Corpus", "CorpusConfig", "SyntheticSeries", "generate", "inject", "list_kinds"]
