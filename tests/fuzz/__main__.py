"""Fuzz one target, guided by coverage: ``python -m tests.fuzz TARGET CORPUS [options of libFuzzer]``.

Needs atheris. An input that breaks a promise is written to ``crash-...`` in the working folder; once the
fault is mended it goes to ``tests/fuzz/found/TARGET``, where `tests/fuzz/test_found.py` tries it ever after.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vetime_plugins", "json.decoder", "json.scanner"]):
    from tests.fuzz.targets import TARGETS, seeds


def main() -> None:
    """Write the seeds into the corpus, and hand over to libFuzzer."""
    name, corpus, *options = sys.argv[1:]
    Path(corpus).mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(seeds(name)):
        (Path(corpus) / f"seed-{number}").write_bytes(content)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)

    def call(data: bytes) -> None:
        try:
            TARGETS[name](data)
        except Exception:
            Path(f"crash-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)  # libFuzzer may not
            raise

    atheris.Setup([sys.argv[0], corpus, *options], call)
    atheris.Fuzz()


main()
