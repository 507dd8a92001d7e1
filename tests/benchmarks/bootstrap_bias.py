"""Why no Fréchet distance here has a bootstrap interval: its bias on features of real photos, beside the jackknife.

    python tests/benchmarks/bootstrap_bias.py PHOTOS [PHOTOS ...]

The photos are cut into random crops; a second set of crops goes through JPEG at quality 30. SqueezeNet (the backbone of
LPIPS, found as ``bench`` finds it) turns each crop into 512 pooled features. The distance between *all* crops of either
kind is the truth. Then samples are drawn again and again with replacement, and from each sample come the distance, the
bootstrap of the distance, and the jackknife: so what repeated samples do is known, and what each method says of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import frechet_distance, gaussian, moments
from t2ibench.metrics.frechet_interval import GROUPS, half_width

CROPS, SIDE, QUALITY = 5_000, 96, 30
RATIOS = (2.4, 4.9, 19.5)
"""Pictures per feature; 5,000 pictures have 2.4 over FID's 2048 features."""
SAMPLES, BOOTSTRAPPED, RESAMPLES = 30, 4, 30

Array = np.ndarray


def main(folders: list[str]) -> None:
    """Print a line for each number of pictures per feature."""
    photos = [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.suffix in (".jpg", ".png")]
    plain, packed = features(photos)
    truth = distance(plain, packed)
    print(
        f"{len(photos)} photos, {CROPS} crops of {SIDE} px a side, {plain.shape[1]} features; all crops: {truth:.4f}",
        flush=True,
    )
    print(HEAD)
    for ratio in RATIOS:
        print(line(plain, packed, ratio, truth), flush=True)


HEAD = (
    "| n/d | n | mean of samples | bias | bootstrap mean | its bias again | estimate within its 95 % "
    "| true sd | bootstrap sd | jackknife sd | jackknife 95 % holds the mean |\n" + "|---" * 11 + "|"
)


def line(plain: Array, packed: Array, ratio: float, truth: float) -> str:
    """What repeated samples of one size give, and what is said of them from one sample."""
    n, random = round(ratio * plain.shape[1]), np.random.default_rng(0)
    draws = [(draw(plain, n, random), draw(packed, n, random)) for _ in range(SAMPLES)]
    values = np.array([distance(*pair) for pair in draws])
    again = [np.array([distance(*redraw) for redraw in redraws(pair, random)]) for pair in draws[:BOOTSTRAPPED]]
    halves = np.array([half_width(*map(side, pair)) for pair in draws], float)
    inside = np.mean([low <= one <= high for one, (low, high) in zip(values, map(percentiles, again), strict=False)])
    extra = np.mean([boot.mean() - one for boot, one in zip(again, values, strict=False)])
    boot_sd, jack_sd = np.mean([boot.std() for boot in again]), halves.mean() / stdtrit(GROUPS - 1, 0.975)
    covered = np.mean(np.abs(values - values.mean()) < halves)
    return (
        f"| {ratio} | {n} | {values.mean():.4f} | {values.mean() - truth:+.4f} | {np.mean(again):.4f} | {extra:+.4f} "
        f"| {inside:.0%} | {values.std():.4f} | {boot_sd:.4f} | {jack_sd:.4f} | {covered:.0%} |"
    )


def draw(rows: Array, n: int, random: np.random.Generator) -> Array:
    return rows[random.integers(0, len(rows), n)]


def redraws(pair: tuple[Array, Array], random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    for _ in range(RESAMPLES):
        yield draw(pair[0], len(pair[0]), random), draw(pair[1], len(pair[1]), random)


def percentiles(values: Array) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return low, high


def distance(a: Array, b: Array) -> float:
    return frechet_distance(gaussian(moments(a)), gaussian(moments(b)))


def side(rows: Array) -> FeatureSet:
    return feature_set(rows)


def features(photos: list[Path]) -> tuple[Array, Array]:
    """SqueezeNet's pooled features of the crops, as they are and through JPEG, (CROPS, 512) each."""
    import torch
    from PIL import Image
    from torchvision.models import squeezenet1_1

    from t2ibench.core.weights import WeightsFinder, load_tensors
    from t2ibench.metrics.extractors.lpips import BACKBONES

    tensors = load_tensors(WeightsFinder().find(BACKBONES["squeeze"]).path)
    network = squeezenet1_1().features.eval()
    network.load_state_dict({k.removeprefix("features."): v for k, v in tensors.items() if "classifier" not in k})
    mean, deviation = (torch.tensor(of)[:, None, None] for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    random, opened = np.random.default_rng(1), [Image.open(path).convert("RGB") for path in photos]
    found: tuple[list[Array], list[Array]] = ([], [])
    with torch.inference_mode():
        for start in range(0, CROPS, 100):
            crops = [crop(opened[i % len(opened)], random) for i in range(start, start + 100)]
            for kind, rows in zip((crops, [through_jpeg(one) for one in crops]), found, strict=True):
                batch = torch.stack([torch.from_numpy(np.array(one)).permute(2, 0, 1) / 255 for one in kind])
                rows.append(network((batch - mean) / deviation).mean(dim=(2, 3)).numpy())
    return np.concatenate(found[0]), np.concatenate(found[1])


def crop(photo, random: np.random.Generator):  # type: ignore[no-untyped-def]
    """A random square of a quarter to all of the short side, half of them mirrored, resized to SIDE."""
    from PIL import ImageOps

    edge = int(min(photo.size) * random.uniform(0.25, 1))
    left, top = (random.integers(0, size - edge + 1) for size in photo.size)
    cut = photo.resize((SIDE, SIDE), box=(left, top, left + edge, top + edge))
    return ImageOps.mirror(cut) if random.random() < 0.5 else cut


def through_jpeg(picture):  # type: ignore[no-untyped-def]
    from PIL import Image

    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return Image.open(file).convert("RGB")


if __name__ == "__main__":
    main(sys.argv[1:])
