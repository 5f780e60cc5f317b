"""The site of the committed results, by its documented command: whole, small, and with the right figures."""

from __future__ import annotations

import csv
import json
import math
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.leaderboard._pages import Page
from vetime_plugins.cli import main
from vetime_plugins.leaderboard.export import read_cells
from vetime_plugins.leaderboard.report.groups import analyse_cells
from vetime_plugins.leaderboard.summary import summarise_cells

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")

ROOT = Path(__file__).parents[2]
LARGEST = 6 * 2**20
STANDINGS = "Detectors by VUS-PR"


def command() -> list[str]:
    """Return the words of the command, with the names of files that a shell would put for its patterns."""
    pages = [ROOT / "docs" / "leaderboard-report.md", ROOT / "benchmarks/results/leaderboard/README.md"]
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    (line,) = {line for line in lines if line.startswith("vetime leaderboard site ")}
    words = shlex.split(line)[1:-1]
    assert words[:2] == ["leaderboard", "site"]
    assert words.pop() == "--out"
    return [*words[:2], *(str(file) for word in words[2:] for file in sorted(ROOT.glob(word)))]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("hosted") / "site"
    assert main([*command(), "--out", str(out)]) == 0
    return out, {path: Page(path.read_text(encoding="utf-8")) for path in out.rglob("*.html")}


def test_there_is_a_page_for_every_run_and_none_is_too_large(site):
    out, pages = site
    runs = [Path(word).stem for word in command()[2:]]
    assert sorted(runs) == ["multivariate", "smd", "textbook", "univariate"]
    assert {path.stem for path in out.glob("*.html")} == {"index", *runs}
    assert max(path.stat().st_size for path in pages) < LARGEST


def test_every_link_has_its_target(site):
    for path, page in site[1].items():
        targets = {value for _, name, value in page.attributes if name == "id"}
        links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
        assert links
        for link in links:
            file, _, place = link.partition("#")
            if file:
                assert (path.parent / unquote(file)).resolve().is_file(), (path, link)
            else:
                assert place in targets, (path, link)


def test_nothing_is_loaded_and_every_page_has_its_policy(site):
    for path, page in site[1].items():
        names = {name for _, name, _ in page.attributes}
        assert names.isdisjoint({"src", "srcset", "onclick", "onload"}), path
        assert page.tags.keys().isdisjoint({"link", "iframe", "object", "embed", "base"})
        (policy,) = (value for _, name, value in page.attributes if name == "content" and "src" in value)
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
        assert not re.search(r"https?://", path.read_text(encoding="utf-8").replace("http://www.w3.org", ""))


@pytest.mark.parametrize("run", ["multivariate", "smd", "textbook", "univariate"])
def test_every_number_is_that_of_the_cells(site, run):
    out, pages = site
    (source,) = (word for word in command()[2:] if Path(word).stem == run)
    cells, page = read_cells(source), pages[out / f"{run}.html"]
    means = {name: one.mean for name, one in summarise_cells(cells).items()}
    by_dataset = {name: one.datasets for name, one in summarise_cells(cells).items()}
    shown = dict(zip(page.column(STANDINGS, "detector"), page.column(STANDINGS, "VUS-PR"), strict=True))
    assert shown.keys() == means.keys()  # one row a model, and none of the other names is lost
    assert shown == {name: show(mean["VUS-PR"]) for name, mean in means.items()}
    table = page.table("VUS-PR by data set")
    for name, *values in table["rows"][:-1]:
        found = [by_dataset[name][dataset]["VUS-PR"] for dataset in table["head"][2:]]
        assert values == [show(means[name]["VUS-PR"]), *map(show, found)]
    metrics = page.table("Means over data sets, every metric")
    for name, *values in metrics["rows"]:
        assert values == [show(means[name].get(metric, math.nan)) for metric in metrics["head"][1:]]
    assert {cell.metrics.keys() <= set(metrics["head"]) for cell in cells} == {True}


@pytest.mark.parametrize("run", ["multivariate", "smd", "textbook", "univariate"])
def test_the_files_beside_a_page_hold_its_numbers(site, run):
    out, pages = site
    (source,) = (word for word in command()[2:] if Path(word).stem == run)
    assert repr(read_cells(out / f"{run}-cells.csv")) == repr(read_cells(source))
    described = json.loads((out / f"{run}.json").read_text(encoding="utf-8"))
    with (out / f"{run}.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    page = pages[out / f"{run}.html"]
    for column, key, form in (("place", "place", "d"), ("rank", "rank", ".2f"), ("run", "run", "d")):
        texts = page.column(STANDINGS, column)
        for text, row, record in zip(texts, rows, described["detectors"], strict=True):
            value = record[key]
            assert text == ("" if value is None else format(value, form))
            assert row[key] == ("" if value is None else str(value))
    analysis = analyse_cells(read_cells(source))
    for record in described["detectors"]:
        found = analysis.differences.get(record["detector"])
        assert record["difference"] == (None if found is None else pytest.approx(found.difference, abs=1e-6))


def test_a_page_of_a_detector_says_what_the_report_says(site):
    out, pages = site
    for run in ("textbook", "univariate"):
        report, own = pages[out / f"{run}.html"], pages[out / "detectors" / "sub-knn.html"]
        table = report.table("VUS-PR by data set")
        (row,) = (row for row in table["rows"] if row[0] == "sub-knn")
        mine = own.table(f"VUS-PR by data set, {run}")["rows"]
        assert [(one[0], one[1]) for one in mine] == list(zip(table["head"][1:], row[1:], strict=True))
        best = [max(float(one[at]) for one in table["rows"][:-1]) for at in range(1, len(table["head"]))]
        assert [float(one[3]) for one in mine] == best


def test_models_behind_one_row_have_no_empty_column(site):
    out, pages = site
    table = pages[out / "detectors" / "vetime.html"].table("What stands in one row, univariate")
    assert table["rows"][0][0] == "vetime"
    assert {"vetime-pyod", "vetime-darts-train"} < {row[0] for row in table["rows"]}
    for at, column in enumerate(table["head"]):
        assert any(row[at] for row in table["rows"][1:]), column


def show(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
