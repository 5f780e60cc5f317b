"""The scripts of the gallery run, and say what their pages say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((CHECKOUT / "docs" / "gallery").glob("*.py"))


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("make_gallery", CHECKOUT / "docs" / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_makes_its_page(script, gallery, tmp_path, monkeypatch):
    pytest.importorskip("sktime")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    page = gallery.run(script, tmp_path)
    assert page == script.with_suffix(".md").read_text(encoding="utf-8"), "run: make gallery"
    committed = {picture.name for picture in gallery.PICTURES.glob(f"{script.stem}*.png")}
    assert committed == {picture.name for picture in tmp_path.glob("*.png")}


def test_every_page_is_made_by_a_script_and_shown_on_the_first():
    folder = CHECKOUT / "docs" / "gallery"
    pages = {page.stem for page in folder.glob("*.md")} - {"index"}
    assert pages == {script.stem for script in SCRIPTS}
    first = (folder / "index.md").read_text(encoding="utf-8")
    assert all(f"({page}.md)" in first for page in pages)


def test_cells_are_read_in_order_with_their_lines(gallery, tmp_path):
    script = tmp_path / "some.py"
    script.write_text(
        "# %% [markdown]\n# # Title\n#\n# Text\n\n# %%\nx = 1\n\n# %%\nprint(x)\n", encoding="utf-8"
    )
    cells = gallery.read_cells(script)
    assert [(cell.text, cell.is_prose, cell.line) for cell in cells] == [
        ("# Title\n\nText", True, 1),
        ("x = 1", False, 6),
        ("print(x)", False, 9),
    ]
    page = gallery.run(script, tmp_path / "pictures")
    assert "```python\nprint(x)\n```\n\n```text\n1\n```" in page


def test_an_error_names_the_line_of_the_script(gallery, tmp_path):
    script = tmp_path / "some.py"
    script.write_text("# %%\nx = 1\n\n# %%\nx / 0\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as caught:
        gallery.run(script, tmp_path / "pictures")
    assert caught.traceback[-1].lineno == 4  # counted from 0
