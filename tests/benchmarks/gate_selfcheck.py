"""Whether `bench gate` and `bench ab` can be trusted: equal code that should pass, planted faults that should fail.

    python tests/benchmarks/gate_selfcheck.py [--gates 100] [--n 128] [--steps 20] [--only KIND,...] [--log FILE]
    python tests/benchmarks/gate_selfcheck.py --summary --log docs/gate-selfcheck.jsonl

Every gate is the gate itself (`bench.gating.gate.gate`, with its defaults, the metrics of suite mini, and drift) on two
runs of the mini world. Kinds (`--list`) are

- equal code: another number of threads, another batch size, compiled networks, bf16, all paired; another seed, which is
  not. Of 500 such gates at most 9 may fail.
- planted faults: each has to be found (exit status 1 by any row) in 95 of 100 gates.
- changes that are known to be too small or too like to be seen: no demand, for the list of what the gate cannot see.
- `bench ab` on a UNet step that takes 7 % more time, and on one that takes no more. Only that step is timed: the rest
  of a picture has no part in it.

Pictures are made in portions of one gate each, and only their features, scores and digests are kept, so the folder
stays small. Every gate is logged as it is judged, kinds taking turns, below the settings of them all, and a stopped
run goes on where it was: the log alone is enough for that. ``--summary`` counts what a log holds. No picture is in two
gates of a kind: gate g of a kind is of scenes that no other gate of that kind has, with noise of their own, so gates
of a kind are independent and the interval of their share is exact (Clopper and Pearson, Biometrika 26, 1934). The five
kinds of equal code have scenes of their own, too, so that their sum is one sample of 500. Faults share their base's
pictures with each other and with the first of those: each share is exact, and two of them are not independent of each
other. The reference is the same for all, as it is for the runs of a user: what is said holds given this reference.

The exit status is 1 where one of the demands does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from latency_selfcheck import Share, share
from PIL import Image

from t2ibench.adapters import make_adapter
from t2ibench.adapters.base import Adapter, Settings
from t2ibench.adapters.schedulers import make_scheduler
from t2ibench.bench.ab.measure import Asked, ab
from t2ibench.bench.ab.versions import find_version
from t2ibench.bench.captions import SceneReader
from t2ibench.bench.gating.gate import gate
from t2ibench.bench.gating.sides import Looker, Place, Side, Taken
from t2ibench.bench.gating.thresholds import Thresholds
from t2ibench.bench.latency.worker import Order
from t2ibench.core.errors import BenchError
from t2ibench.core.files import write_atomic
from t2ibench.core.weights import WeightsFinder
from t2ibench.datasets.request import ConditionMap, Pixels, Request
from t2ibench.datasets.scene_conditions import condition_map
from t2ibench.datasets.scene_dataset import SCENES
from t2ibench.datasets.scenes import SIZE, scene
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.extractors.base import Extractor
from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.sample import Sample
from t2ibench.metrics.setup import Setup
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.ab import AbRun
from t2ibench.reports.latency import Protocol
from t2ibench.reports.schema import Result, Run, RunSettings, SuiteInfo

SD = "sd15[checkpoint=zoo:mini-sd]"
CONTROLNET = f"controlnet[condition=canny,checkpoint=zoo:mini-controlnet-canny,base={SD},scale={{scale}}]"
METRICS = ("mini_fd", "mini_kd", "mini_clip_score", "caption_accuracy")
NETWORK = "mini-features"
FIRST_SCENE = 200_000
"""Behind all that suites and their reference show."""
REFERENCE = 1024
SLOWER = 0.07
MAY_FAIL = 9 / 500
MUST_FIND = 0.95
CHUNK = 25
"""Gates of a kind that are made and judged before the next kind has its turn."""
SETTINGS = ("n", "steps", "batch", "device", "min_seconds")
"""What gates of one log have in common."""
OTHER_SCALING = 0.13025 / 0.18215
"""SDXL's scaling factor in place of SD's."""


@dataclass(frozen=True)
class Making:
    """How the pictures of one side are made."""

    name: str
    method: str = SD
    batch_share: float = 1.0
    """Pictures in a batch, of what is asked for."""
    threads: int | None = None
    """None for as many as torch takes."""
    dtype: str = "fp32"
    compiled: bool = False
    seed: int = 0
    guidance: float = 3.0
    scheduler: str = "ddim"
    spoil: Callable[[Any], None] | None = None
    """Plants a fault in a loaded method."""
    picture: Callable[[Any], Any] | None = None
    """Plants one in its pictures, uint8 (H, W, 3)."""


@dataclass(frozen=True)
class Kind:
    """What is put before the gate."""

    name: str
    about: str
    head: Making
    base: Making = Making("base")
    block: int = 0
    """Which scenes: kinds of one block share them."""
    demand: str | None = "found"
    """``equal`` must not fail, ``found`` must, None is only looked at."""


# --- faults


def _shift_tokens(method: Any) -> None:
    # Rolled round they would be the same set, and attention sees no order beyond what is in the embeddings: so what a
    # shift does is to lose the first token and to have the last one twice.
    def shifted(requests: Sequence[Request]) -> torch.Tensor:
        embeddings = embed(requests)
        return torch.cat([embeddings[:, 1:], embeddings[:, -1:]], dim=1)

    embed, method.embed = method.embed, shifted


def _other_betas(method: Any) -> None:
    config = {**method.scheduler.config, "beta_schedule": "linear"}
    method.scheduler = make_scheduler(method.settings.scheduler, config, method.settings.steps)


def _other_scaling(method: Any) -> None:
    decode = method.decode
    method.decode = lambda latents: decode(latents / OTHER_SCALING)


def _jpeg(picture: Any) -> Any:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _brighter(picture: Any) -> Any:
    return np.clip(picture.astype(int) + 2, 0, 255).astype(np.uint8)


def _controlled(scale: float) -> Making:
    return Making(f"control-{scale:g}", CONTROLNET.format(scale=f"{scale:g}"))


def kinds() -> list[Kind]:
    """All that is gated, by the pictures."""
    now = torch.get_num_threads()
    threads = 1 if now > 1 else 2
    return [
        Kind("threads", "another number of threads", Making("threads", threads=threads), demand="equal"),
        Kind("batch", "batches a third as large", Making("batch", batch_share=1 / 3), block=1, demand="equal"),
        Kind("compile", "compiled networks", Making("compile", compiled=True), block=2, demand="equal"),
        Kind("bf16", "bf16, not fp32", Making("bf16", dtype="bf16"), block=3, demand="equal"),
        Kind("seed", "another seed (not paired)", Making("seed", seed=1), block=4, demand="equal"),
        Kind("control", "control features scaled by 0.8", _controlled(0.8), _controlled(1.0)),
        Kind("scheduler", "linear betas, not scaled linear", Making("scheduler", spoil=_other_betas)),
        Kind("tokens", "text embeddings shifted by one token", Making("tokens", spoil=_shift_tokens)),
        Kind("scaling", "SDXL's scaling factor before the decoder", Making("scaling", spoil=_other_scaling)),
        Kind("guidance", "guidance 4, not 3", Making("guidance", guidance=4.0)),
        Kind("jpeg", "JPEG at quality 90, not PNG", Making("jpeg", picture=_jpeg)),
        Kind("unseen-guidance", "guidance 3.1, not 3", Making("guidance-3.1", guidance=3.1), demand=None),
        Kind("unseen-euler", "Euler, not DDIM", Making("euler", scheduler="euler"), demand=None),
        Kind("unseen-bright", "every value brighter by 2 of 255", Making("bright", picture=_brighter), demand=None),
    ]  # fmt: skip


TIMED = {
    "slow": (SLOWER, f"bench ab: a UNet step that takes {SLOWER:.0%} more time", "found"),
    "same-speed": (0.0, "bench ab: a UNet step that takes no more", "equal"),
}


# --- pictures, in portions of a gate


class Pool:
    """Makes and keeps what gates need of pictures: ``DIR/MAKING-BLOCK/GATE.npz``."""

    def __init__(self, folder: Path, n: int, steps: int, batch: int, device: str) -> None:
        self.folder, self.n, self.steps, self.batch, self.device = folder, n, steps, batch, device
        self.engine = Engine(Setup(weights=WeightsFinder(offline=True), caption_reader=SceneReader()))
        self.seconds: list[float] = []
        self._loaded: tuple[Making, Adapter] | None = None
        self._plain: dict[tuple[int, int], Any] = {}
        """What nothing was planted in, for the faults that are planted in pictures; as much as a chunk."""

    @cached_property
    def reference(self) -> list[Sample]:
        """Drawn scenes that no caption is of."""
        files = SCENES.reference(Path(), REFERENCE)
        return [_sample(str(file), np.asarray(Image.open(file).convert("RGB"))) for file in files]

    @cached_property
    def features_of_reference(self) -> FeatureSet:
        """What distances are taken to."""
        return feature_set(np.concatenate([self._rows([one.load()]) for one in self.reference]))

    def _rows(self, pictures: Sequence[Any]) -> Any:
        network = self.engine.network(NETWORK)
        assert isinstance(network, Extractor)
        return network.features([network.prepare(picture) for picture in pictures])

    def portion(self, making: Making, block: int, index: int) -> PoolSide:
        """The pictures of one side of one gate, made unless they are there."""
        file = self.folder / f"{making.name}-{block}" / f"{index:04d}.npz"
        if not file.exists():
            write_atomic(file, self._made(making, block, index))
        with np.load(file, allow_pickle=False) as stored:
            return PoolSide(making, json.loads(str(stored["about"])), stored["features"], self)

    def _made(self, making: Making, block: int, index: int) -> bytes:
        requests = [_request(number, text, making) for number, text in self._captions(block, index).items()]
        method = self._load(making)
        pictures = self._plain.get((block, index)) if making.picture and _unspoilt(making) == Making("base") else None
        if pictures is None:
            pictures = self._generated(making, requests, method)
        if making == Making("base"):
            while len(self._plain) >= CHUNK:
                del self._plain[next(iter(self._plain))]
            self._plain[block, index] = pictures
        if making.picture:
            pictures = np.stack([making.picture(one) for one in pictures])
        return self._seen(requests, pictures, method)

    def _generated(self, making: Making, requests: Sequence[Request], method: Any) -> Any:
        size = max(1, round(self.batch * making.batch_share))
        began = time.perf_counter()
        threads = torch.get_num_threads()
        torch.set_num_threads(making.threads or threads)
        try:
            made = [_padded(method, requests[at : at + size], size) for at in range(0, self.n, size)]
        finally:
            torch.set_num_threads(threads)
        self.seconds.append((time.perf_counter() - began) / self.n)
        return np.concatenate(made)

    def _captions(self, block: int, index: int) -> dict[int, str]:
        """The scenes of a gate; kept, since finding one takes as long as making a picture."""
        start = FIRST_SCENE + 100_000 * block + index * self.n
        file = self.folder / f"captions-{block}" / f"{index:04d}.json"
        if not file.exists():
            found = [scene(number, "validation").caption for number in range(start, start + self.n)]
            write_atomic(file, json.dumps(found))
        return dict(enumerate(json.loads(file.read_text()), start))

    def _load(self, making: Making) -> Any:
        if self._loaded is None or self._loaded[0] != making:
            self._loaded = None
            method = make_adapter(making.method, Settings(making.scheduler, self.steps, making.guidance))
            method.load(self.device, making.dtype)
            if making.compiled:
                for module in {stage.module for stage in method.stages().values()}:
                    module.compile(dynamic=False)
            if making.spoil:
                making.spoil(method)
            self._loaded = making, method
        return self._loaded[1]

    def _seen(self, requests: Sequence[Request], pictures: Any, method: Adapter) -> bytes:
        samples = [
            _sample(request.prompt_id, picture, request.prompt)
            for request, picture in zip(requests, pictures, strict=True)
        ]
        values = self.engine.measure(samples, METRICS, self.reference)
        about = {
            "ids": [request.prompt_id for request in requests],
            "images": [sample.digest for sample in samples],
            "noises": [method.noise_digest(request) for request in requests],
            "values": {name: value.model_dump() for name, value in values.items()},
            "scores": {name: value.per_image for name, value in values.items()},
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, features=self._rows(pictures), about=np.array(json.dumps(about)))
        return buffer.getvalue()


class PoolSide(Side):
    """A portion as a run of the gate."""

    def __init__(self, making: Making, about: Mapping[str, Any], rows: Any, pool: Pool) -> None:
        self.name, self.pool, self.about, self.rows = making.name, pool, about, rows
        values = {name: MetricValue(**value) for name, value in about["values"].items()}
        result = Result(
            method="planted", checkpoint="zoo:mini-sd", n=pool.n, settings=RunSettings(size="64x64"), metrics=values
        )
        suite = SuiteInfo(
            name="selfcheck", version=1, kind="generate", summary="", seed=making.seed, dataset="scenes", items=pool.n,
            total=100_000,
        )  # fmt: skip
        self.run = Run(suite=suite, created="", environment={}, results=[result])

    def pictures(self, method: str) -> Mapping[Place, Taken]:
        return self._taken

    @cached_property
    def _taken(self) -> dict[Place, Taken]:
        told = zip(self.about["ids"], self.about["images"], self.about["noises"], strict=True)
        return {Place(name, 0): Taken(image, noise) for name, image, noise in told}

    def features(self, method: str, network: str, transform: str, places: Sequence[Place], looker: Looker) -> Any:
        order = {place: row for row, place in enumerate(self._taken)}
        return self.rows[[order[place] for place in places]]

    def reference(self, network: str, identity: str) -> FeatureSet | None:
        return self.pool.features_of_reference

    def scores(self, method: str, metric: str) -> dict[Place, float]:
        return {Place(name, 0): value for name, value in self.about["scores"][metric].items()}

    def _frame(self) -> Any:
        raise NotImplementedError  # scores are at hand


def _sample(name: str, picture: Any, prompt: str | None = None) -> Sample:
    picture = np.ascontiguousarray(picture)
    return Sample(name, hashlib.sha256(picture.tobytes()).hexdigest(), lambda: picture, prompt)


def _unspoilt(making: Making) -> Making:
    return replace(making, name="base", picture=None)


def _request(number: int, caption: str, making: Making) -> Request:
    conditions: tuple[ConditionMap, ...] = ()
    if making.method.startswith("controlnet"):
        conditions = (ConditionMap("canny", Pixels.of(condition_map(scene(number, "validation"), "canny"))),)
    return Request(f"{number:06d}", caption, seed=making.seed, height=SIZE, width=SIZE, conditions=conditions)


def _padded(method: Any, requests: Sequence[Request], size: int) -> Any:
    return method.generate([*requests, *[requests[-1]] * (size - len(requests))])[: len(requests)]


# --- two versions of one method, one of them slower

PLANTED = """
import time
import torch
from t2ibench.adapters.sd15 import StableDiffusion

