"""Compare every stage with the authors' outputs on random weights; as a script: print the table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from vetime_plugins import VETimePipeline
from vetime_plugins.network.conversion import convert_official
from vetime_plugins.network.preparation import Prepared, collate, prepare, split

STAGES = {
    "chunk0.image": "images",
    "chunk0.vision_tokens": "vision_tokens",
    "chunk0.unfolded": "unfolded",
    "chunk0.F_TS": "F_TS",
    "chunk0.F_V": "F_V",
    "chunk0.Z_TS": "Z_TS",
    "chunk0.Z_V": "Z_V",
    "chunk0.point_embedding": "point_embedding",
}
COLUMNS = [
    "strip",
    "period",
    "chunks",
    *(name.removeprefix("chunk0.") for name in STAGES),
    "weights",
    "reconstruction",
    "logits",
    "score",
]


COMMITTED = Path(__file__).parent / "network/parity"
"""Cases that stand in the repository; the weights that they were made with stand beside the others."""


def fixtures(folder: Path) -> list[Path]:
    """Case files (`MODEL.CASE.safetensors`) in `folder`, and those that the repository holds."""
    found = [*folder.glob("*.safetensors"), *COMMITTED.glob("*.safetensors")]
    return sorted((path for path in found if path.name.count(".") == 2), key=lambda path: path.name)


@cache
def _pipeline(state: Path) -> VETimePipeline:
    with tempfile.TemporaryDirectory() as folder:
        return VETimePipeline.from_pretrained(convert_official(state, folder), device="cpu")


def differences(case: Path, folder: Path) -> Iterator[tuple[str, float]]:
    """Yield (stage, largest absolute difference) for one case with the weights in `folder`."""
    expected = load_file(case)
    pipeline = _pipeline(folder / (case.name.split(".")[0] + ".safetensors"))
    config = pipeline.config
    x, gammas = expected["x"].double().numpy(), expected["gamma"].numpy()
    (unit,) = prepare(x, config, gammas=gammas)
    if "strip" in expected:
        yield "strip", _strip_difference(unit, expected)
    yield "period", float(abs(unit.strip.period - int(expected["period"])))
    chunks = split(unit, config)
    assert len(chunks) == int(expected["chunks"])
    if "chunk_patches" in expected:
        sizes = torch.tensor([chunk.stop - chunk.start for chunk in chunks])
        yield "chunks", _largest(sizes, expected["chunk_patches"])
    with torch.inference_mode():
        outputs = [pipeline.model(collate([chunk], config)) for chunk in chunks]
    for theirs, ours in STAGES.items():
        if theirs in expected:
            yield theirs.removeprefix("chunk0."), _largest(outputs[0].stages[ours], expected[theirs])
    if "chunk0.weights_detection" in expected:
        both = torch.stack([expected["chunk0.weights_reconstruction"], expected["chunk0.weights_detection"]])
        yield "weights", _largest(outputs[0].weights.flatten(2, 3), both)
    if "reconstruction" in expected:
        reconstruction = torch.cat([output.reconstruction[0] for output in outputs], dim=1).T
        n = min(len(reconstruction), len(expected["reconstruction"]))
        yield "reconstruction", _largest(reconstruction[:n], expected["reconstruction"][:n])
    if "logits" in expected:
        logits = torch.cat([output.logits[0] for output in outputs])[: len(x)]
        yield "logits", _largest(logits, expected["logits"])
    score = pipeline.score(x, variable_gammas=gammas, readout="point")
    yield "score", _largest(torch.from_numpy(score), expected["score"])


def _strip_difference(unit: Prepared, expected: dict[str, torch.Tensor]) -> float:
    strip = torch.from_numpy(unit.strip.intensities).transpose(0, 1).int()
    pads = torch.from_numpy(unit.strip.pad_value).int()
    return max(_largest(strip, expected["strip"].int()), _largest(pads, expected["pad_value"].int()))


def _largest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).abs().max())


def table(folder: Path) -> str:
    """Return the table in Markdown."""
    lines = ["| fixture | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for case in fixtures(folder):
        found = dict(differences(case, folder))
        cells = [f"{found[c]:.1e}" if c in found else "" for c in COLUMNS]
        lines.append(f"| {case.name.removesuffix('.safetensors')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    import os

    root = Path(os.environ.get("VETIME_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    print(table(root / "parity"))
