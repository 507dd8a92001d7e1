"""Write ``zoo/README.md``: a model card for each part of the zoo, from its record in ``zoo/cards/``.

With ``--run RUN`` (a finished run of a suite with enough pictures to judge by, such as ``mini-claims``) its table goes
into ``zoo/cards/claims/`` and the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file

from ...core.files import write_atomic
from .training import ZOO, folder_digest

BARS = "▁▂▃▄▅▆▇█"


class Part(NamedTuple):
    """One training: of a folder of weights, or of what others start from and what does not ship itself."""

    folder: str
    """Where the weights are; ``""`` where they do not ship."""
    title: str
    what: str
    recipe: str
    """The recipe's module, and what it must be told."""
    name: str = ""
    """What the recipe calls its training, where that is not its module's name."""

    @property
    def record(self) -> Path:
        """The file of what its recipe wrote down."""
        return ZOO / "cards" / f"{self.name or self.recipe}.json"

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        (file,) = (ZOO / self.folder).glob("*.safetensors")
        return file


CONTROL = {
    "controlnet": ("ControlNet", "`ControlNetModel`, started from the base's encoder."),
    "t2i-adapter": ("T2I-Adapter", "`T2IAdapter`, the full kind, from scratch."),
    "plugin": ("MediaPipe's plugin", "`DiffusionPlugin`, from scratch."),
}
MAPS = {"canny": "Canny edges", "landmarks": "face landmarks", "depth": "depth"}


def _control(network: str, condition: str) -> Part:
    title, what = CONTROL[network]
    name = f"{network}-{condition}"
    return Part(f"mini-{name}", f"{title}, {MAPS[condition]}", what, f"control {network} {condition}", name)


PARTS = (
    Part(
        "mini-sd/vae",
        "VAE",
        "`AutoencoderKL`, 4 latent channels, 8 pixels per latent, no critic: the loss is the squared error, in which "
        "chroma counts more.",
        "vae",
    ),
    Part(
        "mini-sd/text_encoder",
        "Text encoder",
        "`CLIPTextModel` with a tokenizer of its own (32 tokens, each word of the grammar one of them). Pretrained to "
        "answer questions about captions; the figures are of that. The UNet's training then goes on with it.",
        "text_encoder",
    ),
    Part(
        "mini-sd/unet",
        "UNet",
        "`UNet2DConditionModel` on 8×8 latents, velocity prediction on SD's noise schedule, one caption in ten "
        "dropped for classifier-free guidance.",
        "unet",
    ),
    Part(
        "mini-clip",
        "Dual encoder",
        "`CLIPModel`, the CLIP-like score `mini_clip_score`. It shares no weights and no loss with any generator.",
        "clip",
    ),
    Part(
        "mini-features",
        "Feature extractor",
        "`ResNetForImageClassification`, 64 pooled features, for `mini_fd` and `mini_kd`.",
        "features",
    ),
    *(_control(network, condition) for condition in ("canny", "landmarks") for network in CONTROL),
    _control("plugin", "depth"),
    Part(
        "mini-lora-warm",
        "LoRA, warm light",
        "Of the UNet's attention and convolutions: scenes in warm light, of which captions say nothing. Merged into "
        "the base by "
        "`lora=zoo:mini-lora-warm`.",
        "lora",
    ),
    Part(
        "",
        "SnapFusion, robust training",
        "The base's UNet, trained on with blocks left out at random, so that the search can judge it without them.",
        "search",
    ),
    Part(
        "",
        "SnapFusion, efficient UNet",
        "What the search found, trained to predict what the base predicts.",
        "efficient",
    ),
    Part(
        "mini-snapfusion/unet",
        "SnapFusion, UNet of 8 steps",
        "`EfficientUNet`, distilled with the CFG-aware loss on trajectories of the base.",
        "distill snapfusion",
        "snapfusion",
    ),
    Part(
        "mini-snapfusion/decoder",
        "SnapFusion, decoder",
        "`LatentDecoder`, of half the channels, learned from latents that were made of captions alone.",
        "decoder snapfusion",
        "decoder-snapfusion",
    ),
    Part(
        "mini-mobilediffusion/vae",
        "MobileDiffusion, VAE",
        "`AutoencoderKL`, 8 latent channels; its own decoder is the full one.",
        "mobile_vae",
    ),
    Part(
        "mini-mobilediffusion/vae",
        "MobileDiffusion, full decoder",
        "The VAE's own, trained for longer; its encoder stays as it was.",
        "decoder mobilediffusion-full",
        "decoder-mobilediffusion-full",
    ),
    Part(
        "",
        "MobileDiffusion, Lite decoder at first",
        "`LatentDecoder`, a quarter of the full one's parameters.",
        "decoder mobilediffusion",
        "decoder-mobilediffusion",
    ),
    Part(
        "mini-mobilediffusion/decoder",
        "MobileDiffusion, Lite decoder",
        "The same, trained on from there at half the rate.",
        "decoder mobilediffusion-further",
        "decoder-mobilediffusion-further",
    ),
    Part(
        "",
        "MobileDiffusion, UNet at first",
        "`MobileUNet`, velocity prediction, from scratch; it reads the base's text encoder.",
        "mobile_unet softmax",
        "mobile_unet-softmax",
    ),
    Part(
        "mini-mobilediffusion/unet",
        "MobileDiffusion, UNet",
        "The same, trained on from there, with the averages of the optimizer begun anew.",
        "mobile_unet further",
        "mobile_unet-further",
    ),
    Part(
        "",
        "MobileDiffusion, UNet of 4 steps",
        "`MobileUNet`, distilled with the guidance baked in; it paints what the one of one step learns from.",
        "distill mobilediffusion-4",
        "mobilediffusion-4",
    ),
    Part(
        "",
        "MobileDiffusion, UNet of one step at first",
        "`MobileUNet`, fine-tuned as the generator of a DiffusionGAN.",
        "one_step own",
        "one_step-own",
    ),
    Part(
        "mini-mobilediffusion-1/unet",
        "MobileDiffusion, UNet of one step",
        "The same, trained on from there on four times as many trajectories, with a discriminator begun anew; its time "
        "embedding is folded into its biases.",
        "one_step further",
        "one_step-further",
    ),
    Part(
        "",
        "MobileDiffusion, UNet of 8 steps",
        "`MobileUNet`, distilled.",
        "distill mobilediffusion-8",
        "mobilediffusion-8",
    ),
)

