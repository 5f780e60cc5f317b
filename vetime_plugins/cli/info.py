"""``vetime info``: what is installed, which weights are bundled, where they can run."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import platform
from collections.abc import Iterator
from typing import Any

from vetime_plugins import __version__
from vetime_plugins.errors import CheckpointError

DESCRIPTION = "Show the versions that matter in a bug report, the bundled weights and the usable devices."

GOLDEN_FILE = "golden.safetensors"
TOLERANCE = 2e-3  # other processors round differently, and may order two equally near neighbours differently
CORE = ("torch", "numpy", "scipy", "safetensors")
FRAMEWORKS = ("pyod", "sktime", "darts", "salesforce-merlion")
OPTIONAL = ("pandas", "pyarrow", "matplotlib", "tqdm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vetime info``."""
    parser.description = DESCRIPTION
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="also check the SHA-256 of the bundled weights and score their recorded series again",
    )


def run(args: argparse.Namespace) -> int:
    """Print what is installed."""
    facts = _facts()
    if args.verify:
        facts["verified"] = [_verify(weights["name"]) for weights in facts["weights"]]
    if args.json:
        print(json.dumps(facts))
        return 0
    print(f"vetime-plugins {facts['version']}  (Python {facts['python']}, {facts['platform']})")
    for title in ("core", "frameworks", "optional"):
        versions = (f"{name} {version or '-'}" for name, version in facts[title].items())
        print(f"{title + ':':<12}{', '.join(versions)}")
    print(f"{'devices:':<12}{', '.join(facts['devices'])}")
    for weights in facts["weights"]:
        print(
            f"{'weights:':<12}{weights['name']}  {weights['parameters']:,} parameters, "
            f"{weights['bytes']:,} bytes"
        )
        print(f"{'':<12}{weights['folder']}")
        print(f"{'':<12}{', '.join(f'{key}={value}' for key, value in weights['config'].items())}")
    for found in facts.get("verified", ()):
        print(
            f"{'verified:':<12}{found['name']}  SHA-256 {found['sha256']}\n"
            f"{'':<12}{found['series']} recorded series, scores within {found['largest_difference']:.1e}"
        )
    if not facts["weights"]:
        print(f"{'weights:':<12}none bundled")
    return 0


def _facts() -> dict[str, Any]:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{
            title: {name: _version(name) for name in names}
            for title, names in (("core", CORE), ("frameworks", FRAMEWORKS), ("optional", OPTIONAL))
        },
        "devices": _devices(),
        "weights": list(_bundled_weights()),
    }


def _version(name: str) -> str | None:
    """Return a distribution's version without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[str]:
    import torch

    found = ["cpu"]
    found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _bundled_weights() -> Iterator[dict[str, Any]]:
    from safetensors import safe_open

    from vetime_plugins.network.checkpoint import WEIGHTS_FILE, bundled_names, read_record, resolve_folder

    for name in bundled_names():
        folder = resolve_folder(name)
        with safe_open(folder / WEIGHTS_FILE, framework="numpy") as tensors:
            shapes = [tensors.get_slice(one).get_shape() for one in tensors.keys()]  # noqa: SIM118 - no mapping
        yield {
            "name": name,
            "folder": str(folder),
            "parameters": sum(math.prod(shape) for shape in shapes),
            "bytes": (folder / WEIGHTS_FILE).stat().st_size,
            **read_record(folder),
        }


def _verify(name: str) -> dict[str, Any]:
    """Load bundled weights, which checks their hash, and compare their scores with those recorded."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from vetime_plugins.network.checkpoint import CONFIG_FILE, read_record, resolve_folder
    from vetime_plugins.pipeline import VETimePipeline

    folder = resolve_folder(name)
    digest = read_record(folder).get("sha256")
    if digest is None:
        raise CheckpointError(f"{folder / CONFIG_FILE} has no SHA-256 to check; install the package again")
    pipeline = VETimePipeline.from_pretrained(name, device="cpu")
    try:
        recorded = load_file(folder / GOLDEN_FILE)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / GOLDEN_FILE} cannot be read: {error}; install it again") from error
    cases = sorted(one.removesuffix(".series") for one in recorded if one.endswith(".series"))
    differences = {
        case: float(np.abs(pipeline.score(recorded[f"{case}.series"]) - recorded[f"{case}.scores"]).max())
        for case in cases
    }
    worst = max(differences, key=differences.__getitem__)
    if differences[worst] > TOLERANCE:
        raise CheckpointError(
            f"{name} scores the recorded series {worst} otherwise, by {differences[worst]:.1e}, than when it "
            f"was recorded; up to {TOLERANCE:g} is rounding. Install the versions of constraints.txt, or "
            "report it with the output of `vetime info`"
        )
    return {
        "name": name,
        "sha256": digest,
        "series": len(cases),
        "largest_difference": differences[worst],
    }
