"""Search SnapFusion's efficient UNet: robust training, then blocks evolve to a target latency (Li et al. 2023, alg. 1).

First the base's UNet is trained on with each block left out now and then, so that it can be judged without one. Then,
on a table of what each block costs, measured by the code of ``bench latency`` with one picture and guidance, the block
of the least loss of score per second saved is removed, until the UNet is as fast as is wanted; where that leaves room,
the block worth most per second is doubled. What is found is compared with random removals that are as fast, on other
captions.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from ...adapters import make_adapter
from ...adapters.networks.efficient_unet import EfficientUNet
from ...bench.devices import make_device
from ...bench.devices.energy import NoMeter
from ...bench.latency.worker import Worker
from ...core.files import write_atomic
from ...datasets.request import Request
from ...datasets.scenes import scenes
from ...metrics.engine import Engine
from ...metrics.extractors.base import TextExtractor
from ...metrics.setup import Setup
from . import tokenizer, unet
from .checkpoint import remade
from .distill import finish
from .training import Training, folder_digest, options

RATE = 3e-4
SKIPPED = 0.1
"""Each block is left out of so many batches."""
TARGET = 0.8
"""Of the base's latency."""
SETTINGS = "scheduler=ddim,steps=8,guidance=3"
CAPTIONS = 192
HELD_OUT = 384
RANDOM = 12
"""Random removals to compare with."""
STAGES = ("down", "mid", "up")
KINDS = ("resnets", "attentions")


@dataclass(frozen=True)
class Counts:
    """How many blocks each stage has: the part of EfficientUNet's configuration that evolves."""

    down_resnets: tuple[int, ...]
    down_attentions: tuple[int, ...]
    mid_resnets: tuple[int, ...]
    mid_attentions: tuple[int, ...]
    up_resnets: tuple[int, ...]
    up_attentions: tuple[int, ...]

    def blocks(self) -> Iterator[Block]:
        """Each stage and kind of block, with how many there are."""
        for stage in STAGES:
            for kind in KINDS:
                for place, count in enumerate(getattr(self, f"{stage}_{kind}")):
                    yield Block(stage, kind, place, count)

    def with_count(self, block: Block, count: int) -> Counts:
        """Return other counts: that of one stage and kind changed."""
        name = f"{block.stage}_{block.kind}"
        changed = list(getattr(self, name))
        changed[block.place] = count
        return Counts(**asdict(self) | {name: tuple(changed)})

    def config(self) -> dict[str, Any]:
        """Return the options of EfficientUNet."""
        return {name: value[0] if name.startswith("mid") else value for name, value in asdict(self).items()}

    def removals(self) -> list[Block]:
        """What can be removed: one block of a kind where every stage keeps a ResNet block."""
        found = []
        for block in self.blocks():
            alone = block.kind == "resnets" and block.count == 1
            held = alone and (block.stage != "mid" or self.mid_attentions[0] > 0)
            if block.count and not held:
                found.append(block)
        return found


@dataclass(frozen=True)
class Block:
    """A kind of block in a stage, and how many there are."""

    stage: str
    kind: str
    place: int
    count: int = field(compare=False)

    def __str__(self) -> str:
        return f"{self.stage}{'' if self.stage == 'mid' else self.place + 1} {self.kind.removesuffix('s')}"


BASE = Counts((1, 1, 1), (1, 1, 0), (2,), (1,), (2, 2, 2), (0, 2, 2))
"""The base's own layout."""


def efficient(base: UNet2DConditionModel, counts: Counts) -> EfficientUNet:
    """Return an untrained efficient UNet as wide as the base."""
    made: EfficientUNet = EfficientUNet(
        block_out_channels=tuple(base.config["block_out_channels"]),
        num_attention_heads=base.config["attention_head_dim"],
        cross_attention_dim=base.config["cross_attention_dim"],
        norm_num_groups=base.config["norm_num_groups"],
        sample_size=base.config["sample_size"],
        **counts.config(),
    )
    return made


def cut(whole: EfficientUNet, counts: Counts) -> EfficientUNet:
    """Return a UNet of other counts with the weights of ``whole``.

    The last ResNet blocks of a stage are left out, and the first transformers: what is left then runs in its old order
    and reads its old skip connections. A block too many is a copy of the last one.
    """
    made: EfficientUNet = remade(whole, **counts.config())
    state = made.state_dict()
    for name, value in whole.state_dict().items():
        if name in state and ".resnets." not in name and ".attentions." not in name:
            state[name] = value
    for stage, theirs in stages(made):
        ours = dict(stages(whole))[stage]
        for kind in KINDS:
            blocks, sources = getattr(theirs, kind), list(getattr(ours, kind))
            kept = sources[: len(blocks)] if kind == "resnets" else sources[max(0, len(sources) - len(blocks)) :]
            for place in range(len(blocks)):
                source = kept[min(place, len(kept) - 1)]
                for name, value in source.state_dict().items():
                    state[f"{stage}.{kind}.{place}.{name}"] = value
    made.load_state_dict(state)
    made.eval().requires_grad_(False)
    return made


