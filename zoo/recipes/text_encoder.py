"""Pretrain the mini text encoder: CLIP's text transformer, taught to say from its last token what a caption says.

The UNet's recipe goes on from it and trains both together.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ...datasets import scene_captions as grammar
from ...datasets.scene_captions import Caption, read_caption
from . import tokenizer
from .data import pool
from .training import Training, options

BATCH = 128
RATE = 1e-3
WIDTH = 128
DESCRIPTION = "mean cross-entropy of 22 attributes of the caption"

OBJECT = (grammar.SHAPES, grammar.COLOURS, grammar.SIZES)
FACE = (grammar.EXPRESSIONS, grammar.HAIRSTYLES, grammar.HAIR_COLOURS, grammar.GAZES, grammar.POSES)
QUESTIONS: tuple[tuple[str, ...], ...] = (
    *OBJECT * 3,
    *(grammar.RELATIONS, ("0", "1")) * 2,
    grammar.BACKGROUNDS,
    grammar.PATTERNS,
    *FACE,
)
"""The possible answers to each question about a caption; "not said" comes before them."""


def answers(caption: Caption) -> list[int]:
    """Return the number of the answer to each of ``QUESTIONS``, 0 where the caption does not say."""
    said: list[str | None] = []
    for number in range(3):
        thing = caption.objects[number] if number < len(caption.objects) else None
        said += [thing.shape, thing.colour, thing.size] if thing else [None] * 3
    for number in range(2):
        relation = caption.relations[number] if number < len(caption.relations) else None
        said += [relation.name, str(relation.target)] if relation else [None] * 2
    face = caption.face or grammar.FaceWords()
    said += [caption.background, caption.pattern]
    said += [face.expression, face.hairstyle, face.hair, face.gaze, face.pose]
    return [possible.index(answer) + 1 if answer else 0 for possible, answer in zip(QUESTIONS, said, strict=True)]


class Reader(nn.Module):
    """The text encoder with a head that answers ``QUESTIONS``; only the encoder is kept."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, sum(len(possible) + 1 for possible in QUESTIONS))

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits of each question from tokens (B, 32)."""
        logits: torch.Tensor = self.head(self.encoder(tokens).pooler_output)
        return list(torch.split(logits, [len(possible) + 1 for possible in QUESTIONS], dim=1))


def build(words: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained text encoder for a tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.LENGTH,
            projection_dim=WIDTH,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )


def encode(words: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Return tokens (N, 32), padded as Stable Diffusion pads them."""
    tokens: torch.Tensor = words(
        captions, padding="max_length", max_length=tokenizer.LENGTH, truncation=True, return_tensors="pt"
    ).input_ids
    return tokens


def targets(captions: list[str]) -> torch.Tensor:
    """Return the answers for captions of the grammar: (N, questions)."""
    read = [read_caption(caption) for caption in captions]
    return torch.tensor([answers(caption) for caption in read if caption is not None])


def main() -> None:
    """Train; the weights stay among the checkpoints, where the UNet's recipe takes them up."""
    given = options("Pretrain the mini text encoder.", steps=1200)
    torch.manual_seed(given.seed)
    words = tokenizer.write(given.work / "tokenizer")
    reader = Reader(build(words))
    data, held = pool(given.scenes, work=given.work), pool(1000, "validation", work=given.work)
    tokens, wanted = encode(words, data.captions), targets(data.captions)
    recipe = {"loss": DESCRIPTION, "batch": BATCH, "scenes": len(data), "data": data.digest}
    training = Training("text_encoder", reader, recipe, steps=given.steps, rate=RATE, seed=given.seed, work=given.work)

    def loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(tokens), (BATCH,), generator=generator)
        logits = reader(tokens[chosen].to(training.device))
        right = wanted[chosen].to(training.device).unbind(1)
        errors = [nn.functional.cross_entropy(each, truth) for each, truth in zip(logits, right, strict=True)]
        return torch.stack(errors).mean()

    training.run(loss)
    training.finish()
    with torch.inference_mode():
        logits = reader(encode(words, held.captions).to(training.device))
        guesses = torch.stack([each.argmax(1) for each in logits], 1).cpu()
    wholly = (guesses == targets(held.captions)).all(1).float().mean().item()
    folder = given.work / "text_encoder"
    reader.encoder.save_pretrained(folder, safe_serialization=True)
    training.record(given.out, {"captions_wholly_understood": wholly})
    print(f"text encoder: {training.step} steps, {training.seconds:.0f} s, {100 * wholly:.1f} % wholly understood")


if __name__ == "__main__":
    main()
