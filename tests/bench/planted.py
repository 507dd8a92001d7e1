"""bench with a fault planted, to see a gate fail: ``python tests/bench/planted.py guidance run --suite mini ...``"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from t2ibench.adapters import sd15
from t2ibench.adapters.sd15 import StableDiffusion

Patch = Callable[[Any, str, Any], None]
"""As ``setattr``."""


def around(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Have ``change(original, *arguments)`` called in place of a function."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def changed(*arguments: Any, **more: Any) -> Any:
        return change(original, *arguments, **more)

    patch(owner, name, changed)


def control(patch: Patch) -> None:
    """What a control network adds to the UNet is scaled by 0.8."""

    def weaker(value: Any) -> Any:
        return [weaker(part) for part in value] if isinstance(value, list | tuple) else value * 0.8

    def predict(original: Any, self: Any, latents: Any, timestep: Any, embeddings: Any, steer: Any = None, *more: Any):
        def steers(*arguments: Any) -> Mapping[str, Any]:
            return {name: weaker(value) for name, value in steer(*arguments).items()}

        return original(self, latents, timestep, embeddings, steers if steer else None, *more)

    around(patch, StableDiffusion, "predict", predict)


def scheduler(patch: Patch) -> None:
    """The noise schedule of the sampler is linear, and that of the training was not."""

    def make(original: Any, name: str, config: Mapping[str, Any], steps: int) -> Any:
        return original(name, {**config, "beta_schedule": "linear"}, steps)

    around(patch, sd15, "make_scheduler", make)


def text(patch: Patch) -> None:
    """Text embeddings are shifted by one token, so that the first is lost and the last stands twice.

    Rotated they would make the same pictures: attention knows keys by what they hold, and not by where they stand.
    """

    def encode(original: Any, self: Any, texts: Any) -> Any:
        embeddings = original(self, texts)
        return embeddings[:, [*range(1, embeddings.shape[1]), -1]]

    around(patch, StableDiffusion, "encode_text", encode)


def decoder(patch: Patch) -> None:
    """Latents are scaled as if the decoder were that of Stable Diffusion 1.5."""

    def decode(original: Any, self: Any, latents: Any) -> Any:
        return original(self, latents * 0.18215)

    around(patch, StableDiffusion, "decode", decode)


def guidance(patch: Patch) -> None:
    """Guidance is off by one."""

    def guide(original: Any, self: Any, predicted: Any) -> Any:
        if not self.guided:
            return original(self, predicted)
        without, conditional = predicted.chunk(2)
        return original(self, predicted) + conditional - without

    around(patch, StableDiffusion, "guide", guide)


def jpeg(patch: Patch) -> None:
    """Pictures are JPEGs of quality 90, and no PNGs."""

    def compressed(picture: Any) -> Any:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=90)
        return np.asarray(Image.open(buffer).convert("RGB"))

    def decode(original: Any, self: Any, latents: Any) -> Any:
        return np.stack([compressed(picture) for picture in original(self, latents)])

    around(patch, StableDiffusion, "decode", decode)


FAULTS: Mapping[str, Callable[[Patch], None]] = {
    fault.__name__: fault for fault in (control, scheduler, text, decoder, guidance, jpeg)
}
"""Mistakes that are made, by name."""


def main() -> int:
    """Run ``bench`` with the fault that the first argument names."""
    from t2ibench.bench.cli import status

    if sys.argv[1:2] == [] or sys.argv[1] not in FAULTS:
        print(f"usage: {sys.argv[0]} {{{','.join(FAULTS)}}} run ...", file=sys.stderr)
        return 2
    FAULTS[sys.argv[1]](setattr)
    return status(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
