"""Tests of the leaderboard: metrics, baselines, data sets, evaluation."""
