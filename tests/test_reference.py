"""The documentation builds without a warning; its API reference has all public names and what they take."""

from __future__ import annotations

import html
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
INNER = [
    "adapters.darts", "adapters.merlion", "adapters.pyod", "adapters.sktime",
    "leaderboard.report",
    "metrics.statistics",
    "synthesis.anomalies", "synthesis.backgrounds", "synthesis.normal",
]  # fmt: skip
"""Public modules below the top level."""
NOT_HERE = {"cli", "leaderboard.detectors", "moving", "reading"}  # docs/cli.md; a former name; inner parts


def public_modules() -> list[str]:
    """Return the public modules, by their names below the package."""
    names = [path.stem for path in (CHECKOUT / "vetime_plugins").iterdir() if not path.name.startswith("_")]
    files = [CHECKOUT / "vetime_plugins" / name for name in names]
    texts = {
        file.name: (file / "__init__.py" if file.is_dir() else file.with_suffix(".py")) for file in files
    }
    listed = [name for name, text in texts.items() if text.is_file() and "__all__" in text.read_text("utf-8")]
    return sorted({*listed, *INNER} - NOT_HERE)


def public_names() -> dict[str, object]:
    """Return every public name with its full path and what it stands for."""
    for framework in ("darts", "merlion", "pyod", "sktime"):
        pytest.importorskip(framework)
    modules = ["vetime_plugins", *(f"vetime_plugins.{name}" for name in public_modules())]
    return {
        f"{name}.{one}": getattr(importlib.import_module(name), one)
        for name in modules
        for one in importlib.import_module(name).__all__
        if one != "__version__"
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the documentation as `make docs` does."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_public_name_is_in_the_reference(site):
    pages = [page.read_text(encoding="utf-8") for page in (site / "api").rglob("*.html")]
    shown = {path for page in pages for path in re.findall(r'id="(vetime_plugins[\w.]*)"', page)}
    objects = [id(value) for value in map(pkgutil.resolve_name, shown) if callable(value)]
    missing = [
        path for path, value in public_names().items() if path not in shown and id(value) not in objects
    ]
    assert missing == []


def test_no_markup_of_another_language_is_shown(site):
    role = re.compile(r":(?:attr|class|data|exc|func|meth|mod|ref):")
    for page in site.rglob("*.html"):
        text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
        assert not role.search(text), page
        assert not re.search(r"^::: ", text, re.MULTILINE), page


def test_no_source_file_is_published(site):
    assert list(site.rglob("*.py")) == []


def test_every_picture_is_there(site):
    for page in site.rglob("*.html"):
        for source in re.findall(r'<img [^>]*src="([^":]+)"', page.read_text(encoding="utf-8")):
            assert (page.parent / source).exists() or (site / source.lstrip("/")).exists(), (page, source)


def test_functions_say_what_they_take():
    for path, function in public_names().items():
        if not inspect.isfunction(function):
            continue
        text = inspect.getdoc(function) or ""
        head = text.split("Returns\n---")[0]
        for name in inspect.signature(function).parameters:
            assert re.search(rf"^[\w*, ]*\b{name}\b[\w*, ]*( : |$)", head, re.MULTILINE), (path, name)


def test_functions_say_what_they_raise():
    for path, function in public_names().items():
        if inspect.isfunction(function) and re.search(
            r"^ +raise \w", inspect.getsource(function), re.MULTILINE
        ):
            assert "Raises\n------" in (inspect.getdoc(function) or ""), path


def test_the_pages_of_the_frameworks_have_the_same_headings():
    pages = [CHECKOUT / "docs" / f"{name}.md" for name in ("pyod", "sktime", "darts", "merlion")]
    found = [re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE) for page in pages]
    assert found == [found[0]] * 4


def test_defaults_are_those_of_the_signature(site):
    page = (site / "api" / "adapters" / "index.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", page)))
    rules = 'threshold (one of "auto", "quantile", "std", "pot" or float, default: '
    assert {text.count(rules + f'"{rule}"') for rule in ("auto", "quantile")} >= {1}
