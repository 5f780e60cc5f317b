"""The README's examples run, and its links and those of the documentation lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs_examples import run_page
from vetime_plugins.leaderboard import summarise_cells
from vetime_plugins.leaderboard.export import load_cells

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
HEADLINE = {
    "VETime `small`": "vetime",
    "nearest neighbours of subsequences": "sub-knn",
    "PCA of subsequences": "sub-pca",
    "Darts, `PyODScorer(KNN())`": "darts-knn",
    "Darts, `KMeansScorer`": "darts-kmeans",
    "PyOD, `LOF`": "pyod-lof",
    "PyOD, `AutoEncoder`": "pyod-autoencoder",
    "random": "random",
}
"""Rows of the headline table, and the detectors of the leaderboard that they are."""
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")


@pytest.mark.filterwarnings("ignore")  # the frameworks warn about themselves
def test_examples_run(tmp_path, monkeypatch):
    for framework in ("pyod", "sktime", "darts", "merlion"):
        pytest.importorskip(framework)
    monkeypatch.chdir(tmp_path)
    names = run_page(CHECKOUT / "README.md")
    assert len(names["scores"]) == 2000
    assert len(names["labels"]) == 1000
    assert names["anomalies"]["ilocs"].between(1490, 1520).any()


def anchors(page):
    """Return the anchors that the headings of a Markdown page get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_links_lead_somewhere(page):
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = page if not path else page.parent / path
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target)


def test_the_headline_is_that_of_the_committed_results():
    pytest.importorskip("pandas")
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8").replace("**", "")
    folder = CHECKOUT / "benchmarks" / "results" / "leaderboard"
    found = [summarise_cells(load_cells(folder / f"{name}.csv")) for name in ("univariate", "multivariate")]
    for row, detector in HEADLINE.items():
        means = [one[detector].mean[metric] for one in found for metric in ("VUS-PR", "AUC-PR")]
        assert f"| {row} | " + " | ".join(f"{100 * mean:.1f}" for mean in means) + " |" in text
