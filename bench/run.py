"""``bench run``: make the pictures, measure them, write the table."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError, WriteError
from ..core.weights import cache_dir
from ..datasets.dataset import data_root
from ..datasets.images import load_rgb
from ..datasets.request import Pixels, Request
from ..metrics import METRICS
from ..metrics.engine import Engine, MissingReference, Reference, Setup
from ..metrics.metric import ASKED, Observer
from ..metrics.sample import Asked, Sample
from ..metrics.value import MetricValue
from ..reports.gallery import MASK, REGIONS, SOURCE, Embed, choose
from ..reports.region_map import region_map
from ..reports.schema import Picture, Result, Run, Skipped, SuiteInfo, Swept
from ..reports.text import clean, clip
from ..reports.worst import Key
from ..reports.write import write_reports
from . import timing
from .by_kind import by_kind, of_single_pictures
from .captions import SceneReader
from .drift import bases_of, drifts_of
from .environment import PeakMemory, environment
from .excess import add_excess
from .observers import observers_of
from .options import Options, Plan, find_dataset, swept_of
from .plan import make_plan
from .progress import task, task_if_any
from .references import save_references
from .rows import Facts, Job, Row, batches
from .saved import GATE, PICTURES, dump_pictures
from .store import Record, Store

if TYPE_CHECKING:
    import pandas as pd


GIVEN = 256
"""Prompts whose sources, masks and regions are kept for the report: as many as claims are made of."""


@dataclass(frozen=True)
class Finished:
    """A finished run and where its files are."""

    run: Run
    markdown: Path
    html: Path


def run_suite(
    options: Options,
    directory: Path,
    fresh: bool = False,
    say: Callable[[str], None] = print,
    embed: Embed = "thumbnails",
) -> Finished:
    """Make or go on with the run in ``directory``; ``embed`` says which pictures are inside its report.

    Raises BenchError for all that the user can mend; what was finished until then is kept and never made again.
    """
    with Store(directory) as store:
        plan = make_plan(options, directory)
        measuring = Measuring(options, plan, store)
        if fresh:  # only now: a mistyped option must not cost a finished run
            store.clear()
        for line in [*plan.notes, *(f"skipped {item.method}: {item.reason}" for item in plan.skipped)]:
            say(line)
        facts = {row.method: found for row in _all_rows(plan) if (found := _made(row, plan, store, options, say))}
        rows, swept = [row for row in plan.rows if row.method in facts], swept_of(options)
        results = [_result(row, facts[row.method], measuring, store, swept.get(row.written)) for row in rows]
        if not results:
            why = plan.skipped[0].reason if plan.skipped else "it names none"
            raise BenchError(f"no method of suite '{options.suite.name}' could run: {why}")
        measuring.engine.close()
        save_references(store, measuring.engine)
        if excess := options.suite.excess:
            add_excess(results, excess.over, excess.metrics)
        return _finish(_run(options, plan, results), plan, store, measuring, embed)


def _all_rows(plan: Plan) -> list[Row]:
    return [plan.reference, *plan.rows] if plan.reference else plan.rows


def _made(row: Row, plan: Plan, store: Store, options: Options, say: Callable[[str], None]) -> Facts | None:
    """Make what is missing of a row; None where a method of the suite's own set turned out not to run."""
    try:
        most = row.most if options.batch_size is None and row.most else plan.batch_size
        return _generate(row, min(plan.batch_size, most), store, say)
    except WriteError:
        raise
    except BenchError as error:
        elsewhere = any(other.written == row.written and other is not row for other in plan.rows)
        if (options.asked and not elsewhere) or row is plan.reference:
            raise
        plan.skipped.append(Skipped(method=row.method, reason=str(error)))
        return None


def _generate(row: Row, batch_size: int, store: Store, say: Callable[[str], None]) -> Facts:
    missing = [job for job in row.jobs if job.key not in store.records]
    kept = f"rows/{row.key}.json"
    if not missing and (file := store.directory / kept).exists():
        return Facts.model_validate_json(file.read_bytes())
    if missing:
        row.prepare(say)
    memory = PeakMemory(row.device or "cpu")
    try:
        row.load()
        produce(row, missing, batch_size, store)
        peak = memory.bytes() if missing else None
        facts = row.facts()
        if not facts.imported:
            cost = facts.cost.model_copy(update={"peak_memory_bytes": peak})
            facts = facts.model_copy(update={"cost": cost})
    finally:
        row.unload()
    store.save(kept, facts.model_dump_json())
    return facts


def produce(row: Row, missing: Sequence[Job], batch_size: int, store: Store) -> None:
    """Make ``missing`` jobs of a loaded row, batch by batch, each written behind the next one's computation."""
    done = len(row.jobs) - len(missing)
    with task(row.method, len(row.jobs), done) as report:

        def written(count: int) -> None:
            nonlocal done
            done += count
            report(done)

        try:
            for batch in batches(missing, batch_size):
                store.add(row.produce(batch, batch_size), written)
                row.warm = True
        finally:
            store.flush()