SHARE = {share}


class Planted(StableDiffusion):
    def __init__(self):
        super().__init__(checkpoint="zoo:mini-sd")

    def load(self, device, dtype):
        super().load(device, dtype)
        forward = self.unet.forward

        def slowed(*arguments, **named):
            start = time.perf_counter()
            found = forward(*arguments, **named)
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            end = start + (1 + SHARE) * (time.perf_counter() - start)
            while time.perf_counter() < end:
                pass
            return found

        self.unet.forward = slowed

    def stages(self):
        return {{"unet": super().stages()["unet"]}}
"""


def timed(name: str, index: int, folder: Path, device: str, seconds: float) -> AbRun:
    """One `bench ab` on two folders of code."""
    versions = []
    for side, given in (("base", 0.0), ("head", TIMED[name][0])):
        code = folder / "code" / f"{name}-{side}"
        write_atomic(code / "planted.py", PLANTED.format(share=given))
        versions.append(find_version(side, str(code)))
    protocol = Protocol(min_seconds=seconds, seed=index, end_to_end=False, width=SIZE, height=SIZE)
    order = Order(method="planted:Planted", device=device, dtype="fp32", width=SIZE, height=SIZE, end_to_end=False)
    return ab(Asked((versions[0], versions[1]), [order], protocol), lambda text: None)


# --- gates


class Record(NamedTuple):
    """What one gate found."""

    kind: str
    gate: int
    verdict: str
    failed: list[str]
    """The rows that failed."""
    open: list[str]
    """Those that could not be measured."""


class Log:
    """The settings of all gates, and one line for each gate, written as it is judged."""

    def __init__(self, file: Path) -> None:
        self.file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self.records = {(record.kind, record.gate): record for record in map(_record, lines[1:]) if record}
        self.settings: dict[str, Any] | None = json.loads(lines[0]) if lines else None

    def begin(self, settings: dict[str, Any]) -> None:
        """Write the settings; SystemExit where the log is of others."""
        if self.settings not in (None, settings):
            raise SystemExit(f"'{self.file}' holds gates of {self.settings}: name another --log")
        if self.settings is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(settings) + "\n", encoding="utf-8")
            self.settings = settings

    def add(self, record: Record) -> None:
        """Keep what a gate found."""
        self.records[record.kind, record.gate] = record
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record._asdict()) + "\n")

    def of(self, kind: str, gates: int) -> list[Record]:
        """The first gates of a kind."""
        return [record for (name, index), record in self.records.items() if name == kind and index < gates]


def _record(line: str) -> Record | None:
    try:
        return Record(**json.loads(line))
    except (ValueError, TypeError):  # half a line of a run that was killed
        return None


def judged(kind: Kind, index: int, pool: Pool, looker: Looker) -> Record:
    """One gate on pictures."""
    base, head = (pool.portion(making, kind.block, index) for making in (kind.base, kind.head))
    found = gate(base, head, Thresholds(), looker)
    return Record(kind.name, index, str(found.verdict), *(_rows(found.rows, verdict) for verdict in _TOLD))


def raced(name: str, index: int, given: argparse.Namespace) -> Record:
    """One `bench ab`."""
    found = timed(name, index, given.out, given.device, given.min_seconds)
    if found.failed:
        raise BenchError(found.failed[0].reason)
    return Record(name, index, found.verdict, *(_rows(found.rows, verdict) for verdict in _TOLD))


_TOLD = ("fail", "could-not-measure")


def _rows(rows: Sequence[Any], verdict: str) -> list[str]:
    return [getattr(row, "metric", None) or row.what for row in rows if row.verdict == verdict]


class Summary(NamedTuple):
    """What all gates of a kind found."""

    kind: str
    about: str
    demand: str | None
    share: Share
    """That failed."""
    rows: dict[str, int]
    """How often each row failed."""
    open: int
    """Gates that neither passed nor failed."""

    @property
    def holds(self) -> bool:
        """Whether the demand is met so far."""
        return self.demand != "found" or self.share.k >= MUST_FIND * self.share.n

    def __str__(self) -> str:
        rows = ", ".join(f"{name} {count}" for name, count in self.rows.items()) or "none"
        return f"{self.kind:16} {self.about:45} failed {self.share}; by {rows}; {self.open} open"


def summary(name: str, about: str, demand: str | None, records: Sequence[Record]) -> Summary:
    """Count."""
    failed = [record for record in records if record.verdict == "fail"]
    rows = Counter(row for record in failed for row in record.failed)
    opened = sum(record.verdict == "could-not-measure" for record in records)
    return Summary(name, about, demand, share(len(failed), len(records)), dict(rows.most_common()), opened)


def main() -> int:
    """Make, judge, count."""
    given = _given()
    told: dict[str, tuple[str, str | None]] = {kind.name: (kind.about, kind.demand) for kind in kinds()}
    told |= {name: (about, demand) for name, (_, about, demand) in TIMED.items()}
    wanted = given.only.split(",") if given.only else list(told)
    if unknown := set(wanted) - set(told):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))} (known: {', '.join(told)})")
    if given.list:
        print("\n".join(f"{name:16} {about}" for name, (about, _) in told.items()))
        return 0
    log = Log(given.log or given.out / "gates.jsonl")
    if not given.summary:
        log.begin({name: getattr(given, name) for name in SETTINGS})
    left_out = {} if given.summary else _run(wanted, given, log)
    judged_kinds = {name: records for name in wanted if (records := log.of(name, given.gates))}
    left_out |= {name: "not judged yet" for name in wanted if name not in judged_kinds and name not in left_out}
    found = [summary(name, *told[name], records) for name, records in judged_kinds.items()]
    equal = [one for one in found if one.demand == "equal" and one.kind not in TIMED]
    together = share(sum(one.share.k for one in equal), sum(one.share.n for one in equal)) if equal else None
    holds = all(one.holds for one in found) and (together is None or together.k <= MAY_FAIL * together.n)
    if given.json:
        summaries = [{**one._asdict(), "share": one.share._asdict()} for one in found]
        equals = together._asdict() if together else None
        print(json.dumps({"kinds": summaries, "equal": equals, "left_out": left_out, "holds": holds}, indent=2))
    else:
        print("\n".join(map(str, found)))
        print("\n".join(f"{name:16} left out: {why}" for name, why in left_out.items()))
        print(f"equal code in all: failed {together}; at most {MAY_FAIL:.1%} may" if together else "")
        print("all demands hold, of what was judged" if holds else "a demand does NOT hold")
    return 0 if holds else 1


def _run(wanted: Sequence[str], given: argparse.Namespace, log: Log) -> dict[str, str]:
    """Judge what is missing; return what cannot be, with the reason."""
    pool = Pool(given.out / "pool", given.n, given.steps, given.batch, given.device)
    looker = Looker("cpu", WeightsFinder(offline=True))
    by_name = {kind.name: kind for kind in kinds()}
    stuck: dict[str, str] = {}
    for first in range(0, given.gates, CHUNK):
        for name in wanted:
            if name in stuck:
                continue
            start = time.monotonic()
            chunk = range(first, min(first + CHUNK, given.gates))
            missing = [index for index in chunk if (name, index) not in log.records]
            try:
                if name in by_name and missing:
                    _make(by_name[name], missing, pool)
                for index in missing:
                    timed_kind = name not in by_name
                    log.add(raced(name, index, given) if timed_kind else judged(by_name[name], index, pool, looker))
                    _say(f"{name}: {index + 1} of {given.gates}: {log.records[name, index].verdict}")
            except BenchError as error:
                stuck[name] = str(error)
            if missing:
                each = f", {np.mean(pool.seconds):.3f} s a picture" if pool.seconds else ""
                _say(f"{name}: {time.monotonic() - start:.0f} s{each}")
                pool.seconds.clear()
    return stuck


def _make(kind: Kind, missing: Sequence[int], pool: Pool) -> None:
    """All of one side, then all of the other: loading and compiling take longer than a portion."""
    for making in (kind.base, kind.head):
        for index in missing:
            pool.portion(making, kind.block, index)
            _say(f"{kind.name}: pictures of '{making.name}', {index + 1}")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gates", type=int, default=100, metavar="N", help="of each kind")
    parser.add_argument("--n", type=int, default=128, metavar="N", help="pictures per gate and side, 20 at least")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="pictures in a batch")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="of the sampler")
    parser.add_argument("--only", metavar="KIND,...", help="kinds, comma between; else all")
    parser.add_argument("--list", action="store_true", help="say which kinds there are")
    parser.add_argument("--device", default="cpu", help="that makes the pictures")
    parser.add_argument("--min-seconds", type=float, default=10.0, metavar="S", help="per version of bench ab")
    parser.add_argument("--out", type=Path, default=Path("runs/gate-selfcheck"), metavar="DIR")
    parser.add_argument("--log", type=Path, metavar="FILE", help="of the gates judged; else DIR/gates.jsonl")
    parser.add_argument("--summary", action="store_true", help="count what the log holds; judge nothing")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.out = given.out.absolute()
    return given


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
