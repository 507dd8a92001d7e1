"""What a method is asked for: one picture, and what it is to be made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError


@dataclass(frozen=True)
class Pixels:
    """A picture or a mask that is read when it is needed; two are equal where their digests are.

    ``read`` returns a picture as uint8 (H, W, 3), RGB, a mask as bool (H, W).
    """

    digest: str
    """Changes with all that decides the pixels."""
    read: Callable[[], NDArray[Any]] = field(compare=False, repr=False)

    @classmethod
    def of(cls, array: NDArray[Any]) -> Pixels:
        """Return pixels that are at hand."""
        content = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return cls(content.hexdigest()[:32], lambda: array)


@dataclass(frozen=True)
class ConditionMap:
    """A picture that control methods keep to, and what it is of: ``canny``, ``depth``, ``landmarks``, ``pose``."""

    kind: str
    picture: Pixels


@dataclass(frozen=True)
class Region:
    """A part of the picture with a prompt of its own."""

    prompt: str
    mask: Pixels
    """True inside; of the picture's height and width."""


@dataclass(frozen=True)
class Request:
    """One picture to make; all that decides how it looks, beside the method itself.

    ``prompt_id``, ``sample`` (0 for the first picture of a prompt) and ``seed``, the suite's, key every random draw.
    ``height`` and ``width`` are in pixels. ``regions`` are laid over the ``background``, else over the ``prompt``;
    ``source`` is the picture to edit, of the same size, ``prompt`` then says what it is to become.
    """

    prompt_id: str
    prompt: str
    negative_prompt: str = ""
    seed: int = 0
    sample: int = 0
    height: int = 512
    width: int = 512
    conditions: tuple[ConditionMap, ...] = ()
    regions: tuple[Region, ...] = ()
    background: str | None = None
    """The prompt of where no region is; None where that of the whole picture serves."""
    source: Pixels | None = None
    source_prompt: str = ""
    """What the source shows, for methods that use it."""
    dataset: str = ""
    """Whose prompt it is; changes nothing of the picture."""

    @property
    def background_prompt(self) -> str:
        """The prompt of where no region is."""
        return self.prompt if self.background is None else self.background

    def condition(self, kind: str) -> NDArray[np.uint8]:
        """Return the condition map of a kind: uint8 (H, W, 3); BenchError where there is none or of another size."""
        for given in self.conditions:
            if given.kind == kind:
                return self._of_own_size(given.picture.read(), f"{kind} condition")
        given_kinds = ", ".join(each.kind for each in self.conditions) or "none"
        raise BenchError(f"prompt '{self.prompt_id}' has no {kind} condition (conditions: {given_kinds})")

    def source_picture(self) -> NDArray[np.uint8]:
        """Return the picture to edit: uint8 (H, W, 3); BenchError where there is none or of another size."""
        if self.source is None:
            raise BenchError(f"prompt '{self.prompt_id}' has no source picture to edit")
        return self._of_own_size(self.source.read(), "source picture")

    def _of_own_size(self, pixels: NDArray[np.uint8], what: str) -> NDArray[np.uint8]:
        if pixels.shape != (self.height, self.width, 3):
            size = "×".join(map(str, pixels.shape[1::-1]))
            raise BenchError(
                f"the {what} of prompt '{self.prompt_id}' is {size}, the picture {self.width}×{self.height}"
            )
        return pixels

    def identity(self) -> dict[str, Any]:
        """Return all that decides the picture, as JSON can hold it."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, tuple | Pixels)}
        del plain["dataset"]
        if self.background is None:  # pictures made before there were any are still these
            del plain["background"]
        return plain | {
            "conditions": [[each.kind, each.picture.digest] for each in self.conditions],
            "regions": [[each.prompt, each.mask.digest] for each in self.regions],
            "source": self.source and self.source.digest,
        }