class Measuring:
    """The metrics of a run: which can be had, and what they are over."""

    def __init__(self, options: Options, plan: Plan, store: Store) -> None:
        self.store, self.reference_row = store, plan.reference
        suite = options.suite
        self.common = list(suite.metrics if options.metrics is None else options.metrics)
        self.own = {row: row.metrics for row in plan.rows if row.metrics is not None and options.metrics is None}
        own_names = (name for names in self.own.values() for name in names)
        self.names = list(dict.fromkeys([*self.common, *own_names]))
        """Of all rows together."""
        self.by_kind, self.case_kinds = suite.by_kind, plan.kinds
        for name in self.by_kind:
            of_single_pictures(name)
        self.asked = plan.asked
        self.dataset = suite.dataset
        self.unknown: dict[tuple[str | None, str], str] = {}
        """Why a dataset cannot tell what its pictures should show, by kind; None for the suite's."""
        self.known = self._known(plan) if plan.reference is None else {}
        """What can be asked of pictures, by dataset."""
        kinds: set[str] = set().union(*self.known.values())
        setup = Setup(
            clip_model=suite.clip.model,
            clip_pretrained=suite.clip.pretrained,
            lpips_net=suite.lpips_net,
            generated_transform=suite.transform.generated,
            reference_transform=suite.transform.reference,
            device=options.device,
            weights=options.weights,
            cache=cache_dir() / "features",
            caption_reader=SceneReader(),
            observers=self._observers(options, kinds),
        )
        self.engine = Engine(setup)
        self.reference_method = None if options.reference else suite.reference_method
        self.base = next((row for row in plan.rows if row.written == self.reference_method), None)
        self.drift_bases = bases_of(plan.rows)
        own = plan.reference is None and self.reference_method is None and plan.dataset is None
        self.reference = reference_of(options, self.names) if own or options.reference else None
        self.given = options.reference is not None
        self.prompted = plan.reference is None
        problems = self.engine.check(
            self.names,
            has_prompts=self.prompted,
            has_targets=plan.reference is not None,
            reference=self.reference if self.base is None else [_to_be_made(job) for job in self.base.jobs],
            asked=kinds,
        )
        problems = {name: self._why(name, problem, None) for name, problem in problems.items()}
        if problems and (options.metrics is not None or options.strict):
            kind = "codecs, which have no prompts" if plan.reference else "prompts, which have no targets"
            raise BenchError("; ".join(f"{name}: {why}" for name, why in problems.items()) + f" (a suite of {kind})")
        self.targets = {job.prompt_id: job.key for job in plan.reference.jobs} if plan.reference else {}
        """Store keys of the pictures compared with, by prompt id."""
        self.scores: list[tuple[str, str, int, str, float]] = []

    def measure(self, row: Row) -> dict[str, MetricValue]:
        """Return the row's metrics; what cannot be had comes back without a value and with the reason."""
        if row is self.reference_row:
            return {}
        samples = [self._sample(job, row.dataset) for job in row.jobs]
        with task(f"{row.method} metrics", len(samples)) as report:
            names = self.own.get(row, self.common)
            values = self.engine.measure(samples, names, reference=self._reference(row), progress=report)
        values = {
            name: value.model_copy(update={"reason": self._why(name, value.reason, row.dataset)})
            if value.reason
            else value
            for name, value in values.items()
        }
        values |= self._drift(row)
        jobs = {job.key: job for job in row.jobs}
        for name, value in values.items():
            for key, score in value.per_image.items():
                self.scores.append((row.method, jobs[key].prompt_id, jobs[key].sample, name, score))
        kinds = {key: kind for key, job in jobs.items() if (kind := self.case_kinds.get(job.prompt_id))}
        return values | by_kind(values, kinds, self.by_kind)

    def _drift(self, row: Row) -> dict[str, MetricValue]:
        """How far the row's pictures are from those that PyTorch makes of the same noise, where this run has both."""
        base = self.drift_bases.get(row)
        if base is None:
            return {}
        names = drifts_of(self.names)
        if base is row or any(job.key not in self.store.records for job in base.jobs):
            same = "these are the pictures that those of the other devices are compared with"
            why = same if base is row else f"needs the pictures of '{base.method}', which could not be made"
            return {name: MetricValue(value=None, reason=why, n=0, higher_is_better=False) for name in names}
        pairs = zip(row.jobs, base.jobs, strict=True)
        samples = [
            self._stored(job.key, job.key, job.prompt, self._stored(other.key, other.key)) for job, other in pairs
        ]
        return self.engine.measure(samples, names)

    def _reference(self, row: Row) -> Reference:
        if self.reference_method is None:
            if row.dataset and self.reference is not None and not self.given:
                return MissingReference(
                    f"the reference is of dataset '{self.dataset}', the pictures of '{row.dataset}'"
                )
            return self.reference
        if self.base is None or any(job.key not in self.store.records for job in self.base.jobs):
            return MissingReference(f"needs a row '{self.reference_method}', and this run has none")
        if row.dataset != self.base.dataset:
            return MissingReference(f"the pictures of '{self.reference_method}' are of other prompts than this row's")
        if row is self.base:
            return MissingReference("the pictures of this row are what the others are compared with")
        return [self._stored(job.key, job.key) for job in self.base.jobs]

    def _known(self, plan: Plan) -> dict[str | None, set[str]]:
        """What the metrics hold pictures against, of what each dataset knows at all."""
        wanted = {need for name in self.names for need in METRICS.get(name).needs if need in ASKED}
        first: dict[str | None, Request] = {}
        for row in plan.rows:
            if row.jobs:
                first.setdefault(row.dataset, row.jobs[0].source)
        return {
            dataset: {kind for kind in wanted if self._is_known(plan, request, kind, dataset)}
            for dataset, request in sorted(first.items(), key=lambda item: item[0] is not None)
        }

    def _is_known(self, plan: Plan, request: Request, kind: str, dataset: str | None) -> bool:
        try:
            plan.asked(request, kind)
        except BenchError as error:
            self.unknown[dataset, kind] = str(error)
        return (dataset, kind) not in self.unknown

    def _observers(self, options: Options, kinds: set[str]) -> dict[str, Observer]:
        """Who looks at the pictures: of one kind the same for all rows, as the suite's dataset or else the first asks.

        What another dataset would have looked at in another way is not measured of its rows.
        """
        found: dict[str, Observer] = {}
        for name, known in self.known.items() if kinds else ():
            dataset = find_dataset(options, name)
            for kind, observer in observers_of(dataset, kinds, options.weights).items():
                if found.setdefault(kind, observer).label != observer.label and kind in known:
                    known.remove(kind)
                    why = f"'{dataset.name}' is looked at for {kind} by {observer.label}, and this run by another"
                    self.unknown[name, kind] = f"{why}: run it alone"
        return found

    def _why(self, name: str, problem: str, dataset: str | None) -> str:
        """Why a metric cannot be computed: ``problem``, unless more is known of what it needs."""
        needs = METRICS.get(name).needs
        return next((self.unknown[dataset, need] for need in needs if (dataset, need) in self.unknown), problem)

    def _sample(self, job: Job, dataset: str | None) -> Sample:
        target = self._stored(self.targets[job.prompt_id], job.prompt_id) if self.reference_row else None
        return self._stored(job.key, job.key, job.prompt, target, self._asked(job, dataset))

    def _asked(self, job: Job, dataset: str | None) -> dict[str, Asked]:
        found = {kind: self.asked(job.source, kind) for kind in sorted(self.known.get(dataset, ()))}
        return {kind: Asked(pixels.digest, pixels.read) for kind, pixels in found.items() if pixels is not None}

    def _stored(
        self,
        key: str,
        name: str,
        prompt: str | None = None,
        target: Sample | None = None,
        asked: Mapping[str, Asked] | None = None,
    ) -> Sample:
        record = self.store.records[key]
        path = self.store.path(record)
        return Sample(name, record.image, partial(load_rgb, path), prompt, target, asked or {})

    def frame(self) -> pd.DataFrame:
        """Per-image scores: method, prompt_id, sample, metric, value."""
        import pandas as pd

        return pd.DataFrame(self.scores, columns=["method", "prompt_id", "sample", "metric", "value"])


