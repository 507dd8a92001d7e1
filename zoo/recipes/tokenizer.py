"""Make the mini world's tokenizer: CLIP's byte-pair encoder with merges learned from the words of scene captions.

Each word of the grammar is one token; any other text falls apart into letters.
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers import CLIPTokenizer

from ...core.files import write_atomic
from ...datasets import scene_captions as grammar

LENGTH = 32
"""Tokens of a prompt, begin and end included; the longest caption has 25 words."""
START, END = "<|startoftext|>", "<|endoftext|>"


def words() -> list[str]:
    """Return every word that a caption can hold."""
    nouns = "a an on and with the of face hair looking turned facing background"
    tuples = (value for value in vars(grammar).values() if isinstance(value, tuple))
    return sorted({word for phrases in (*tuples, (nouns,)) for phrase in phrases for word in phrase.split()})


def write(folder: Path) -> CLIPTokenizer:
    """Write the tokenizer's files and return it."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Whitespace
    from tokenizers.trainers import BpeTrainer

    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = Whitespace()
    alphabet = sorted(ByteLevel.alphabet())
    learner.train_from_iterator(
        words(), BpeTrainer(vocab_size=10_000, min_frequency=1, end_of_word_suffix="</w>", show_progress=False)
    )
    merges = [" ".join(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *(pair.replace(" ", "") for pair in merges)]
    vocabulary = {token: number for number, token in enumerate([*dict.fromkeys(tokens), START, END])}
    write_atomic(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    write_atomic(folder / "merges.txt", "#version: 0.2\n" + "\n".join(merges) + "\n")
    settings = {
        "model_max_length": LENGTH,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
        "tokenizer_class": "CLIPTokenizer",
    }
    write_atomic(folder / "tokenizer_config.json", json.dumps(settings, indent=1) + "\n")
    return CLIPTokenizer.from_pretrained(folder)
