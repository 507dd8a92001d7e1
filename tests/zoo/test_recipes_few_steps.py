"""The recipes of methods with few steps: what is distilled, what each loss trains, and what the search cuts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

import t2ibench
from t2ibench.adapters.networks.efficient_unet import EfficientUNet
from t2ibench.zoo.recipes import (
    checkpoint,
    decoder,
    distill,
    efficient,
    mobile_unet,
    one_step,
    sampler,
    search,
    text_encoder,
    trajectories,
    unet,
    vae,
)

BASE = Path(t2ibench.__file__).parent / "zoo" / "mini-sd" / "unet"
EMPTY, SAID = torch.zeros(1, 4, dtype=torch.long), torch.ones(8, 4, dtype=torch.long)


@pytest.fixture(scope="module")
def text() -> CLIPTextModel:
    torch.manual_seed(0)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=8,
            hidden_size=text_encoder.WIDTH,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=4,
        )
    )


class Sure(nn.Module):
    """Predicts the velocity towards one picture, whatever it sees; another one without a caption."""

    def __init__(self, text: CLIPTextModel, picture: float, without: float, late: int = 0) -> None:
        super().__init__()
        self.text, self.picture, self.without, self.late = text, picture, without, late
        self.kept = checkpoint.noise_schedule().alphas_cumprod

    def forward(
        self, latents: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor, return_dict: bool
    ) -> tuple[torch.Tensor]:
        kept = self.kept[(timesteps - self.late).clamp(min=0)].view(-1, 1, 1, 1)
        with_caption, without = ((hidden - self.text(ids)[0]).abs().amax((1, 2)) for ids in (SAID[:1], EMPTY))
        said = with_caption < without
        picture = torch.where(said, self.picture, self.without).view(-1, 1, 1, 1)
        noise = (latents - kept.sqrt() * picture) / (1 - kept).sqrt()
        return (kept.sqrt() * noise - (1 - kept).sqrt() * picture,)


def distilled(
    text: CLIPTextModel, student: Sure, teacher: Sure, share: float = 0, scale: float = 1, steps: int = 8
) -> float:
    plan = distill.Plan("", "", steps, share=share, guidance=(scale, scale), original=0)
    both = (sampler.Predictor(text, network, EMPTY) for network in (student, teacher))
    latents = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    return distill.loss(plan, *both, latents, SAID, torch.Generator().manual_seed(0)).item()


@pytest.mark.parametrize("steps", [8, 16])
def test_a_students_steps_are_every_other_one_of_its_teachers(steps: int) -> None:
    coarse, fine = (sampler.Grid(count, torch.device("cpu")) for count in (steps, 2 * steps))
    assert torch.equal(coarse.timesteps, fine.timesteps[::2])
    assert torch.equal(coarse.signal, fine.signal[::2])
    assert coarse.timesteps[0] == 999
    assert (coarse.noise[-1] < 0.04) & (coarse.noise[-2] > 0.2)


def test_the_samplers_steps_are_those_that_were_distilled() -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(checkpoint.noise_schedule(timestep_spacing="trailing").config)
    scheduler.set_timesteps(8)
    grid = sampler.Grid(8, torch.device("cpu"))
    assert torch.equal(scheduler.timesteps, grid.timesteps)
    latents, velocity = torch.randn(2, 1, 4, 8, 8)
    for step, timestep in enumerate(scheduler.timesteps):
        moved = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        assert torch.allclose(moved, grid.move(latents, velocity, torch.tensor([step])), atol=1e-5)


def test_a_student_that_goes_where_two_steps_of_its_teacher_go_loses_nothing(text: CLIPTextModel) -> None:
    right = Sure(text, 0.5, -0.5)
    assert distilled(text, right, right) < 1e-6
    assert distilled(text, Sure(text, 0.4, -0.5), right) > 1e-3
    assert distilled(text, right, Sure(text, 0.4, -0.5)) > 1e-3
    # The timestep of the student counts.
    assert distilled(text, Sure(text, 0.5, -0.5, late=100), right) > 1e-3


def test_the_guided_loss_compares_guided_predictions(text: CLIPTextModel) -> None:
    teacher = Sure(text, 0.5, -0.5)
    unconditionally_wrong = Sure(text, 0.5, -0.3)
    assert distilled(text, unconditionally_wrong, teacher) < 1e-6
    assert distilled(text, teacher, teacher, share=1, scale=3) < 1e-5
    small = distilled(text, unconditionally_wrong, teacher, share=1, scale=2)
    large = distilled(text, unconditionally_wrong, teacher, share=1, scale=4)
    # The error of what is predicted without a caption counts as often as guidance says: (w - 1)².
    assert large == pytest.approx(9 * small, rel=1e-3)


class Bent(Sure):
    """Its picture depends on the timestep: where it goes depends on how many steps it takes."""

    def forward(
        self, latents: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor, return_dict: bool
    ) -> tuple[torch.Tensor]:
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        picture = timesteps.view(-1, 1, 1, 1) / 1000
        return (kept.sqrt() * (latents - kept.sqrt() * picture) / (1 - kept).sqrt() - (1 - kept).sqrt() * picture,)


def test_a_trajectory_is_what_the_teachers_steps_make(text: CLIPTextModel) -> None:
    noise = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    scale = torch.full((8,), 3.0)
    bent = sampler.Predictor(text, Bent(text, 0, 0), EMPTY)
    painted = {each: trajectories.paint(bent, noise, SAID, scale, steps=8, substeps=each) for each in (2, 3, 6)}
    for each, states in painted.items():
        assert states.shape == (8, 9, 4, 8, 8)
        grid, state = sampler.Grid(8 * each, torch.device("cpu")), noise
        for step in range(1, 8 * each):
            assert step % each or torch.allclose(states[:, step // each], state, atol=5e-4)
            now = torch.full((8,), step)
            state = grid.move(state, bent.guided(state, grid.timesteps[now], bent.embed(SAID), scale), now)
        assert torch.allclose(states[:, 8], state, atol=5e-4)  # timesteps are rounded
    assert not torch.allclose(painted[2][:, 8], painted[6][:, 8], atol=2e-3)


def test_a_student_of_few_steps_paints_in_just_these_from_noise_on_and_without_guidance(text: CLIPTextModel) -> None:
    noise = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    student = sampler.Predictor(text, Bent(text, 0, 0), EMPTY)
    student.guided = None  # type: ignore[assignment, method-assign]
    states = trajectories.paint(student, noise, SAID, torch.ones(8), steps=4, substeps=1)
    grid, state = sampler.Grid(4, torch.device("cpu")), noise
    for number in range(4):
        step = torch.full((8,), number)
        state = grid.move(state, student.plain(state, grid.timesteps[step], student.embed(SAID)), step)
        assert torch.allclose(states[:, number + 1], state, atol=1e-5)
    assert states.shape[1] == 5


def test_a_student_on_trajectories_is_to_go_where_they_go_at_their_scale(text: CLIPTextModel) -> None:
    plan = distill.Plan("", "", 8, share=1, substeps=2)
    teacher = sampler.Predictor(text, Sure(text, 0.5, -0.5), EMPTY)
    noise = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    scale = torch.linspace(2, 4, 8)
    grid, states = sampler.Grid(8, torch.device("cpu")), [noise]
    for step in torch.arange(8).repeat(8, 1).T:
        velocity = teacher.guided(states[-1], grid.timesteps[step], teacher.embed(SAID), scale)
        states.append(grid.move(states[-1], velocity, step))
    made = trajectories.Trajectories(torch.arange(8), scale, torch.stack(states, 1))

    def found(student: sampler.Predictor, made: trajectories.Trajectories, guided: bool = True) -> float:
        examples = distill.painted(made, SAID, torch.device("cpu"), torch.Generator().manual_seed(0))
        assert examples.step.bincount().tolist() == [distill.BATCH // 8] * 8
        return distill.told(plan, student, examples, guided=guided).loss.item()

    assert found(teacher, made) < 1e-5
    assert found(teacher, made, guided=False) > 1e-3
    assert found(sampler.Predictor(text, Sure(text, 0.5, -0.4), EMPTY), made) > 1e-3
    assert found(teacher, made._replace(scale=scale + 1)) > 1e-3


def test_trajectories_are_made_once(text: CLIPTextModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = sampler.Predictor(text, Sure(text, 0.5, -0.5), EMPTY)

    def kept(seed: int) -> trajectories.Trajectories:
        return trajectories.kept_trajectories(
            teacher, torch.tensor([0.0, 1.0]), SAID[:2], tmp_path, count=3, shape=(4, 8, 8), guidance=(2, 4),
            steps=8, substeps=2, digest="x", seed=seed,
        )  # fmt: skip

    first, again, other = kept(1), kept(1), kept(2)
    assert first.scenes.tolist() == [1, 1, 1] and first.states.shape == (3, 9, 4, 8, 8)
    assert ((first.scale >= 2) & (first.scale <= 4)).all()
    assert torch.equal(first.states, again.states) and not torch.equal(first.states, other.states)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(trajectories, "PART", 2)
    parts = kept(1)
    assert parts.states.shape == first.states.shape and len(list(tmp_path.iterdir())) == 4
    assert torch.equal(parts.states[:2, 0], kept(1).states[:2, 0])
    assert not torch.equal(parts.states[2], parts.states[0])  # each part has draws of its own


def test_a_conditioned_student_starts_as_the_unet_it_comes_from(text: CLIPTextModel) -> None:
    torch.manual_seed(0)
    plain: EfficientUNet = search.efficient(
        UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(BASE)), search.BASE
    )
    student = sampler.Predictor(text, distill.conditioned(plain), EMPTY)
    latents, timesteps = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    hidden, scale = text(SAID[:2])[0], torch.tensor([2.0, 8.0])
    with torch.no_grad():
        expected = plain(latents, timesteps, hidden)[0]
        read = student.reading(latents, timesteps, hidden, scale)
        assert torch.allclose(read, expected, atol=1e-6)
        nn.init.ones_(student.network.time_embedding.cond_proj.weight)
        assert not torch.allclose(student.reading(latents, timesteps, hidden, scale), expected)


@pytest.fixture(scope="module")
def duel(text: CLIPTextModel) -> one_step.Duel:
    torch.manual_seed(0)
    return one_step.Duel(text, mobile_unet.build())


def losses(
    duel: one_step.Duel, latents: torch.Tensor, painted: float = 0, *, first: float = 1, alone: bool = False
) -> torch.Tensor:
    ways = [torch.ones_like(latents)] * one_step.JUMPS + [torch.full_like(latents, painted)]
    return duel.loss(latents, torch.stack(ways, 1), SAID, torch.Generator().manual_seed(0), first=first, alone=alone)


def test_each_network_of_the_duel_is_trained_by_its_own_loss(
    duel: one_step.Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = torch.randn(8, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(duel.discriminator.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(2))

    def slopes() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        duel.zero_grad()
        losses(duel, latents).backward()
        return tuple(  # type: ignore[return-value]
            {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}
            for network in (duel.generator, duel.discriminator)
        )

    generator, discriminator = slopes()
    monkeypatch.setattr(one_step, "ADVERSARIAL", 10.0)
    other_generator, other_discriminator = slopes()
    assert any(not torch.equal(generator[name], other_generator[name]) for name in generator)
    assert discriminator.keys() == other_discriminator.keys()
    for name, slope in discriminator.items():
        assert torch.equal(slope, other_discriminator[name]), name


def test_the_generator_learns_where_the_way_that_it_jumps_from_leads(
    duel: one_step.Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = torch.zeros(8, 8, 8, 8)
    nearer, wronger = (losses(duel, latents, painted, alone=True).item() for painted in (0, 100))
    assert wronger > 100 * nearer
    monkeypatch.setattr(one_step, "ADVERSARIAL", 10.0)
    assert losses(duel, latents, alone=True).item() == nearer
    assert losses(duel, latents, 0, first=0, alone=True).item() != nearer  # from further on it is told the timestep


def test_the_discriminator_starts_as_the_trained_unet_that_says_nothing(text: CLIPTextModel) -> None:
    trained = mobile_unet.build()
    made = one_step.Duel(text, trained)
    ours, theirs = made.discriminator.state_dict(), trained.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if not name.startswith("conv_out"))
    assert not made.discriminator.conv_out.weight.any()
    assert made.generator is trained
    begun = mobile_unet.build()
    further = one_step.Duel(text, trained, begun)
    assert further.generator is begun
    assert all(torch.equal(further.discriminator.state_dict()[name], ours[name]) for name in ours)


@pytest.fixture(scope="module")
def whole() -> EfficientUNet:
    """The base's UNet as one whose blocks can be counted."""
    base = UNet2DConditionModel.from_pretrained(BASE).float()
    network = search.efficient(base, search.BASE)
    network.load_state_dict(base.state_dict())
    return network.eval().requires_grad_(False)


