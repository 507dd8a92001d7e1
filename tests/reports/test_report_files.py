"""The schema's round trip, and the two reports as files."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from t2ibench.core.errors import BenchError
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.html import html
from t2ibench.reports.markdown import markdown
from t2ibench.reports.schema import Picture, Result, Run, RunSettings, Skipped, SuiteInfo, load_run
from t2ibench.reports.worst import Key, values_of, worst
from t2ibench.reports.write import write_reports

HOSTILE = "<script>alert('x')</script> \"q\" | `tick` @octocat [a](https://evil.example/x) \u202egnp.exe صورة 🦊"
COLUMNS = ["method", "prompt_id", "sample", "metric", "value"]


def fabricate(
    folder: Path, prompts: list[str | None], methods: tuple[str, ...] = ("a", "b[x=1]"), reference: bool = False
) -> tuple[Run, list[Picture], pd.DataFrame]:
    """A finished run with tiny pictures in ``folder``."""
    file = folder / "images" / "tiny.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 320), "teal").save(file)
    value = MetricValue(value=0.3, n=len(prompts), identity="clip_score:m@1:n3", higher_is_better=True)
    settings = RunSettings(size="64x32", dtype="fp32", device="cpu")
    notes = ["92 of 5,000 prompts"]
    results = [
        Result(method=m, checkpoint=None, n=3, settings=settings, metrics={"clip_score": value}, notes=notes)
        for m in methods
    ]
    suite = SuiteInfo(
        name="trial",
        version=2,
        kind="codec" if reference else "generate",
        summary="A trial <of> things",
        seed=7,
        dataset="prompts",
        items=len(prompts),
        total=5000,
        notes=["Numbers of the mini world."],
    )
    run = Run(
        suite=suite,
        created="2026-02-03T10:11:12Z",
        environment={"torch": "2.14", "machine": {"cpu": "x", "threads": 2}},
        results=results,
        skipped=[Skipped(method="controlnet", reason="needs checkpoint=")],
    )
    pictures = [
        Picture(method=m, prompt_id=f"p{i}", sample=0, prompt=p, file=file, reference=file if reference else None)
        for i, p in enumerate(prompts)
        for m in methods
    ]
    rows = [(p.method, p.prompt_id, 0, "clip_score", 0.1 + 0.01 * i) for i, p in enumerate(pictures)]
    return run, pictures, pd.DataFrame(rows, columns=COLUMNS)


class Page(HTMLParser):
    """The elements of a page, its visible text, and every address it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.alts: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "poster", "data-full"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "alt" and value:
                self.alts.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data


def test_run_goes_through_its_file(tmp_path: Path) -> None:
    run, _, _ = fabricate(tmp_path, ["a cat"])
    (tmp_path / "run.json").write_text(run.to_json(), encoding="utf-8")
    assert load_run(tmp_path) == load_run(tmp_path / "run.json") == run
    assert json.loads(run.to_json())["schema"] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no run at"),
        ('{"schema": 1, "suite"', "cannot read"),
        ('{"schema": 2}', "has schema 2, this version reads 1"),
        ('["something else"]', "has schema None"),
        ('{"schema": 1, "created": "now", "environment": {}, "results": []}', "is not a run: suite: Field required"),
    ],
)
def test_bad_runs_are_refused_in_one_line(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=says) as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_page_shows_hostile_prompts_as_text(tmp_path: Path) -> None:
    page = Page(html(*fabricate(tmp_path, [HOSTILE, "w" * 10_000, 'x" onerror="alert(1)'])))
    harmless = Page(html(*fabricate(tmp_path / "harmless", ["a cat", "a dog", "a bird"])))
    assert page.tags.count("script") == harmless.tags.count("script")
    assert "alert('x')" in page.text
    assert "w" * 10_000 in page.text
    assert all(len(alt) <= 160 and "\u202e" not in alt for alt in page.alts)
    assert not page.handlers
    assert "\u202e" not in page.text


def test_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    run, pictures, scores = fabricate(tmp_path, ["see https://example.com/a.png"])
    text = html(run, pictures, scores, beside=tmp_path)
    addresses = Page(text).addresses
    assert addresses
    assert all(address.startswith(("data:image/", "#", "images/")) for address in addresses)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_gallery_shows_each_prompt_with_each_method(tmp_path: Path) -> None:
    run, pictures, scores = fabricate(tmp_path, [f"prompt {i}" for i in range(5)])
    page = Page(html(run, pictures, scores.iloc[:0], rows=3))
    assert page.tags.count("img") == 3 * 2 + 1  # the last one is the empty frame that enlarges
    assert "3 of 5 prompts shown" in page.text


def test_gallery_of_photos_shows_source_and_worst(tmp_path: Path) -> None:
    page = Page(html(*fabricate(tmp_path, [None, None], reference=True)))
    assert page.tags.count("img") == 2 * (1 + 2) + 3 * 2 + 1
    assert page.alts.count("source: p0") == 1 + 2
    assert "2 of 2 photos shown" in page.text
    assert "Worst pictures" in page.text


def test_gallery_survives_lost_and_absent_pictures(tmp_path: Path) -> None:
    run, pictures, scores = fabricate(tmp_path, ["one", "two"])
    lost = [pictures[0].model_copy(update={"file": tmp_path / "gone.png"}), *pictures[1:3]]
    page = Page(html(run, lost, scores.iloc[:0]))
    assert page.tags.count("img") == 2 + 1
    assert page.text.count("no picture") == 2
    assert "Pictures" not in Page(html(run, [], scores)).text


def test_worst_takes_each_method_first() -> None:
    rows = [("bad", "p1", 0, "lpips", 0.9), ("bad", "p2", 0, "lpips", 0.8), ("good", "p1", 0, "lpips", 0.1)]
    scores = pd.DataFrame([*rows, ("good", "p2", 0, "lpips", float("nan"))], columns=COLUMNS)
    found = worst(scores, {"lpips": False, "fid": False}, 3)
    assert {metric: [sample.key for sample in samples] for metric, samples in found.items()} == {
        "lpips": [Key("bad", "p1", 0), Key("bad", "p2", 0)]  # the best of all is not among the worst
    }
    rows.append(("good", "p0", 0, "lpips", 0.05))
    found = worst(pd.DataFrame(rows, columns=COLUMNS), {"lpips": False}, 3)
    assert [sample.key for sample in found["lpips"]] == [
        Key("bad", "p1", 0), Key("good", "p1", 0), Key("bad", "p2", 0)
    ]  # fmt: skip
    assert worst(scores[scores["metric"] == "none"], {"lpips": False}, 3) == {}
    assert values_of(scores, [Key("good", "p1", 0)]) == {Key("good", "p1", 0): {"lpips": 0.1}}


def test_reports_are_written_beside_the_run(tmp_path: Path) -> None:
    run, pictures, scores = fabricate(tmp_path, ["a cat"])
    paths = write_reports(run, pictures, scores, markdown=tmp_path / "report.md", html=tmp_path / "report.html")
    assert paths == [tmp_path / "report.html", tmp_path / "report.md"]
    assert 'data-full="images/tiny.png"' in paths[0].read_text(encoding="utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images", "report.html", "report.md"]


def test_a_run_without_results_still_reports(tmp_path: Path) -> None:
    run, _, scores = fabricate(tmp_path, ["a cat"])
    run.results = []
    assert "| Method |" in markdown(run, [], scores)
    assert "trial" in html(run, [], scores)
