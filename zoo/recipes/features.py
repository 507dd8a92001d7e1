"""Train the mini world's feature extractor: a ResNet that tells what is in a scene; its 64 pooled features are kept.

He et al. 2016. It stands where Inception stands in FID; the number over its features is never called so.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

from ...datasets import scene_captions as grammar
from ...datasets.scene_captions import Caption, read_caption
from .data import Pool, pool
from .training import Training, options, save_half
from .vae import pixels

BATCH = 64
RATE = 2e-3
DESCRIPTION = "binary cross-entropy of the attributes that the caption tells"
SEED = 2_000

PAIRS = tuple(f"{colour} {shape}" for colour in grammar.COLOURS for shape in grammar.SHAPES)
LOOKS = (
    ("expression", grammar.EXPRESSIONS),
    ("hairstyle", grammar.HAIRSTYLES),
    ("hair", grammar.HAIR_COLOURS),
    ("gaze", grammar.GAZES),
    ("pose", grammar.POSES),
)
LABELS = (
    *PAIRS,
    *(f"{word} background" for word in grammar.BACKGROUNDS),
    *grammar.PATTERNS,
    "face",
    *(f"{name} {word}" for name, words in LOOKS for word in words),
)


def build() -> ResNetForImageClassification:
    """Return an untrained classifier."""
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=32,
            hidden_sizes=[32, 48, 64],
            depths=[1, 1, 1],
            layer_type="basic",
            num_labels=len(LABELS),
            id2label=dict(enumerate(LABELS)),
            label2id={label: number for number, label in enumerate(LABELS)},
        )
    )


def truth(caption: Caption) -> list[float]:
    """Return 1 or 0 for each of ``LABELS``, NaN where the caption leaves it open."""
    there = {f"{thing.colour} {thing.shape}" for thing in caption.objects}
    row = [float(pair in there) for pair in PAIRS]
    row += [float(word == caption.background) for word in grammar.BACKGROUNDS]
    row += [float(word == caption.pattern) for word in grammar.PATTERNS]
    row.append(float(caption.face is not None))
    for name, words in LOOKS:
        said = getattr(caption.face, name) if caption.face else ""
        row += [float("nan") if said is None else float(word == said) for word in words]
    return row


def truths(captions: list[str]) -> torch.Tensor:
    """Return the labels of captions of the grammar: (N, labels)."""
    read = [read_caption(caption) for caption in captions]
    return torch.tensor([truth(caption) for caption in read if caption is not None])


def loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the mean loss over what is known, times ten, so that it is of the size of other losses."""
    known = wanted.isfinite()
    errors = nn.functional.binary_cross_entropy_with_logits(logits, wanted.nan_to_num(), reduction="none")
    return 10 * (errors * known).sum() / known.sum()


@torch.inference_mode()
def quality(model: ResNetForImageClassification, held: Pool) -> dict[str, float]:
    """Return how many pictures have every label right."""
    wanted = truths(held.captions)
    logits = torch.cat([model(pixels(held.images[start : start + 100])).logits for start in range(0, len(held), 100)])
    known = wanted.isfinite()
    right = (logits > 0) == (wanted > 0.5)
    return {
        "every_label_right": (right | ~known).all(1).float().mean().item(),
        "labels_right": right[known].float().mean().item(),
    }


def main() -> None:
    """Train and save."""
    given = options("Train the mini feature extractor.", steps=9000)
    torch.manual_seed(SEED + given.seed)
    model = build()
    data, held = pool(given.scenes, work=given.work), pool(1000, "validation", work=given.work)
    wanted = truths(data.captions)
    recipe = {"loss": DESCRIPTION, "batch": BATCH, "scenes": len(data), "data": data.digest}
    seed = SEED + given.seed
    training = Training("features", model, recipe, steps=given.steps, rate=RATE, seed=seed, work=given.work)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(data), (BATCH,), generator=generator)
        logits = model(pixels(data.images[chosen.numpy()]).to(training.device)).logits
        return loss(logits, wanted[chosen].to(training.device))

    training.run(batch_loss)
    training.finish()
    folder = given.out / "mini-features"
    save_half(model, folder)
    measured = quality(model.cpu(), held)
    training.record(given.out, measured)
    print(f"features: {training.step} steps, {training.seconds:.0f} s, {measured}")


if __name__ == "__main__":
    main()