def _to_be_made(job: Job) -> Sample:
    def load() -> NDArray[np.uint8]:
        raise BenchError(f"'{job.key}' is not made yet")

    return Sample(job.key, "", load)


def reference_of(options: Options, metrics: Sequence[str]) -> Reference:
    """What Fréchet distances of a suite of prompts are taken to: ``--reference``, else the dataset's photos."""
    from ..core.files import sha256_file
    from ..datasets.images import image_files

    if not any("reference" in METRICS.get(name).needs for name in metrics):
        return None
    if options.reference is not None and options.reference.is_file():
        return options.reference
    try:
        files = image_files(options.reference) if options.reference else _own_reference(options)
    except BenchError as error:
        if options.reference:
            raise
        return MissingReference(str(error))
    return [Sample(str(file), sha256_file(file), partial(load_rgb, file)) for file in files]


def _own_reference(options: Options) -> list[Path]:
    with task_if_any("draw the reference") as report:
        return find_dataset(options).reference(data_root(options.data_root), options.suite.reference_n, report)


def _result(row: Row, facts: Facts, measuring: Measuring, store: Store, swept: Swept | None) -> Result:
    records = [store.records[job.key] for job in row.jobs]
    return Result(
        method=row.method,
        checkpoint=row.checkpoint,
        n=len(records),
        settings=facts.settings,
        metrics=measuring.measure(row),
        latency=facts.latency or timing.latency(records, facts.settings.device),
        device=facts.device,
        imported=facts.imported,
        cost=facts.cost,
        codec=facts.codec,
        swept=swept,
        dataset=row.dataset,
        notes=[*facts.notes, *_notes(records), *timing.notes(records)],
    )