def stages(network: EfficientUNet) -> list[tuple[str, Any]]:
    """Return each stage's name and module."""
    middle = [] if network.mid_block is None else [("mid_block", network.mid_block)]
    downs = [(f"down_blocks.{place}", stage) for place, stage in enumerate(network.down_blocks)]
    return [*downs, *middle, *((f"up_blocks.{place}", stage) for place, stage in enumerate(network.up_blocks))]


def robust(given: Namespace, base: UNet2DConditionModel) -> EfficientUNet:
    """Return the base's UNet, trained on with blocks left out at random."""
    network = efficient(base, BASE)
    network.load_state_dict(base.state_dict())
    folder = given.out / "mini-sd"
    batches = unet.Batches(folder / "vae", given)
    recipe = {
        "loss": f"the base's velocity prediction, each block left out of {SKIPPED:.0%} of batches",
        **batches.recipe,
        "base": folder_digest(folder / "unet"),
    }
    training = Training(
        "search", network, recipe, steps=given.steps, rate=RATE, average=0.998, seed=given.seed, work=given.work
    )
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float().requires_grad_(False)
    model = unet.TextToImage(text, network).to(training.device)
    names = network.skippable()

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        left = torch.rand(len(names), generator=generator) < SKIPPED
        network.skip([name for name, out in zip(names, left.tolist(), strict=True) if out])
        return unet.loss(model, *batches(training, generator), generator, math.inf)

    training.run(batch_loss)
    training.finish()
    network.skip([])
    training.record(given.out, {"loss": training.curve[-1][1]})
    return network


class Judge:
    """Gives a UNet its CLIP-like score on held-out captions, in the place of the base's own."""

    def __init__(self, base: Path) -> None:
        self.adapter: Any = make_adapter(f"sd15[checkpoint={base},{SETTINGS}]")
        self.adapter.load("cpu", "fp32")
        network = Engine(Setup()).network("mini-clip")
        assert isinstance(network, TextExtractor)
        network.load()
        self.clip = network

    def __call__(self, network: nn.Module, start: int, count: int) -> float:
        """Return the mean cosine of pictures and their captions, those of ``count`` scenes from number ``start``."""
        self.adapter.unet = network
        captions = [scene.caption for scene in scenes(count, "validation", start=start)]
        total = 0.0
        for first in range(0, count, 64):
            said = captions[first : first + 64]
            requests = [Request(str(first + n), text, height=64, width=64) for n, text in enumerate(said)]
            seen = self.clip.features([self.clip.prepare(picture) for picture in self.adapter.generate(requests)])
            read = self.clip.texts(said)
            cosines = (seen * read).sum(1) / np.linalg.norm(seen, axis=1) / np.linalg.norm(read, axis=1)
            total += float(cosines.sum())
        return total / count


class Clock:
    """Seconds of each kind of block at one picture with guidance, timed in turns by the code of ``bench latency``."""

    def __init__(self, whole: EfficientUNet, rounds: int = 10) -> None:
        self.whole = whole
        worker = Worker()
        worker.calls = dict(self._calls())
        worker.device, worker.meter = make_device("cpu"), NoMeter("not asked for")
        worker.last_s = dict.fromkeys(worker.calls, 0.0)
        order, taken = list(worker.calls), dict[str, list[float]]()
        for name in order:
            worker.warm(name, seconds=1)
        for turn in range(rounds):
            random.Random(turn).shuffle(order)
            for name in order:
                taken.setdefault(name, []).append(statistics.median(worker.time(name, 10, 0.05).seconds))
        self.seconds = {name: statistics.median(values) for name, values in taken.items()}

    def of(self, counts: Counts) -> float:
        """Return the seconds of a UNet: the base's, less those of the blocks that it lacks."""
        own = {block: block.count for block in counts.blocks()}
        gone = [(block, block.count - own[block]) for block in BASE.blocks()]
        return self.seconds["unet"] - sum(self.seconds[str(block)] * count for block, count in gone if count)

    def _calls(self) -> dict[str, Callable[[], None]]:
        """One call of each kind of block on inputs as they occur, and of the whole."""
        inputs: dict[nn.Module, Any] = {}
        hooks = [
            block.register_forward_hook(
                lambda module, args, kwargs, out: inputs.__setitem__(module, (args, kwargs)), with_kwargs=True
            )
            for _, stage in stages(self.whole)
            for block in (*stage.resnets, *stage.attentions)
        ]
        config = self.whole.config
        whole = (
            torch.randn(2, config["in_channels"], config["sample_size"], config["sample_size"]),
            500,
            torch.randn(2, tokenizer.LENGTH, config["cross_attention_dim"]),
        )
        with torch.inference_mode():
            self.whole(*whole)
        for hook in hooks:
            hook.remove()
        modules = dict(stages(self.whole))
        calls: dict[str, Callable[[], None]] = {"unet": _call(self.whole, (whole, {}))}
        for block in BASE.blocks():
            name = "mid_block" if block.stage == "mid" else f"{block.stage}_blocks.{block.place}"
            if found := list(getattr(modules[name], block.kind)):
                calls[str(block)] = _call(found[-1], inputs[found[-1]])
        return calls


