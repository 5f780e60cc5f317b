"""What stands around the code: notices, workflows, templates and the pages for contributors are true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "THIRD-PARTY-NOTICES.md", *sorted((ROOT / ".github").glob("*.md"))]


def load(path):
    yaml = pytest.importorskip("yaml", reason="reading YAML needs PyYAML")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def users() -> dict[str, set[str]]:
    """Return what the package asks for, but for development, and which of its parts do."""
    parts = {"the core": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    found: dict[str, set[str]] = {}
    for part, requirements in parts.items():
        for requirement in requirements if part != "dev" else ():
            name = re.match(r"[\w.-]+", requirement)[0].lower()
            if name != PROJECT["name"]:
                found.setdefault(name, set()).add(part)
    return found


def test_every_distribution_has_its_notice():
    text = (ROOT / "THIRD-PARTY-NOTICES.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    told = {name: set(re.findall(r"`(\w+)`", part)) or {part} for name, part, licence in rows[2:] if licence}
    assert told == users()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_targets_of_the_makefile(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        matrix = job["strategy"]["matrix"]
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert commands
        for command in commands:
            called = command.split()[1]
            names = matrix["target"] if command == "make ${{ matrix.target }}" else [called]
            assert command.startswith("make ")
            assert set(names) <= targets


def test_the_weekly_matrix_has_every_python_that_is_promised():
    matrix = load(ROOT / ".github" / "workflows" / "weekly.yml")["jobs"]["adapters"]["strategy"]["matrix"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert [one["python"] for one in matrix["include"]] == promised


def test_continuous_integration_is_what_a_person_types():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    matrix = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["make"]["strategy"]["matrix"]
    assert [*re.findall(r"^make (\w+)$", script, re.MULTILINE), "coverage"] == matrix["target"]


def test_the_citation_is_of_this_package():
    citation = load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["title"], citation["license"]) == (PROJECT["name"], PROJECT["license"])


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.name
)
def test_forms_of_issues_ask_something(path):
    form = load(path)
    assert {"name", "description", "body"} <= form.keys()
    fields = [one["id"] for one in form["body"]]
    assert len(fields) == len(set(fields)) > 1
    assert all(one["attributes"]["label"] for one in form["body"])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = [
        one for one in re.findall(r"\]\(([^)#]+)", text) if "://" not in one and not one.startswith("../../")
    ]
    named = [one for one in re.findall(r"`((?:[\w-]+/)+[\w.-]*)`", text) if ".../" not in one]
    missing = [one for one in links if not (path.parent / one).exists()]
    missing += [one for one in named if not (ROOT / one).exists() and one not in {"site/", "task_files/"}]
    assert missing == []
