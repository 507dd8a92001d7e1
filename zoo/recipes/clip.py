"""Train the mini world's dual encoder, whose cosines are its CLIP-like score: contrastive, after Radford et al. 2021.

Beside the other captions of its batch each picture has a near miss to tell from its own: one word of it replaced. The
encoder shares no weights, loss or draws with any generator of the zoo.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from ...datasets import scene_captions as grammar
from ...datasets.scene_captions import Caption, FaceWords, read_caption
from ...datasets.scenes import held_out
from . import tokenizer
from .data import Pool, pool
from .text_encoder import encode
from .training import Training, options, save_half
from .vae import pixels

BATCH = 192
RATE = 1e-3
DESCRIPTION = "contrastive, with a near miss for each caption"
SEED = 1_000


def build(words: CLIPTokenizer) -> CLIPModel:
    """Return an untrained dual encoder for a tokenizer."""
    text = {
        "vocab_size": len(words),
        "hidden_size": 96,
        "intermediate_size": 288,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": tokenizer.LENGTH,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    vision = {
        "image_size": 64,
        "patch_size": 8,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def near_miss(text: str, generator: torch.Generator) -> str:
    """Return a caption that differs in one thing: an object's colour, shape, a relation, a face's look, the ground.

    It belongs to the train split if ``text`` does, so that no caption of the validation split is ever trained on.
    """
    caption = read_caption(text)
    assert caption is not None
    missed = _changed(caption, generator).text
    # Of some captions of the validation split no change is of that split, too.
    while held_out(missed) and not held_out(text):
        missed = _changed(caption, generator).text
    return missed


def _changed(caption: Caption, generator: torch.Generator) -> Caption:
    def below(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    def other(words: tuple[str, ...], *not_these: str | None) -> str:
        left = [word for word in words if word not in not_these]
        return left[below(len(left))]

    what = below(4)
    if what == 0:
        return replace(caption, background=other(grammar.BACKGROUNDS, caption.background))
    if caption.face:
        said = [name for name in _FACE if getattr(caption.face, name)]
        if not said:
            return replace(caption, background=other(grammar.BACKGROUNDS, caption.background))
        name = said[below(len(said))]
        return replace(caption, face=replace(caption.face, **{name: other(_FACE[name], getattr(caption.face, name))}))
    if what == 1 and caption.relations:
        relations = list(caption.relations)
        number = below(len(relations))
        relations[number] = replace(relations[number], name=grammar.MIRRORED[relations[number].name])
        return replace(caption, relations=tuple(relations))
    objects = list(caption.objects)
    number = below(len(objects))
    thing = objects[number]
    objects[number] = (
        replace(thing, shape=other(grammar.SHAPES, thing.shape))
        if what == 2
        else replace(thing, colour=other(grammar.COLOURS, *(each.colour for each in objects)))
    )
    return replace(caption, objects=tuple(objects))


_FACE = {
    "expression": grammar.EXPRESSIONS,
    "hairstyle": grammar.HAIRSTYLES,
    "hair": grammar.HAIR_COLOURS,
    "gaze": grammar.GAZES,
    "pose": grammar.POSES,
}
assert set(_FACE) == set(FaceWords.__dataclass_fields__)


def embed(model: CLIPModel, images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return unit embeddings of pictures and of texts."""
    seen = model.visual_projection(model.vision_model(images).pooler_output)
    read = model.text_projection(model.text_model(tokens).pooler_output)
    return nn.functional.normalize(seen, dim=1), nn.functional.normalize(read, dim=1)


def loss(model: CLIPModel, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the symmetric contrastive loss; the texts of near misses come after those of the pictures."""
    seen, read = embed(model, images, tokens)
    logits = model.logit_scale.exp().clamp(max=100) * seen @ read.T
    right = torch.arange(len(images), device=images.device)
    pictures = nn.functional.cross_entropy(logits, right)
    texts = nn.functional.cross_entropy(logits[:, : len(images)].T, right)
    return (pictures + texts) / 2


@torch.inference_mode()
def quality(model: CLIPModel, words: CLIPTokenizer, held: Pool) -> dict[str, float]:
    """Return how often the right caption wins: of 100, and against its near miss."""
    generator = torch.Generator().manual_seed(0)
    misses = [near_miss(caption, generator) for caption in held.captions]
    seen, read = embed(model, pixels(held.images), encode(words, [*held.captions, *misses]))
    right, near = read.chunk(2)
    of_100 = [
        (a @ b.T).argmax(1).eq(torch.arange(len(a))).float().mean()
        for a, b in zip(torch.split(seen, 100), torch.split(right, 100), strict=True)
    ]
    beaten = ((seen * right).sum(1) > (seen * near).sum(1)).float().mean()
    return {"right_of_100": torch.stack(of_100).mean().item(), "right_against_near_miss": beaten.item()}


def main() -> None:
    """Train and save."""
    given = options("Train the mini dual encoder.", steps=1000)
    torch.manual_seed(SEED + given.seed)
    words = tokenizer.write(given.work / "tokenizer")
    model = build(words)
    data, held = pool(given.scenes, work=given.work), pool(1000, "validation", work=given.work)
    recipe = {"loss": DESCRIPTION, "batch": BATCH, "scenes": len(data), "data": data.digest}
    seed = SEED + given.seed
    training = Training("clip", model, recipe, steps=given.steps, rate=RATE, seed=seed, work=given.work, decay=0.1)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(data), (BATCH,), generator=generator).tolist()
        captions = [data.captions[number] for number in chosen]
        tokens = encode(words, [*captions, *(near_miss(caption, generator) for caption in captions)])
        return loss(model, pixels(data.images[chosen]).to(training.device), tokens.to(training.device))

    training.run(batch_loss)
    training.finish()
    folder = given.out / "mini-clip"
    tokenizer.write(folder)
    save_half(model, folder)
    measured = quality(model.cpu(), words, held)
    training.record(given.out, measured)
    print(f"clip: {training.step} steps, {training.seconds:.0f} s, {measured}")


if __name__ == "__main__":
    main()