def test_a_cut_unet_is_the_whole_one_without_those_blocks(whole: EfficientUNet) -> None:
    counts, left = search.BASE, []
    for block in search.BASE.removals():
        counts = counts.with_count(block, block.count - 1)
        stage = "mid_block" if block.stage == "mid" else f"{block.stage}_blocks.{block.place}"
        left.append(f"{stage}.{block.kind}.{block.count - 1 if block.kind == 'resnets' else 0}")
    given = torch.randn(2, 4, 8, 8), 500, torch.randn(2, 32, text_encoder.WIDTH)
    with torch.inference_mode():
        full = whole(*given)[0]
        whole.skip(left)
        expected = whole(*given)[0]
        whole.skip([])
        made = search.cut(whole, counts)
        assert torch.equal(made(*given)[0], expected)
        assert not torch.equal(expected, full)
    assert sum(value.numel() for value in made.parameters()) < 0.6 * sum(value.numel() for value in whole.parameters())


def test_every_stage_keeps_what_it_needs() -> None:
    counts = search.BASE
    while removals := counts.removals():
        counts = counts.with_count(removals[0], removals[0].count - 1)
    assert counts == search.Counts((1, 1, 1), (0, 0, 0), (0,), (0,), (1, 1, 1), (0, 0, 0))