def _notes(records: Sequence[Record]) -> list[str]:
    noted = [(record.prompt_id, note) for record in records for note in record.notes]
    if not noted:
        return []
    others = ", ".join(name for name, _ in noted[1:10]) + (", …" if len(noted) > 10 else "")
    more = f"; also prompts {others}" if others else ""
    return [f"{len(noted)} of {len(records)}: {noted[0][1]} (prompt {noted[0][0]}{more})"]


def _run(options: Options, plan: Plan, results: list[Result]) -> Run:
    suite = options.suite
    return Run(
        suite=SuiteInfo(
            name=suite.name,
            version=suite.version,
            kind=suite.kind,
            summary=suite.summary,
            seed=suite.seed if options.seed is None else options.seed,
            dataset=plan.dataset or _dataset_name(options),
            items=plan.items,
            total=plan.total,
            table=suite.table,
            notes=[*suite.notes, *plan.notes],
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment={**environment(options.device), "batch_size": plan.batch_size},
        results=results,
        skipped=plan.skipped,
    )


def _dataset_name(options: Options) -> str:
    own = options.images or options.prompts
    return f"{own.name}" if own else options.suite.dataset


def _finish(run: Run, plan: Plan, store: Store, measuring: Measuring, embed: Embed) -> Finished:
    scores = measuring.frame()
    buffer = io.BytesIO()
    scores.to_parquet(buffer, index=False)
    store.save("scores.parquet", buffer.getvalue())
    shown = pictures(plan, store, measuring.targets)
    add_conditions(shown, choose(run, shown, scores, GIVEN).keys, plan, store)
    store.save(PICTURES, dump_pictures(shown, store.directory))
    (store.directory / GATE).unlink(missing_ok=True)  # it judged the run before
    markdown, html = store.directory / "report.md", store.directory / "report.html"
    write_reports(run, shown, scores, markdown=markdown, html=html, embed=embed)
    store.save("run.json", run.to_json())
    return Finished(run, markdown, html)


def pictures(plan: Plan, store: Store, references: Mapping[str, str]) -> list[Picture]:
    """Return the finished pictures of a plan for the gallery."""
    found = []
    for row in plan.rows:
        for job in row.jobs:
            if record := store.records.get(job.key):
                reference = store.records.get(references.get(job.prompt_id, ""))
                found.append(
                    Picture(
                        method=row.method,
                        prompt_id=job.prompt_id,
                        sample=job.sample,
                        prompt=job.prompt,
                        file=store.path(record),
                        reference=store.path(reference) if reference else None,
                    )
                )
    return found


def add_conditions(shown: Sequence[Picture], keys: Container[Key], plan: Plan, store: Store) -> None:
    """Keep what the pictures of ``keys`` were made from, beside their prompts, and name it there."""
    sources = {Key(row.method, job.prompt_id, job.sample): job.source for row in plan.rows for job in row.jobs}
    for picture in shown:
        key = Key(picture.method, picture.prompt_id, picture.sample)
        if key in keys and isinstance(request := sources[key], Request):
            picture.conditions = {kind: store.keep(pixels) for kind, pixels in _given(request, plan).items()}


def _given(request: Request, plan: Plan) -> dict[str, Pixels]:
    found = {given.kind: given.picture for given in request.conditions}
    if request.source:
        found[SOURCE] = request.source
        if mask := _mask(request, plan):
            found[MASK] = mask
    if regions := request.regions:
        prompts = ", ".join(f"{number} {region.prompt}" for number, region in enumerate(regions, 1))
        drawn = region_map([region.mask.read() for region in regions])
        found[clip(clean(f"{REGIONS}: {prompts}"), 200)] = Pixels.of(drawn)
    return found


def _mask(request: Request, plan: Plan) -> Pixels | None:
    """A picture of where a source may change, white there; None where nobody says."""
    try:
        edit = plan.asked(request, "edit")
    except BenchError:
        return None
    return edit and Pixels(f"{edit.digest}-{MASK}", lambda: np.repeat(np.uint8(255) * edit.read()[..., None], 3, -1))
