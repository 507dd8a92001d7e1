"""Make the mini world's tokenizer: CLIP's byte-pair encoder with merges learned from the words of scene captions.

Each word of the grammar is one token; any other text falls apart into letters.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
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


def merges() -> list[tuple[str, str]]:
    """Return pairs of tokens to be joined, in their order, until each word is one token (Sennrich et al. 2016).

    The most frequent pair comes first; of several the first in the alphabet, so that every machine finds the same.
    """
    spelled = [(*word[:-1], f"{word[-1]}</w>") for word in words()]
    found = []
    while any(len(tokens) > 1 for tokens in spelled):
        pairs = Counter(pair for tokens in spelled for pair in pairwise(tokens))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        spelled = [_joined(tokens, best) for tokens in spelled]
    return found


def _joined(tokens: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    result: list[str] = []
    for token in tokens:
        if result and (result[-1], token) == pair:
            result[-1] += token
        else:
            result.append(token)
    return tuple(result)


def write(folder: Path) -> CLIPTokenizer:
    """Write the tokenizer's files and return it."""
    alphabet = sorted(ByteLevel.alphabet())
    joined = merges()
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *(first + second for first, second in joined)]
    vocabulary = {token: number for number, token in enumerate([*tokens, START, END])}
    write_atomic(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    write_atomic(folder / "merges.txt", "\n".join(["#version: 0.2", *map(" ".join, joined)]) + "\n")
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
