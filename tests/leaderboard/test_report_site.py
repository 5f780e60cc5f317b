"""The site: pages that link to each other, are whole, and load nothing."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from tests.leaderboard._pages import Page, write_results
from vetime_plugins.cli import main
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard import export, results
from vetime_plugins.leaderboard.export import write_cells
from vetime_plugins.leaderboard.report import write_site

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")

NASTY = "pyod-knn(name='<b>../x</b>')"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder of results, and the table of another one with one detector more."""
    root = tmp_path_factory.mktemp("runs")
    write_results(root / "one", ["a", NASTY], 6)
    write_results(root / "other", ["b", "a"], 7)
    write_cells(root / "two.csv", results.read_cells(root / "other"))
    return root / "one", root / "two.csv"


@pytest.fixture(scope="module")
def site(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "site"
    return out, write_site(runs, out, title="Ours")


def test_there_is_a_page_a_run_and_a_page_a_detector(runs, site):
    out, pages = site
    assert pages[0] == out / "index.html"
    data = {f"{run}{ending}" for run in ("one", "two") for ending in (".csv", ".json", "-cells.csv")}
    assert {path.name for path in out.iterdir()} == {"index.html", "one.html", "two.html", "detectors", *data}
    assert export.read_cells(out / "two-cells.csv") == export.read_cells(runs[1])
    assert len(list((out / "detectors").iterdir())) == 3
    assert len(pages) == 6


def test_links_lead_somewhere_and_nothing_is_loaded(site):
    for path in site[1]:
        page = Page(path.read_text(encoding="utf-8"))
        links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
        assert links
        for link in links:
            target = path if link.startswith("#") else path.parent / unquote(link.partition("#")[0])
            assert target.resolve().is_file(), (path, link)
        policy = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
        assert any("default-src 'none'" in value for value in policy)
        assert not [value for _, name, value in page.attributes if name == "src"]
        assert "b" not in page.tags  # of the name


def test_the_index_tells_of_every_run_and_detector(site):
    page = Page(site[1][0].read_text(encoding="utf-8"))
    runs = page.table("Runs")["rows"]
    assert [row[0] for row in runs] == ["one", "two"]
    assert [row[3:6] for row in runs] == [["2", "6", "3"], ["2", "7", "3"]]
    assert [row[6] for row in runs] == ["a", "b"]
    rows = page.table("VUS-PR of every detector")["rows"]
    assert [row[0] for row in rows] == ["b", "a", NASTY]  # by the highest value
    assert rows[0][2] == "-"  # was not run there
    assert float(rows[1][2]) > float(rows[1][3]) > 0


def test_a_detector_has_its_place_and_its_means_in_every_run(site):
    page = Page((site[0] / "detectors" / "a.html").read_text(encoding="utf-8"))
    assert [row[:2] for row in page.table("Runs")["rows"]] == [["one", "1 of 2"], ["two", "2 of 2"]]
    rows = page.table("VUS-PR by data set, two")["rows"]
    assert [row[0] for row in rows] == ["mean", "D0", "D1", "D2"]
    assert [row[2] for row in rows] == ["2 of 2"] * 4
    assert {row[4] for row in rows} == {"b"}


def test_it_is_the_same_every_time(runs, site, tmp_path):
    again = write_site(runs, tmp_path, title="Ours")
    for first, second in zip(site[1], again, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_the_command_and_its_errors(runs, tmp_path, capsys):
    assert main(["leaderboard", "site", *map(str, runs), "--out", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out.startswith("6 pages: ")
    with pytest.raises(InputError, match=r"two runs would be one\.html"):
        write_site([runs[0], runs[0]], tmp_path)
    with pytest.raises(InputError, match="a site needs a run"):
        write_site([], tmp_path)
    with pytest.raises(InputError, match=r"two\.csv: no result holds the metric F9"):
        write_site([runs[1]], tmp_path, metric="F9")
