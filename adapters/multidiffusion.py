"""MultiDiffusion: several views of one picture denoised together, fused at every step (Bar-Tal et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..core.errors import BenchError
from ..datasets.request import Request
from . import noise
from .base import Images, Settings, Stage, Traits
from .multidiffusion_options import Colour, Layout
from .multidiffusion_views import View, in_words, region_views, window_views
from .on_base import OnBase
from .options import whole
from .sd15 import StableDiffusion

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
REACH = 18
"""Latents on either side that a pixel of SD's decoder depends on (17.25), beside its attention and norms."""


class MultiDiffusion(OnBase):
    """Regions with prompts of their own, or panoramas, from a base that knows neither: any SD1.x or SD2.x checkpoint.

    Every step runs the UNet on each view and averages what it predicts by the views' weights (eq. 5). Stepping the
    average once is the same as averaging the views' steps, with any scheduler here: they are linear in the prediction,
    treat each latent alone, and where a view counts it shows the picture's own latents. Where a scheduler draws noise,
    all views of a picture share it.

    ``mode=regions``: the views are all latents with the prompt of each of the request's regions, weighted by its mask,
    and with the request's prompt of the background where no region is. For the first share ``bootstrapping`` of the
    steps, 0 to 1, a region's view shows a noised plain ``background`` outside its mask (eq. 9): ``paper`` is 0.2,
    ``code`` (the authors') 0.4. It is ``random``, drawn for each region and step, or a colour (``white``, ``#808080``).

    ``mode=words``: the base, given the words of all regions and of the background in one prompt and no masks: the
    negative control of regions.

    ``mode=panorama``: the views are windows of ``window`` pixels a side (default: what the UNet was trained on), every
    ``stride`` pixels; a picture that fits into one is the base's. With ``wrap=yes`` (or ``width``, ``height``), in each
    direction in which it does not fit, they run over the border and the decoder sees across it: the ends meet.

    ``mode=tiles``: windows side by side that know nothing of each other, the negative control of panoramas.

    ``views_per_batch`` bounds the memory: the views in one call of the UNet, each twice where guided. It decides
    nothing but the rounding of the pictures (about 1/255 in fp32), and so do the other requests of a batch.
    """

    traits = Traits(defaults=Settings("ddim", 50, 7.5), regions=True)

    def __init__(self, *, base: str = "sd15", mode: str = "regions", bootstrapping: str | None = None,
                 background: str | None = None, window: str | None = None, stride: str | None = None,
                 wrap: str | None = None, views_per_batch: str | None = None) -> None:  # fmt: skip
        super().__init__(base=base)
        if type(self.base).denoise is not StableDiffusion.denoise:
            raise BenchError(f"base={base} samples in a way of its own, in which views cannot be fused: try base=sd15")
        options = {"bootstrapping": bootstrapping, "background": background,
                   "window": window, "stride": stride, "wrap": wrap}  # fmt: skip
        self.layout = Layout.of(mode, options)
        self.views_per_batch = None if views_per_batch is None else whole("views_per_batch", views_per_batch)
        self.traits = replace(self.traits, regions=mode in ("regions", "words"))
        if self.traits.defaults == StableDiffusion.traits.defaults:  # a distilled base keeps its own few steps
            self.traits = replace(self.traits, defaults=type(self).traits.defaults)
        self._backgrounds: dict[tuple[int, int, Colour], torch.Tensor] = {}

    def load(self, device: str, dtype: str) -> None:
        super().load(device, dtype)
        if self.stride > self.window:
            stride, window = self.stride * self.factor, self.window * self.factor
            raise BenchError(f"stride={stride} leaves gaps between windows of {window} pixels: at most stride={window}")

    @cached_property
    def factor(self) -> int:
        """Pixels per latent."""
        probe = Request("", "")
        return probe.height // self.base.latent_shape(probe)[1]

    @cached_property
    def window(self) -> int:
        """Side of a window in latents."""
        if self.layout.window is not None:
            return self._in_latents("window", self.layout.window)
        trained = self.base.unet.config.get("sample_size") or 64
        return int(trained if isinstance(trained, int) else min(trained))

    @cached_property
    def stride(self) -> int:
        """Latents from one window to the next."""
        return self._in_latents("stride", self.layout.stride) if self.layout.mode == "panorama" else self.window

    def _in_latents(self, name: str, pixels: int) -> int:
        if pixels % self.factor:
            raise BenchError(f"{name}={pixels} must be a multiple of {self.factor}, the pixels of a latent")
        return pixels // self.factor

    def generate(self, requests: Sequence[Request]) -> Images:
        import torch

        if self.layout.mode == "words":
            return self.base.generate([in_words(request) for request in requests])
        with torch.inference_mode():
            if self.layout.mode == "tiles":
                return self._generate_tiles(requests)
            return self._decode(self._sample(requests))

    def views(self, request: Request) -> list[View]:
        """Return the views of a request's latents; BenchError as ``region_views``, and for an odd size."""
        if request.height % self.factor or request.width % self.factor:
            size = f"{request.width}×{request.height}"
            raise BenchError(f"prompt '{request.prompt_id}' is to be {size}: sides must be multiples of {self.factor}")
        height, width = self.base.latent_shape(request)[1:]
        if self.layout.mode == "regions":
            return region_views(request, height, width)
        return window_views(request.prompt, height, width, self.window, self.stride, self.layout.wrap)

    def _sample(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return the final latents (B, C, h, w), float32."""
        import torch

        views = self._placed(requests)
        texts = _Texts(self.base, [view.request for view in views])
        calls = [
            (chunk, texts.of([view.request for view in chunk])) for chunk in self._chunks(views, views[0].share.numel())
        ]
        latents, scheduler = self.base.noise(requests), self.base.scheduler
        start = latents / scheduler.init_noise_sigma
        for step, timestep in enumerate(scheduler.timesteps[: self.base.stop()]):
            fused = torch.zeros_like(latents)
            for chunk, embeddings in calls:
                shown = torch.stack([self._shown(view, latents, start, step) for view in chunk])
                predicted = self.base.predict(scheduler.scale_model_input(shown, timestep), timestep, embeddings)
                for view, part in zip(chunk, predicted, strict=True):
                    fused[view.owner][:, view.rows, view.columns] += view.share * part
            latents = self.base.step(requests, fused, step, latents)
        return latents

    def _placed(self, requests: Sequence[Request]) -> list[_Placed]:
        import torch

        def on_device(array: Any) -> torch.Tensor:
            return torch.from_numpy(array).to(self.device)

        return [
            _Placed(
                owner, replace(request, prompt=view.prompt), on_device(view.rows)[:, None], on_device(view.columns),
                on_device(view.share), None if view.inside is None else on_device(view.inside), view.region,
            )
            for owner, request in enumerate(requests)
            for view in self.views(request)
        ]  # fmt: skip

    def _chunks(self, items: Sequence[T], latents: int) -> list[Sequence[T]]:
        """Cut views of so many latents each into what goes into one call of the UNet."""
        size = self.views_per_batch or default_views(latents, self.device.type)
        return [items[start : start + size] for start in range(0, len(items), size)]

    def _shown(self, view: _Placed, latents: torch.Tensor, start: torch.Tensor, step: int) -> torch.Tensor:
        """Return what a view shows of the picture's latents at a step, (C, h, w): F_i of eq. 3, and of eq. 9.

        ``start`` is the noise that the pictures start from, which backgrounds are noised with, as the authors do.
        """
        import torch

        crop = latents[view.owner][:, view.rows, view.columns]
        scheduler = self.base.scheduler
        if view.inside is None or step / len(scheduler.timesteps) >= self.layout.bootstrapping:
            return crop
        background, timestep = self._background(view, step), scheduler.timesteps[step : step + 1]
        noised = scheduler.add_noise(background[None], start[view.owner][None], timestep)[0]
        return torch.where(view.inside, crop, noised)

    def _background(self, view: _Placed, step: int) -> torch.Tensor:
        key = noise.key(view.request, f"background of region {view.region}", step)
        colour = self.layout.colours[np.random.Generator(np.random.Philox(key=key)).integers(len(self.layout.colours))]
        size = view.request.height, view.request.width
        if (*size, colour) not in self._backgrounds:
            plain = np.full((1, *size, 3), colour, np.uint8)
            self._backgrounds[*size, colour] = self.base.encode(plain)[0]
        return self._backgrounds[*size, colour]

    def _decode(self, latents: torch.Tensor) -> Images:
        """Return pictures; where windows ran over a border, the decoder sees what lies beyond."""
        import torch

        sides, pads = latents.shape[2:], self._pads(*latents.shape[2:])
        for axis, (side, pad) in enumerate(zip(sides, pads, strict=True), start=2):
            around = torch.arange(-pad, side + pad, device=latents.device) % side
            latents = latents.index_select(axis, around) if pad else latents
        rows, columns = (
            slice(pad * self.factor, (pad + side) * self.factor) for side, pad in zip(sides, pads, strict=True)
        )
        return np.ascontiguousarray(self.base.decode(latents)[:, rows, columns])

    def _pads(self, height: int, width: int) -> tuple[int, int]:
        vertical, horizontal = self.layout.wrap
        return REACH * (vertical and height > self.window), REACH * (horizontal and width > self.window)

    def _tile(self, request: Request) -> Request:
        side = self.window * self.factor
        return replace(request, height=min(request.height, side), width=min(request.width, side))

    def _tiles(self, request: Request) -> list[Request]:
        """Return a request per tile, row by row, each with noise of its own."""
        tile = self._tile(request)
        if request.height % tile.height or request.width % tile.width:
            raise BenchError(
                f"prompt '{request.prompt_id}' is to be {request.width}×{request.height}, which tiles of "
                f"{tile.width}×{tile.height} do not fill: choose another window="
            )
        count = (request.height // tile.height) * (request.width // tile.width)
        return [replace(tile, prompt_id=f"{request.prompt_id} tile {index}") for index in range(count)]

    def _generate_tiles(self, requests: Sequence[Request]) -> Images:
        tiles = [tile for request in requests for tile in self._tiles(request)]
        texts = _Texts(self.base, tiles)
        _, height, width = self.base.latent_shape(tiles[0])
        pictures = np.concatenate(
            [
                self.base.decode(self.base.denoise(chunk, texts.of(chunk)))
                for chunk in self._chunks(tiles, height * width)
            ]
        )
        across, tile = requests[0].width // tiles[0].width, pictures.shape[1:]
        grid = pictures.reshape(len(requests), -1, across, *tile)
        return grid.swapaxes(2, 3).reshape(len(requests), requests[0].height, requests[0].width, 3)

    def noise_digest(self, request: Request) -> str | None:
        if self.layout.mode != "tiles":
            return super().noise_digest(request)
        drawn = [noise.normal(tile, self.base.latent_shape(tile)) for tile in self._tiles(request)]
        return noise.digest(np.stack(drawn))

    def notes(self, request: Request) -> list[str]:
        if self.layout.mode == "words":
            return self.base.notes(in_words(request))
        prompts = dict.fromkeys([request.background_prompt, *(region.prompt for region in request.regions)])
        return [note for prompt in prompts for note in self.base.notes(replace(request, prompt=prompt))]

    def stages(self) -> dict[str, Stage]:
        # No encoder: backgrounds are encoded once for all pictures.
        stages = self.base.stages()
        if self.layout.mode == "words":
            return stages
        tiles = self.layout.mode == "tiles"
        return stages | {
            "text_encoder": stages["text_encoder"]._replace(views=self._prompts),
            "unet": _per_view(stages["unet"], self._of_view, self._count),
            "decoder": _per_view(
                stages["decoder"], self._of_view if tiles else self._padded, self._count if tiles else lambda request: 1
            ),
        }

    def _prompts(self, request: Request) -> int:
        return len({view.prompt for view in self.views(request)}) if self.layout.mode == "regions" else 1

    def _count(self, request: Request) -> int:
        return len(self._tiles(request) if self.layout.mode == "tiles" else self.views(request))

    def _of_view(self, request: Request) -> Request:
        return request if self.layout.mode == "regions" else self._tile(request)

    def _padded(self, request: Request) -> Request:
        rows, columns = self._pads(*self.base.latent_shape(request)[1:])
        return replace(
            request, height=request.height + 2 * rows * self.factor, width=request.width + 2 * columns * self.factor
        )


class _Placed(NamedTuple):
    """A view of one picture of a batch, its parts on the device."""

    owner: int
    """The picture's place in the batch."""
    request: Request
    """With the view's own prompt."""
    rows: torch.Tensor
    columns: torch.Tensor
    share: torch.Tensor
    inside: torch.Tensor | None
    region: int


class _Texts:
    """Text embeddings of many requests, each text encoded once."""

    def __init__(self, base: StableDiffusion, requests: Sequence[Request]) -> None:
        distinct = {(request.prompt, request.negative_prompt): request for request in requests}
        self.places = {texts: place for place, texts in enumerate(distinct)}
        embeddings = base.embed(list(distinct.values()))
        self.embeddings = embeddings.view(-1, len(distinct), *embeddings.shape[1:])

    def of(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return the embeddings of some of the requests, as the base's ``embed`` would."""
        places = [self.places[request.prompt, request.negative_prompt] for request in requests]
        chosen: torch.Tensor = self.embeddings[:, places]
        return chosen.flatten(0, 1)


def default_views(latents: int, device: str) -> int:
    """Return how many views of so many latents each go into one call of the UNet.

    As many as take the memory of four (CPU) or sixteen (accelerator) of 64 × 64 latents; at most 32 or 128.
    """
    at_64, most = (4, 32) if device == "cpu" else (16, 128)
    return max(1, min(most, at_64 * 64 * 64 // latents))


def _per_view(stage: Stage, of_view: Callable[[Request], Request], count: Callable[[Request], int]) -> Stage:
    return stage._replace(inputs=lambda request, device: stage.inputs(of_view(request), device), views=count)