def _call(module: nn.Module, given: tuple[Sequence[Any], dict[str, Any]]) -> Callable[[], None]:
    def call() -> None:
        with torch.inference_mode():
            module(*given[0], **given[1])

    return call


class Search:
    """Evolves the counts of blocks."""

    def __init__(self, whole: EfficientUNet, judge: Judge, clock: Clock, target: float) -> None:
        self.whole, self.judge, self.clock = whole, judge, clock
        self.target = target * clock.of(BASE)
        self.steps: list[dict[str, Any]] = []

    @cached_property
    def best(self) -> Counts:
        """What the search ends with."""
        counts, score = BASE, self._score(BASE)
        while self.clock.of(counts) > self.target:
            ranked = sorted((self._price(counts, score, block), str(block), block) for block in counts.removals())
            price, name, block = ranked[0]
            counts = counts.with_count(block, block.count - 1)
            score = self._score(counts)
            self._note(f"- {name}", price, counts, score)
        values = {block: self._price(counts, score, block) for block in counts.removals()}
        for block in sorted(values, key=lambda each: values[each], reverse=True):
            more = counts.with_count(block, block.count + 1)
            if block.kind == "attentions" and self.clock.of(more) <= self.target:
                counts, score = more, self._score(more)
                self._note(f"+ {block}", values[block], counts, score)
                break
        return counts

    def random_removal(self, seed: int) -> Counts:
        """Return counts after blocks were removed at random until the UNet was as fast."""
        draw, counts = random.Random(seed), BASE
        limit = self.clock.of(self.best)
        while self.clock.of(counts) > limit:
            block = draw.choice(counts.removals())
            counts = counts.with_count(block, block.count - 1)
        return counts

    def _price(self, counts: Counts, score: float, block: Block) -> float:
        less = counts.with_count(block, block.count - 1)
        return (score - self._score(less)) / (self.clock.of(counts) - self.clock.of(less))

    def _score(self, counts: Counts) -> float:
        return self.judge(cut(self.whole, counts), 60_000, CAPTIONS)

    def _note(self, what: str, price: float, counts: Counts, score: float) -> None:
        milliseconds = 1000 * self.clock.of(counts)
        self.steps.append({"change": what, "score_per_s": round(price, 4), "score": round(score, 4)})
        self.steps[-1] |= {"ms": round(milliseconds, 3), "counts": counts.config()}
        print(f"{what}: {milliseconds:.2f} ms, score {score:.4f}", flush=True)


def main() -> None:
    """Search and save."""
    given = options("Search an efficient UNet in the mini world.", steps=1200)
    torch.manual_seed(given.seed)
    base = UNet2DConditionModel.from_pretrained(given.out / "mini-sd" / "unet").float()
    whole = robust(given, base).eval().requires_grad_(False)
    judge, clock = Judge(given.out / "mini-sd"), Clock(whole)
    search = Search(whole, judge, clock, TARGET)
    best = cut(whole, search.best)
    finish("cut", best, given)
    held_out = {"found": judge(best, 70_000, HELD_OUT), "base's layout": judge(whole, 70_000, HELD_OUT)}
    others = [search.random_removal(seed) for seed in range(RANDOM)]
    scores = [judge(cut(whole, counts), 70_000, HELD_OUT) for counts in others]
    told = {
        "target": TARGET,
        "settings": SETTINGS,
        "threads": torch.get_num_threads(),
        "captions": {"search": CAPTIONS, "held_out": HELD_OUT},
        "milliseconds": {name: round(1000 * value, 4) for name, value in clock.seconds.items()},
        "steps": search.steps,
        "found": search.best.config(),
        "millions_of_parameters": round(sum(value.numel() for value in best.parameters()) / 1e6, 3),
        "held_out": {name: round(value, 4) for name, value in held_out.items()},
        "random_removals": [
            {"score": round(score, 4), "ms": round(1000 * clock.of(counts), 3), "counts": counts.config()}
            for counts, score in zip(others, scores, strict=True)
        ],
    }
    write_atomic(given.out / "cards" / "search-steps.json", json.dumps(told, indent=1) + "\n")
    print(f"found {held_out['found']:.4f}, random {statistics.mean(scores):.4f}, at most {max(scores):.4f}")


if __name__ == "__main__":
    main()