class Book:
    """A judge and a clock by a list of what each block is worth and costs."""

    WORTH = {"mid resnet": 0.01, "up1 resnet": 0.02, "down1 attention": 0.5}

    def __call__(self, network: EfficientUNet, start: int, count: int) -> float:
        present = search.Counts(
            *(
                tuple(value) if isinstance(value, (list, tuple)) else (value,)
                for value in (network.config[name] for name in search.BASE.config())
            )
        )
        return sum(self.WORTH.get(str(block), 0.1) * block.count for block in present.blocks())

    def of(self, counts: search.Counts) -> float:
        return 1 + sum(block.count for block in counts.blocks())


def test_the_search_removes_what_is_worth_least_until_it_is_fast_enough(whole: EfficientUNet) -> None:
    book = Book()
    found = search.Search(whole, book, book, target=0.9)  # type: ignore[arg-type]
    kept = {str(block): block.count for block in found.best.blocks()}
    assert book.of(found.best) <= 0.9 * book.of(search.BASE)
    assert (kept["mid resnet"], kept["up1 resnet"], kept["down1 attention"]) == (1, 1, 1)
    assert [step["change"] for step in found.steps] == ["- mid resnet", "- up1 resnet"]
    other = found.random_removal(0)
    assert book.of(other) <= book.of(found.best)
    assert other == found.random_removal(0) != found.random_removal(1)


def test_a_decoder_that_is_cut_to_its_own_width_is_the_vaes() -> None:
    torch.manual_seed(0)
    widths = (16, 16, 24, 24)
    whole = vae.build(8, widths).eval()
    task = decoder.TASKS["mobilediffusion"]._replace(widths=widths)
    same, narrow = decoder.build(task).eval(), decoder.build(task._replace(widths=(8, 8, 16, 16)))
    decoder.cut(same, whole)
    decoder.cut(narrow, whole)
    latents = torch.randn(2, 8, 4, 4)
    assert torch.equal(same(latents), whole.decode(latents).sample)
    assert torch.equal(narrow.decoder.conv_out.weight, whole.decoder.conv_out.weight[:, :8])


def test_an_efficient_unet_learns_from_the_base_alone(text: CLIPTextModel) -> None:
    base, other = (unet.TextToImage(text, Sure(text, picture, without=0.0)) for picture in (1.0, 2.0))
    latents, generator = torch.randn(8, 4, 8, 8), torch.Generator().manual_seed(0)
    assert efficient.loss(base, base, latents, SAID, generator) == 0
    assert efficient.loss(other, base, latents, SAID, generator) > 0.1