INTRODUCTION = """# The zoo: trained miniatures

Small models of the mini world (`datasets/scenes.py`: drawn 64×64 pictures with captions and exact truth), in the
formats of diffusers and transformers, fp16 safetensors. They load through the same code as full-size checkpoints:
`sd15[checkpoint=zoo:mini-sd]`. **Numbers measured with them or by them say nothing of full-size models.**

`make zoo` trains them all again; `python -m t2ibench.zoo.recipes.NAME --help` one of them. A recipe that is
stopped goes on from its last checkpoint (in `zoo/.work/`), and takes the steps that it would have taken
uninterrupted. This page is written by `python -m t2ibench.zoo.recipes.cards`.
"""


def sparkline(values: list[float]) -> str:
    """Return a curve as a line of bars, lowest to highest on a logarithmic scale."""
    import math

    logs = [math.log(max(value, 1e-9)) for value in values]
    low, high = min(logs), max(logs)
    return "".join(BARS[round((value - low) / ((high - low) or 1) * (len(BARS) - 1))] for value in logs)


def card(part: Part) -> str:
    """Return the model card of a part."""
    facts = json.loads(part.record.read_text(encoding="utf-8"))
    recipe, curve = facts["recipe"], facts["loss"]
    command = f"python -m t2ibench.zoo.recipes.{part.recipe} --scenes {recipe['scenes']}"
    command += f" --seed {recipe['seed']}" if recipe["seed"] else ""
    maps = f", {recipe['maps']:,} of which have such a map" if "maps" in recipe else ""
    rows = [
        *(_weights(part) if part.folder else [("weights", "do not ship; the recipe makes them again")]),
        ("recipe", ", then ".join(f"`{command} --steps {steps}`" for steps in facts["plans"])),
        ("data", f"{recipe['scenes']:,} scenes of the train split, drawn from seed 0{maps}"),
        (
            "training",
            f"{facts['steps']:,} steps of {recipe['batch']}, AdamW, rate {recipe['rate']:g}, seed {recipe['seed']}",
        ),
        (
            "loss",
            f"{recipe['loss']}; {curve[0][1]:.3g} → {curve[-1][1]:.3g} `{sparkline([value for _, value in curve])}`",
        ),
        ("time", f"{facts['seconds']:,} s on {facts['hardware']}"),
        ("measured", ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in facts["quality"].items())),
    ]
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    note = f"**{facts['note']}**\n\n" if "note" in facts else ""
    return f"## {part.title}\n\n{part.what}\n\n{note}| | |\n|---|---|\n{table}\n"


