"""What the image tells: a linear probe of frozen image tokens for anomalies of whole cycles.

    python benchmarks/vision_probe.py [--pretrain 400] [--onnx FILE --output NAME] [--series 360]

Makes periodic series with one anomaly of a cycle each, folds them into images, reads those with several
encoders that are not trained further, and aligns the tokens to the timeline as VETime does. Of every kind of
token two things are measured on series that the probe was not fitted on, as average precision (x 100, mean
over series, patches of 16 steps): a logistic regression on the token, its distance to the tokens of the same
phase and that distance's square; and that distance alone, which nothing was fitted for. An ONNX encoder is
read at one of its inner values, (B, G*G, D) on images of 224 pixels that are scaled as ImageNet's.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from vetime_plugins import InputError
from vetime_plugins.network.alignment import unfold_matrix
from vetime_plugins.network.checkpoint import load_checkpoint
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import VETime
from vetime_plugins.series.imaging import FoldGeometry, fold_images, make_strip
from vetime_plugins.synthesis.inject import inject
from vetime_plugins.training.config import TrainingConfig
from vetime_plugins.training.data import SyntheticBatches
from vetime_plugins.training.stages import VisionStage

KINDS = (
    "missing_cycle", "phase", "frequency", "wrong_shape", "distortion", "amplitude",
    "swapped_cycle", "time_warp", "smoothing", "partial_loss",
)  # fmt: skip
PATCH = 16
Array = NDArray[np.float64]
Encoder = Callable[[Tensor], Tensor]
"""From images (B, 3, S, S) in 0..255 to tokens (B, G*G, D)."""
_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_SMALL, _LARGE = 112, 224


class Case:
    """A periodic series with one anomaly of a cycle, its fold, and which of its patches are anomalous."""

    def __init__(self, kind: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        period, cycles = int(rng.integers(3, 11)) * PATCH, int(rng.integers(12, 25))
        t = np.arange(period * cycles) / period
        harmonics = range(1, int(rng.integers(2, 6)))
        wave = sum(
            rng.normal() / h**0.7 * np.sin(2 * np.pi * (h * t + rng.uniform())) for h in harmonics
        ) + np.zeros(len(t))
        noisy = wave / wave.std() + rng.normal(0, rng.choice([0.02, 0.1, 0.3]), len(t))
        made = inject(noisy, kind, n=1, severity=(0.3, 1.0), period=period, seed=seed)
        self.kind, values = kind, np.asarray(made.values).reshape(len(t), 1)
        self.patches = (values[:, 0] - values.mean()).reshape(-1, PATCH) / values.std()
        self.labels = np.asarray(made.labels).reshape(-1, PATCH).max(axis=1)
        self.fold = FoldGeometry.for_period(len(self.labels), period, PATCH)
        self.strip = make_strip(values, PATCH, period=period)

    def image(self, size: int) -> Tensor:
        """Return the folded image (1, 3, size, size)."""
        strips = torch.from_numpy(self.strip.intensities)[None]
        pads = torch.from_numpy(self.strip.pad_value)[None]
        counts = torch.tensor([self.fold.n_patches]), torch.tensor([self.fold.patches_per_row])
        return fold_images(strips, pads, *counts, PATCH, size)

    def align(self, tokens: Tensor) -> Array:
        """Return tokens (1, G*G, D) on the timeline, (N, D)."""
        n, grid = self.fold.n_patches, round(tokens.shape[1] ** 0.5)
        matrix = unfold_matrix(torch.tensor([n]), torch.tensor([self.fold.patches_per_row]), 1, grid, n)
        return (matrix @ tokens)[0].double().numpy()

    def odd(self, tokens: Array) -> Array:
        """Return how far each token (N, D) lies from the usual one of its phase, (N,)."""
        folded = tokens.reshape(-1, self.fold.patches_per_row, tokens.shape[1])
        return np.linalg.norm(folded - np.median(folded, axis=0), axis=2).ravel()


def pretrained(config: VETimeConfig, steps: int) -> VETime:
    """Return a network whose image encoder rebuilt hidden blocks of synthetic folds for so many steps."""
    torch.manual_seed(0)
    model, training = VETime(config), TrainingConfig(model=config)
    stage = VisionStage(model, training)
    optimiser = torch.optim.AdamW(stage.parameters(), training.learning_rate)
    batches = SyntheticBatches(config, training.data, seed=0, stream=0, n_batches=steps)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        optimiser.zero_grad()
        loss = stage(batches[step], generator)["image"]
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            print(f"pretraining step {step}: {loss.item():.3f}", flush=True)
    return model


def blocks(images: Tensor) -> Tensor:
    """Return the pixels of blocks of 8 x 8: what an encoder starts from."""
    return torch.nn.functional.unfold(images, 8, stride=8).transpose(1, 2) / 255


def of_onnx(file: str, output: str) -> Encoder:
    """Return an ONNX encoder, read at one of its inner values."""
    import onnx
    import onnxruntime

    model = onnx.load(file)
    model.graph.output.append(onnx.ValueInfoProto(name=output))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    name = session.get_inputs()[0].name
    mean, deviation = (torch.tensor(values)[:, None, None] for values in _IMAGENET)

    def read(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run([output], {name: ((images - mean) / deviation).numpy()})[0])

    return read


def probe(train: list[tuple[Case, Array]], test: list[tuple[Case, Array]]) -> tuple[Array, Array]:
    """Return the average precision of each test series: of the fitted probe, and of the distance alone."""

    def features(case: Case, tokens: Array) -> Array:
        odd = case.odd(tokens) / (np.median(case.odd(tokens)) + 1e-9)
        return np.column_stack([tokens, np.log1p(odd), np.log1p(odd) ** 2])

    x = np.concatenate([features(case, tokens) for case, tokens in train])
    y = np.concatenate([case.labels for case, _ in train])
    width = min(64, x.shape[1] - 2)
    reduce = PCA(width, random_state=0).fit(x[:, :-2])

    def reduced(x: Array) -> Array:
        return np.column_stack([reduce.transform(x[:, :-2]), x[:, -2:]])

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(reduced(x), y)
    fitted = [
        average_precision_score(case.labels, model.decision_function(reduced(features(case, tokens))))
        for case, tokens in test
    ]
    alone = [average_precision_score(case.labels, case.odd(tokens)) for case, tokens in test]
    return np.array(fitted), np.array(alone)


def main() -> None:
    """Fit the probes and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=360, help="a third of them is measured")
    parser.add_argument("--pretrain", type=int, default=400, help="steps of masked pretraining")
    parser.add_argument("--onnx", help="another image encoder")
    parser.add_argument("--output", help="the name of its inner value")
    args = parser.parse_args()
    cases = []
    for seed in range(args.series):
        try:
            cases.append(Case(KINDS[seed % len(KINDS)], seed))
        except InputError:  # this kind cannot be seen in this series
            continue
    config = dataclasses.replace(VETimeConfig.preset("small"), retrieval=None, retrieval_channels=0)
    torch.manual_seed(0)
    encoders: dict[str, tuple[int, Encoder]] = {
        "pixels, 14 rows": (_SMALL, blocks),
        "pixels, 28 rows": (_LARGE, blocks),
        "pixels, 56 rows": (2 * _LARGE, blocks),
        "untrained": (_SMALL, VETime(config).vision),
        f"masked images, {args.pretrain} steps": (_SMALL, pretrained(config, args.pretrain).vision),
        "bundled weights": (_SMALL, load_checkpoint("small")[0].vision),
    }
    if args.onnx:
        encoders["ONNX"] = (_LARGE, of_onnx(args.onnx, args.output))
    tokens: dict[str, list[Array]] = {"steps of the timeline": [case.patches for case in cases]}
    with torch.inference_mode():
        for name, (size, encode) in encoders.items():
            tokens[name] = [case.align(encode(case.image(size)).float()) for case in cases]
    n_train = len(cases) * 2 // 3
    print(f"{n_train} series to fit, {len(cases) - n_train} to measure\n")
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, case in enumerate(cases[n_train:]):
        by_kind[case.kind].append(number)
    print("| tokens | fitted | distance alone | " + " | ".join(by_kind) + " |")
    print("|---" * (3 + len(by_kind)) + "|")
    for name, read in tokens.items():
        pairs = list(zip(cases, read, strict=True))
        fitted, alone = probe(pairs[:n_train], pairs[n_train:])
        cells = [fitted.mean(), alone.mean(), *(alone[rows].mean() for rows in by_kind.values())]
        print(f"| {name} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
