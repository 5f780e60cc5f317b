"""Every example in the documentation and in docstrings runs, as does every script in `examples/`."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
from collections import Counter
from pathlib import Path

import pytest

from tests.docs_examples import code_blocks, run_page, runnable

CHECKOUT = Path(__file__).resolve().parents[1]
FRAMEWORKS = {"pyod": "pyod", "adengine": "pyod", "sktime": "sktime", "darts": "darts", "merlion": "merlion"}
GALLERY = CHECKOUT / "docs" / "gallery"  # tests/test_gallery.py runs its scripts
PAGES = [
    page for page in sorted((CHECKOUT / "docs").rglob("*.md")) if page.parent != GALLERY and runnable(page)
]
SCRIPTS = sorted((CHECKOUT / "examples").glob("*.py"))
SOURCES = {"vetime_plugins": CHECKOUT / "vetime_plugins", "vetime_plugins.adapters": CHECKOUT / "adapters"}


def public(file: Path, folder: Path) -> tuple[str, ...]:
    """Return the module of a file below `folder`; an adapter in a private file says it is public."""
    twin = file.with_name(file.stem.removeprefix("_").split("_")[0] + ".py")
    home = twin if folder.name == "adapters" and twin.exists() else file
    return home.relative_to(folder).with_suffix("").parts


MODULES: Counter[str] = Counter()
"""Each module with the number of its examples."""
for package, folder in SOURCES.items():
    for file in sorted(folder.rglob("*.py")):
        if found := len(re.findall(r"^ *>>> ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)):
            MODULES[".".join((package, *public(file, folder))).removesuffix(".__init__")] += found

# Frameworks warn about themselves; what our code warns about is for the tests of our code.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")


def need_framework_of(name: str) -> None:
    for start, framework in FRAMEWORKS.items():
        if name.startswith(start):
            pytest.importorskip(framework)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT / "docs").as_posix())
def test_examples_of_a_page(page):
    need_framework_of(page.stem)
    run_page(page)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_example_script(script, monkeypatch):
    need_framework_of(script.stem)
    monkeypatch.setattr("sys.argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    need_framework_of(name.removeprefix("vetime_plugins.adapters."))
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result == doctest.TestResults(failed=0, attempted=MODULES[name])


PAGE = """
# A page

```python
answer = 40
```

1. In a list:

    ```python title="more.py"
    def more():
        return answer + 2
    ```

    ```pycon
    >>> more()
    42
    >>> seen = True
    ```

```bash
exit 1
```

<!-- not run: needs a GPU -->
```python
raise SystemError
```

~~~~python
text = '''
```
'''
assert seen
~~~~
"""


def test_the_extractor_runs_what_a_reader_would_copy(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    blocks = code_blocks(PAGE)
    assert [block.language for block in blocks] == ["python", "python", "pycon", "bash", "python", "python"]
    assert [block.not_run for block in blocks] == [None, None, None, None, "needs a GPU", None]
    assert all(PAGE.splitlines()[b.line - 1].strip() == b.source.splitlines()[0].strip() for b in blocks)
    namespace = run_page(page)
    assert namespace["seen"] is True
    assert namespace["text"] == "\n```\n"


def test_the_extractor_reports_what_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\ny = 2\nx / 0\n```\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page)
    assert caught.traceback[-1].lineno == 6  # counted from 0
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="Expected:\n    3\nGot:\n    2"):
        run_page(page)
    page.write_text("```python\nx = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 1 is never closed"):
        run_page(page)