def _weights(part: Part) -> list[tuple[str, str]]:
    file = part.weights
    parameters = sum(tensor.numel() for tensor in load_file(file).values())
    size = f"{parameters / 1e6:.2f} M parameters, {file.stat().st_size / 1e6:.1f} MB"
    return [
        ("weights", f"`zoo/{part.folder}`, {size}"),
        ("digest", f"`{folder_digest(file.parent)}` (of the tensors)"),
    ]


def search_card(told: dict[str, Any]) -> str:
    """Return what the search of SnapFusion's UNet changed and gained, from what it wrote down."""
    rows = "\n".join(
        f"| {step['change']} | {step['score_per_s']:g} | {step['ms']:g} | {step['score']:g} |" for step in told["steps"]
    )
    held, others = told["held_out"], [each["score"] for each in told["random_removals"]]
    clock, layout = told["milliseconds"], held["base's layout"]
    return (
        f"## SnapFusion, search\n\nTo {told['target']:.0%} of the base's {clock['unet']:.2f} ms (one picture with "
        f"guidance, {told['threads']} threads); the mini CLIP score is of {told['captions']['search']} captions, "
        f"{told['settings']}, without training after a change.\n\n| change | score lost per second saved | ms | score "
        f"|\n|---|---|---|---|\n{rows}\n\nOn {told['captions']['held_out']} other captions: {held['found']:.4f}, the "
        f"base's layout {layout:.4f}; {len(others)} random removals that are as fast: "
        f"{sum(others) / len(others):.4f} on average, {max(others):.4f} at most.\n"
    ).replace("%", " %")


def claims_from(run: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says of a run."""
    return {
        "suite": run["suite"],
        "rows": [
            {
                "method": result["method"],
                "n": result["n"],
                "settings": {key: result["settings"].get(key) for key in ("scheduler", "steps", "guidance")},
                "metrics": {
                    name: {key: metric.get(key) for key in ("value", "interval", "identity")}
                    for name, metric in result["metrics"].items()
                },
            }
            for result in run["results"]
        ],
    }


def claims_table(claims: dict[str, Any]) -> str:
    """Return the table of measured quality."""
    rows = claims["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    lines = [f"| method | n | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for row in rows:
        cells = []
        for name in names:
            metric = row["metrics"].get(name) or {}
            value, interval = metric.get("value"), metric.get("interval")
            text = "" if value is None else f"{value:.4g}"
            cells.append(text + (f" [{interval[0]:.4g}, {interval[1]:.4g}]" if text and interval else ""))
        lines.append(f"| `{row['method']}` | {row['n']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for file in sorted((ZOO / "cards" / "claims").glob("*.json")):
        parts.append(
            f"## Measured: `bench run --suite {file.stem}`\n\nHeld-out captions, with 95 % intervals where there are "
            "any. `mini_fd_excess`: the Fréchet distance less that between two disjoint real sets.\n\n"
            f"{claims_table(json.loads(file.read_text(encoding='utf-8')))}\n"
        )
    parts += [card(part) for part in PARTS if part.record.is_file()]
    search = ZOO / "cards" / "search-steps.json"
    if search.is_file():
        parts.append(search_card(json.loads(search.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Write zoo/README.md.")
    parser.add_argument("--run", type=Path, action="append", default=[], help="a finished run, such as of mini-claims")
    for folder in parser.parse_args().run:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        name = run["suite"]["name"]
        write_atomic(ZOO / "cards" / "claims" / f"{name}.json", json.dumps(claims_from(run), indent=1) + "\n")
    write_atomic(ZOO / "README.md", page())


if __name__ == "__main__":
    main()
