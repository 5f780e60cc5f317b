"""``vetime select``, as a person or a script calls it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tests._commands import fails
from tests.selection._fakes import wave
from vetime_plugins.cli import main
from vetime_plugins.selection import select_detector
from vetime_plugins.thresholds import find_threshold

QUICK = ("--candidate", "sub-knn", "--candidate", "sub-pca", "--budget", "none", "--trials", "3")


@pytest.fixture
def table(tmp_path):
    series = wave(500)
    series[250:260] += 3
    path = tmp_path / "wave.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["load", "truth"])
        writer.writerows([value, int(250 <= row < 260)] for row, value in enumerate(series.tolist()))
    return path, series


def test_json_is_what_the_function_finds(table, capsys):
    path, series = table
    assert main(["select", str(path), "--labels", "truth", *QUICK, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = select_detector(series, ["sub-knn", "sub-pca"], budget=None, n_trials=3)
    assert printed["name"] == expected.name
    assert printed["ranking"] == expected.ranking
    assert printed["columns"] == ["load"]
    assert printed["n_trials"] == 3
    assert 0 < printed["metrics"]["VUS-PR"] <= 1
    assert printed["threshold"]["value"] == pytest.approx(
        find_threshold(expected.detector.decision_scores_, "auto")
    )


def test_text_and_scores(table, tmp_path, capsys):
    path, series = table
    out = tmp_path / "scores.csv"
    assert main(["select", str(path), "--labels", "truth", *QUICK, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("selected: ")
    assert "sub-pca" in text
    assert "which the selection did not see: VUS-PR" in text
    with out.open(newline="") as stream:
        written = list(csv.DictReader(stream))
    expected = select_detector(series, ["sub-knn", "sub-pca"], budget=None, n_trials=3).detector
    np.testing.assert_allclose([float(row["score"]) for row in written], expected.decision_scores_, rtol=1e-6)
    assert [int(row["is_anomaly"]) for row in written] == (
        expected.decision_scores_ > find_threshold(expected.decision_scores_, "auto")
    ).tolist()


def test_scores_on_standard_output(table, capsys):
    assert main(["select", str(table[0]), "--column", "load", *QUICK, "--out", "-"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 501
    assert captured.err.startswith("selected: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--candidate", "nobody"), "there is no detector 'nobody'"),
        (("--budget", "-3"), "budget must be a number of seconds above 0, or none"),
        (("--trials", "-1"), "n_trials must be a whole number >= 0"),
        (("--default", "vetime", "--candidate", "sub-knn"), "default must be one of the candidates"),
        (("--json", "--out", "-"), "both want standard output"),
    ],
)
def test_bad_usage(table, capsys, options, message):
    assert message in fails(capsys, "select", table[0], "--column", "load", *options)


def test_another_notation(tmp_path, capsys):
    path = tmp_path / "wave.csv"
    cells = [f"{value:.4f}".replace(".", ",") for value in wave(300)]
    path.write_text(
        "\n".join(["load;rate", *(f"{cell};-" for cell in cells[:9]), *(f"{c};{c}" for c in cells)])
    )
    assert "add --decimal ," in fails(capsys, "select", path, *QUICK)
    assert "add --na=- ;" in fails(capsys, "select", path, *QUICK, "--decimal", ",")
    assert main(["select", str(path), *QUICK, "--decimal", ",", "--na", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 309


def test_missing_file(tmp_path, capsys):
    assert "nothing.csv" in fails(capsys, "select", tmp_path / "nothing.csv")
