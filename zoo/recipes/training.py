"""One training run of the zoo: seeded, logged, resumable at any step, the same whether it was interrupted or not."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn
from tqdm import tqdm

from ...core.files import replacing, write_atomic
from ...core.weights import tensors_digest

ZOO = Path(__file__).resolve().parent.parent
WORK = ZOO / ".work"
"""Checkpoints and drawn scenes; not in the repository."""
SAVE_SECONDS = 120.0
LOG_STEPS = 20

Loss = Callable[[torch.Generator], torch.Tensor]


class Training:
    """Optimise a model, keep an exponential moving average of its weights, and write checkpoints to disk.

    The learning rate warms up linearly and falls to zero on a cosine over the last ``cooldown`` of the steps (Hägele
    et al. 2024; 1 is the usual cosine). Before that no step depends on how many there are in all, and the checkpoint of
    that point is kept as ``stable.pt``: in place of ``checkpoint.pt`` it can be trained for longer. The draws of step k
    come from a generator seeded by (seed, k), so that a resumed run takes the steps of an uninterrupted one.

    ``factors`` are what the rate is multiplied by for the parameters whose names begin so.

    ``recipe`` holds whatever else decides the weights: batch, data, digests of what the run starts from. A checkpoint
    of another recipe is refused. One of another number of steps is gone on with, and the numbers are kept in ``plans``.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        recipe: Mapping[str, Any],
        *,
        steps: int,
        rate: float,
        warmup: int = 100,
        decay: float = 0.01,
        average: float = 0.0,
        cooldown: float = 1.0,
        factors: Mapping[str, float] | None = None,
        seed: int = 0,
        work: Path = WORK,
    ) -> None:
        self.name, self.steps, self.rate, self.warmup, self.average = name, steps, rate, warmup, average
        self.cooldown, self.seed, self.folder = cooldown, seed, work / name
        self.recipe: dict[str, Any] = {"rate": rate, "warmup": warmup, "decay": decay, "average": average} | dict(
            recipe
        )
        self.recipe |= {"cooldown": cooldown, "seed": seed} | ({"factors": dict(factors)} if factors else {})
        self.device = Accelerator().device
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = _groups(model, factors or {})
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), weight_decay=decay)
        self.mean = {key: value.detach().clone() for key, value in model.state_dict().items()} if average else {}
        self.step, self.seconds, self.plans = 0, 0.0, [steps]
        self.curve: list[tuple[int, float]] = []
        self._resume()

    @property
    def checkpoint(self) -> Path:
        """The file that a run resumes from."""
        return self.folder / "checkpoint.pt"

    def run(self, loss: Loss, *, until: int | None = None) -> None:
        """Take the steps that are left, up to number ``until``; ``loss`` draws a batch and returns its mean loss."""
        self.model.train()
        saved = began = time.monotonic()
        before, losses = self.seconds, []
        last = min(self.steps, until or self.steps)
        for _ in (bar := tqdm(range(self.step, last), desc=self.name, initial=self.step, total=last, mininterval=5)):
            if self.step == self._falls_from(self.steps) > self.warmup:
                self.save("stable.pt")
            for group in self.optimizer.param_groups:
                group["lr"] = group.get("factor", 1.0) * self.rate * self._schedule(self.step)
            value = loss(torch.Generator().manual_seed(self.seed * 1_000_003 + self.step))
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            self._update_mean()
            losses.append(value.item())
            now = time.monotonic()
            self.seconds = before + now - began
            if self.step % LOG_STEPS == 0 or self.step == last:
                self.curve.append((self.step, sum(losses) / len(losses)))
                bar.set_postfix(loss=f"{self.curve[-1][1]:.4f}")
                losses = []
            if now - saved > SAVE_SECONDS or self.step == last:
                self.save()
                saved = now

    def finish(self) -> None:
        """Put the averaged weights, where there are any, into the model; it is for use from now on."""
        if self.average:
            self.model.load_state_dict(self.mean)
        self.model.eval()

    def _falls_from(self, steps: int) -> int:
        """The step at which the rate begins to fall in a run of so many."""
        return max(self.warmup, round((1 - self.cooldown) * steps))

    def _schedule(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        start = self._falls_from(self.steps)
        return 0.5 * (1 + math.cos(math.pi * max(0, step - start) / max(1, self.steps - start)))

    def _update_mean(self) -> None:
        keep = min(self.average, (1 + self.step) / (10 + self.step))
        values = self.model.state_dict() if self.average else {}
        for key, value in values.items():
            if value.is_floating_point():
                self.mean[key].lerp_(value.detach(), 1 - keep)
            else:
                self.mean[key].copy_(value)

    def save(self, name: str = "checkpoint.pt") -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "mean": self.mean,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "recipe": self.recipe,
            "plans": self.plans,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / name) as temporary:
            torch.save(state, temporary)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        for name in sorted(self.recipe.keys() | state["recipe"].keys()):
            before, now = state["recipe"].get(name), self.recipe.get(name)
            if before != now:
                raise SystemExit(
                    f"{self.checkpoint}: made with {name} {before}, not {now}; remove it, or name another --work"
                )
        self.model.load_state_dict(state["model"])
        self.mean = state["mean"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.curve = [(int(step), float(value)) for step, value in state["curve"]]
        *earlier, last = state["plans"]
        # A run whose rate has begun to fall cannot be made a longer one; it is a part of the history.
        kept = [last] if last != self.steps and self.step > self._falls_from(last) else []
        self.plans = [*earlier, *kept, self.steps]

    def record(self, zoo: Path, quality: Mapping[str, float], **facts: str) -> None:
        """Write how the weights came to be into the folder ``cards`` of ``zoo``, for the model card."""
        thin = math.ceil(len(self.curve) / 40)
        told = {
            "recipe": self.recipe,
            "plans": self.plans,
            "steps": self.step,
            "seconds": round(self.seconds),
            "hardware": hardware(),
            "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
            "loss": [[step, float(f"{value:.4g}")] for step, value in self.curve[thin - 1 :: thin]],
            "quality": {name: float(f"{value:.4g}") for name, value in quality.items()},
        }
        write_atomic(zoo / "cards" / f"{self.name}.json", json.dumps(told | facts, indent=1) + "\n")


def _groups(model: nn.Module, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the parameters by what the rate is multiplied by for them."""
    found: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in model.named_parameters():
        factor = next((factor for start, factor in factors.items() if name.startswith(start)), 1.0)
        found.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in found.items() if parameters]


def hardware() -> str:
    """Say what a run trains on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def save_half(model: Any, folder: Path) -> None:
    """Save a diffusers or transformers model as fp16 safetensors, without the folder that it was loaded from."""
    import copy

    copy.deepcopy(model).half().save_pretrained(folder, safe_serialization=True)
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    write_atomic(file, json.dumps(config, indent=2) + "\n")


def folder_digest(folder: Path, parts: tuple[str, ...] = ("",)) -> str:
    """Return 16 hex digits of the tensors that a folder holds, of those whose names begin with one of ``parts``."""
    (file,) = folder.glob("*.safetensors")
    return tensors_digest({name: each for name, each in load_file(file).items() if name.startswith(parts)})[:16]


def options(
    description: str, *, steps: int, scenes: int = 80_000, choices: Mapping[str, Sequence[str]] | None = None
) -> argparse.Namespace:
    """Read the options that all recipes share; weights that ship had the defaults, or what the Makefile says.

    ``choices`` are what a recipe must be told besides, in this order, and what each can be.
    """
    parser = argparse.ArgumentParser(description=description)
    for name, known in (choices or {}).items():
        parser.add_argument(name, choices=known)
    parser.add_argument("--steps", type=int, default=steps, help="steps in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=WORK, help="checkpoints; a run resumes from what lies there")
    parser.add_argument("--out", type=Path, default=ZOO, help="where the weights are saved")
    parser.add_argument("--scenes", type=int, default=scenes, help="scenes to train on (default: %(default)s)")
    return parser.parse_args()
