"""What a method is asked for: one picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One picture to make; all that decides how it looks, beside the method itself.

    ``prompt_id``, ``sample`` (0 for the first picture of a prompt) and ``seed``, the suite's, key every random draw.
    ``height`` and ``width`` are in pixels.
    """

    prompt_id: str
    prompt: str
    negative_prompt: str = ""
    seed: int = 0
    sample: int = 0
    height: int = 512
    width: int = 512
