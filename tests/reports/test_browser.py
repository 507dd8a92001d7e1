"""``report.html`` in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from PIL import Image

from t2ibench.metrics.value import MetricValue
from t2ibench.reports.comparison import Change, Comparison, Member, member_names
from t2ibench.reports.comparison_html import comparison_html
from t2ibench.reports.facts import Judged
from t2ibench.reports.grid import Cell, Column, Row, Table
from t2ibench.reports.html import html
from t2ibench.reports.schema import Cost, Latency, Picture, Result, Run, RunSettings, SuiteInfo, Swept

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (360, 1440)
PHONE, DESK = WIDTHS
HOSTILE = [
    "<script>window.harm = 1</script><img src=x onerror='window.harm = 2'>",
    "\"quotes\" 'both' & `ticks` </script><!-- {{ 7 * 7 }} ${window.harm = 3}",
    "من اليمين إلى اليسار \u202egnp.exe",
    "word " * 2000,
    "🦊🏳️‍🌈 👩‍🚀 emoji \u0000\ud800 and what is no character",
]
EVIL = "<a href='javascript:window.harm=4'>evil</a>[x=<b>1</b>]"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (the extra dev)")
    with playwright.sync_playwright() as driver:
        # Chromium refuses to be sandboxed as root, which is what containers run as.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = driver.chromium.launch(executable_path=CHROMIUM, args=[*root, "--disable-gpu"])
        started.new_context()
        yield started
        started.close()


@dataclass
class Tab:
    """A page with all that it complained of and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self[selector].all_text_contents()]


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    pages = []

    def open_tab(file: Path, width: int = DESK, scheme: str = "light") -> Tab:
        pages.append(page := browser.contexts[0].new_page())
        page.set_default_timeout(20_000)
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Tab(page)
        page.on("console", lambda said: found.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("dialog", lambda box: found.complaints.append(box.message))
        page.on("request", lambda asked: found.requests.append(asked.url))
        page.goto(file.as_uri())
        return found

    yield open_tab
    for page in pages:
        page.close()


def made(folder: Path, prompts: list[str], methods: list[str], swept: bool = False, timed: bool = False) -> tuple:
    """A finished run whose pictures lie in ``folder``: one colour per method, other files from the 24th prompt on.

    It has plots where it is swept or timed: they take a second of the processor on every page that draws them.
    """

    def file(name: str, color: tuple[int, int, int] = (0, 0, 0)) -> Path:
        path = folder / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (96, 64), color).save(path)
        return path

    files = [[file(f"{late}-{i}", (40 * i % 256, 90, 160)) for i in range(len(methods))] for late in (False, True)]
    edges = [file(f"{late}-edges") for late in (False, True)]
    value = {
        key: MetricValue(value=0.3, interval=(0.28, 0.33), n=9, identity=f"{key}:x:n9", higher_is_better=higher)
        for key, higher in (("fid", False), ("clip_score", True), ("lpips", False))
    }
    results = [
        Result(
            method=method,
            checkpoint=None,
            n=len(prompts),
            settings=RunSettings(size="96x64", dtype="fp32", device="cpu"),
            metrics={key: one.model_copy(update={"value": 0.3 + place / 100}) for key, one in value.items()},
            latency={"end_to_end": Latency(median_s=1.0 + place, p90_s=2, n=3, device="cpu")} if timed else {},
            cost=Cost(params=1_000_000),
            swept=Swept(setting="guidance", value=place, method="base[guidance={}]") if swept else None,
        )
        for place, method in enumerate(methods)
    ]
    suite = SuiteInfo(
        name="trial", version=1, kind="generate", summary="A trial", seed=0, dataset="prompts", items=len(prompts),
        total=len(prompts), notes=["Numbers of a trial."],
    )  # fmt: skip
    run = Run(suite=suite, created="2026-02-03T10:11:12Z", environment={"torch": "2.14"}, results=results)
    pictures = [
        Picture(
            method=method, prompt_id=f"p{number}", sample=0, prompt=prompt, file=files[number >= 24][place],
            conditions={"canny": edges[number >= 24]} if place else {},
        )
        for number, prompt in enumerate(prompts)
        for place, method in enumerate(methods)
    ]  # fmt: skip
    rows = [
        (one.method, one.prompt_id, 0, "clip_score", 0.2 + (int(one.prompt_id[1:]) * 7 % len(prompts)) / 10_000)
        for one in pictures
    ]
    return run, pictures, pd.DataFrame(rows, columns=["method", "prompt_id", "sample", "metric", "value"])


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 prompts, three methods."""
    folder = tmp_path_factory.mktemp("report")
    return written(folder, made_of_animals(folder))


def made_of_animals(folder: Path, **options: bool) -> tuple:
    return made(folder, [f"a {'cat' if i % 2 else 'dog'} number {i}" for i in range(30)], ["a", "b", "c"], **options)


def written(folder: Path, run: tuple, **options: Judged) -> Path:
    file = folder / "report.html"
    file.write_text(html(*run, beside=folder, **options), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with plots and a verdict."""
    columns = (Column("method", "Method", numeric=False), Column("verdict", "Verdict", numeric=False))
    table = Table(columns, (Row((Cell("a"), Cell("FAIL"))),), (), "head against base: fail", ("1 failed",))
    folder = tmp_path_factory.mktemp("judged")
    return written(folder, made_of_animals(folder, timed=True), judged=Judged("fail", table))


def test_the_page_draws_and_asks_for_nothing(judged: Path, tab: Callable[..., Tab]) -> None:
    page = tab(judged)
    page["#plots"].scroll_into_view_if_needed()
    page[".plot .main-svg"].first.wait_for()
    assert page["#verdict"].inner_text().startswith("Fail head against base: fail")
    assert page[".results .arrow"].first.inner_text() in "↑↓"
    assert "±" in page["#results .spread"].first.inner_text()
    page[".plot select"].select_option(index=1)
    page[".plot .ytitle"].filter(has_text="CLIP score").wait_for()
    for width, scheme, color in ((DESK, "light", "rgb(246, 247, 249)"), (PHONE, "dark", "rgb(15, 17, 21)")):
        page.page.set_viewport_size({"width": width, "height": 800})
        page.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.page.wait_for_function("width => document.querySelector('.main-svg').clientWidth < width", arg=width)
        assert page.page.evaluate("document.documentElement.scrollWidth") == width
        assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == color
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("data:", "blob:", judged.as_uri()))] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_are_found_ordered_and_built_on_demand(report: Path, tab: Callable[..., Tab], width: int) -> None:
    page = tab(report, width)
    page["#find"].scroll_into_view_if_needed()
    assert page["#gallery .line"].count() == 24
    page["#more"].click()
    assert page["#gallery .line"].count() == 30
    last = page["#gallery .line"].last
    last.scroll_into_view_if_needed()
    last.locator("img").first.evaluate("image => image.decode()")  # from the file beside the page
    assert page["#more"].is_hidden()
    page["#find [type=search]"].fill("CAT p7")
    page["#count"].filter(has_text="1 of 1 found").wait_for()
    assert page.texts("#gallery .title") == ["a cat number 7 p7"]
    page["#find [type=search]"].fill("nothing like it")
    page["#gallery"].filter(has_text="Nothing here").wait_for()
    page["#find [type=search]"].fill("")
    page["#find [name=metric]"].select_option(index=1)
    page["#find [name=of]"].select_option(label="b")
    page["#gallery .title"].first.filter(has_text="p0").wait_for()
    ids = [text.split()[-1] for text in page.texts("#gallery .title")]
    values = [int(name[1:]) * 7 % 30 for name in ids]
    assert values == sorted(values) and len(values) == 24
    page["#find [name=first]"].select_option("best")
    page["#gallery .title"].first.filter(has_text="p17").wait_for()  # 7 × 17 is 29 modulo 30
    assert page.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_picture_is_enlarged_and_compared_by_keyboard(report: Path, tab: Callable[..., Tab], width: int) -> None:
    page = tab(report, width)
    key = page.page.keyboard.press
    first = page["#gallery .shot"].nth(1)
    page["#find"].scroll_into_view_if_needed()
    first.focus()
    key("Enter")
    assert page["dialog"].is_visible()
    told, about = page["dialog .told"], page["dialog .about"]
    assert told.inner_text().splitlines()[0] == "a"
    key("ArrowRight")
    assert told.inner_text().splitlines()[0] == "b"
    key("ArrowDown")
    assert told.inner_text().splitlines()[0] == "b"
    assert about.inner_text() == "a cat number 1 p1"
    assert page["dialog [type=range]"].is_hidden()
    page["dialog select"].select_option("c")
    assert page.texts("dialog .tag") == ["b", "c"]
    page["dialog [type=range]"].focus()
    before = page["dialog .over"].evaluate("image => getComputedStyle(image).clipPath")
    key("ArrowLeft")
    assert page["dialog .over"].evaluate("image => getComputedStyle(image).clipPath") != before
    assert told.inner_text().splitlines()[0] == "b"  # the slider moved, not the row
    box = page["dialog .frame"].bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.page.mouse.up()
    assert abs(float(page["dialog [type=range]"].input_value()) - 25) < 1
    key("Escape")
    assert page["dialog"].is_hidden()
    assert first.evaluate("shot => shot === document.activeElement")
    assert page.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_values_are_sorted_and_sifted(report: Path, tab: Callable[..., Tab], width: int) -> None:
    page = tab(report, width)
    page[".values"].scroll_into_view_if_needed()
    page[".values tbody tr"].first.wait_for()
    head = page[".values thead button"].last

    def column() -> list[float]:
        return [float(text) for text in page.texts(".values tbody td:last-child")]

    head.focus()
    page.page.keyboard.press("Enter")
    assert column() == sorted(column())  # the worst first: of what is better high, the low
    assert page["[aria-sort=ascending]"].count() == 1
    head.click()
    assert column() == sorted(column(), reverse=True)
    assert page["[aria-sort=descending]"].count() == 1
    page["#sift [name=of]"].select_option(label="b")
    page["#counted"].filter(has_text="30 of 30").wait_for()
    assert set(page.texts(".values tbody td:first-child")) == {"b"}
    page["#sift [type=search]"].fill("p29")
    page["#counted"].filter(has_text="1 of 1").wait_for()
    with page.page.expect_download() as saved:
        page["#save"].click()
    heads, *rows = csv.reader(saved.value.path().read_text().splitlines())
    assert heads[:3] == ["method", "picture", "prompt"]
    assert [row[:3] for row in rows] == [["b", "p29", "a cat number 29"]]
    assert float(rows[0][-1]) == column()[0]
    page[".values tbody .link"].click()
    assert page["dialog .about"].inner_text() == "a cat number 29 p29"
    assert page.complaints == []


def test_hostile_text_does_no_harm(tmp_path: Path, tab: Callable[..., Tab]) -> None:
    run, pictures, scores = made(tmp_path, HOSTILE * 6, [EVIL, "plain", "plain[y=\"'><i>]"], swept=True, timed=True)
    run.suite.notes = [HOSTILE[0]]
    page = tab(written(tmp_path, (run, pictures, scores)), PHONE)
    page["#plots"].scroll_into_view_if_needed()
    for plot in page[".plot"].all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
    assert EVIL.removesuffix("[x=<b>1</b>]") in page.texts(".legendtext")
    page["#more"].click()
    page[".values"].scroll_into_view_if_needed()
    page[".values tbody tr"].first.wait_for()
    page["#find"].scroll_into_view_if_needed()
    assert page["#gallery .line"].count() == 30
    titles = page["#gallery .title"].all_text_contents()
    for place in (0, 25):  # in the page from the start, and built by its script
        assert titles[place].startswith(HOSTILE[0])
        assert titles[place + 1].startswith(HOSTILE[1])
        assert len(titles[place + 3]) > 9_990
        assert titles[place + 4].startswith("🦊🏳️‍🌈 👩‍🚀 emoji and what")
    page["#gallery .line"].last.scroll_into_view_if_needed()
    page["#gallery .line"].last.locator(".shot").first.click()
    page["dialog select"].select_option(index=1)
    assert page.page.evaluate("window.harm") is None
    assert page.page.evaluate("document.querySelectorAll('main a:not([href^=\"#\"]), main i, main script').length") == 0
    assert page.page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert page.complaints == []
    assert all(url.startswith(("data:", tmp_path.as_uri())) for url in page.requests)


def test_a_thousand_prompts_by_eight_methods_stay_light(tmp_path: Path, tab: Callable[..., Tab]) -> None:
    run = made(tmp_path, [f"prompt number {i}" for i in range(1000)], [f"m{i}" for i in range(8)])
    page = tab(written(tmp_path, run))
    count = "selector => document.querySelectorAll(selector).length"
    assert page.page.evaluate(count, "img") <= 24 * 9 + 8 + 1
    assert page.page.evaluate(count, "*") < 5_000
    assert page.page.evaluate(count, ".values tbody tr") == 0
    assert not any(url.endswith(".png") for url in page.requests)
    page["#find [type=search]"].fill("number 987")
    page["#count"].filter(has_text="1 of 1 found").wait_for()
    page["#values"].scroll_into_view_if_needed()
    page["#counted"].filter(has_text="100 of 8000").wait_for()
    page["#further"].click()
    assert page[".values tbody tr"].count() == 200
    assert page.page.evaluate(count, "*") < 5_000 + 200 * 12
    assert page.complaints == []


def test_a_page_sent_alone_shows_what_is_inside(report: Path, tmp_path: Path, tab: Callable[..., Tab]) -> None:
    alone = tmp_path / "sent.html"
    alone.write_bytes(report.read_bytes())
    page = tab(alone)
    page["#find"].scroll_into_view_if_needed()
    page["#gallery img"].first.evaluate("image => image.decode()")
    page["#more"].click()
    page["#gallery .line"].last.scroll_into_view_if_needed()
    page["#gallery .line"].last.get_by_text("not beside this page").first.wait_for()


def test_paper_is_white_and_holds_no_controls(report: Path, tab: Callable[..., Tab]) -> None:
    page = tab(report, scheme="dark")
    page.page.emulate_media(media="print")
    assert page["nav"].is_hidden() and page["#find"].is_hidden()
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page["#results"].is_visible()


def compared(folder: Path, prompts: list[str], methods: list[str], heads: int = 1, plots: bool = False) -> Path:
    """The report of a base and ``heads`` other runs: the pictures of the last method differ, the others' are equal."""
    members = []
    for place, name in enumerate(member_names([f"runs/{name}" for name in ["main", "change", "other"][: heads + 1]])):
        run, pictures, scores = made(folder, prompts, methods)
        for picture in pictures:
            picture.conditions = {}
            if place and picture.method == methods[-1]:
                picture.file = folder / "images" / f"head-{place}.png"
                Image.new("RGB", (96, 64), (90, 90, 160 - 20 * place)).save(picture.file)
        moved = (scores["method"] == methods[-1]) & (place > 0)
        numbers = scores["prompt_id"].str[1:].astype(int)
        scores.loc[moved, "value"] += ((numbers % 3 - 1) * (numbers + 1) / 1000)[moved]
        members.append(Member(name, f"runs/{name}", run, pictures, scores))
    columns = [Column("method", "Method", numeric=False), Column("metric", "Metric", numeric=False)]
    columns += [Column(key, key.capitalize()) for key in ("base", "head", "change")]
    change = Cell("+0.010 [+0.002, +0.018]", 0.01, interval=(0.002, 0.018), tone="better")
    rows = [Row((Cell(name), Cell("CLIP score ↑"), Cell("0.3", 0.3), Cell("0.31", 0.31), change)) for name in methods]
    names = [[method] * len(members) for method in methods]
    table = Table(tuple(columns), tuple(rows), (), "Differences", ("Change is head minus base.",))
    changes = [
        Change(methods[-1], place, "clip_score", True, 0.01, (0.002, 0.018)) for place in range(1, heads + 1)
    ] * plots
    file = folder / "compared.html"
    found = Comparison(members, names, table, changes, ["a note"])
    file.write_text(comparison_html(found, beside=folder), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of 30 prompts."""
    return compared(tmp_path_factory.mktemp("comparison"), [f"a cat number {i}" for i in range(30)], ["same", "moved"])


@pytest.mark.parametrize("width", WIDTHS)
def test_two_runs_stand_side_by_side(comparison: Path, tab: Callable[..., Tab], width: int) -> None:
    page = tab(comparison, width)
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    assert page["h1"].inner_text() == "head against base"
    assert page["#results + .card .better"].first.inner_text().startswith("+0.010")
    assert "same: all pictures are equal, bit for bit" in page[".say"].inner_text()
    assert page.texts("#moved + .card tbody td") == ["10", "10", "10", "30"]
    cards = page[".ranking .line"]
    assert [text.split()[-1] for text in page.texts(".ranking .title")] == ["p27", "p24", "p21", "p29", "p26", "p23"]
    assert page.texts(".ranking .line:first-child figcaption .code")[:3] == ["base", "head", "difference × 4"]
    assert [cards.nth(place).locator(".change").inner_text() for place in (0, 3)] == ["-0.0280", "+0.0300"]
    assert (
        page.page.evaluate("getComputedStyle(document.querySelector('.blend img + img')).mixBlendMode") == "difference"
    )
    page["#find [name=metric]"].select_option(label="Change of CLIP score ↑")
    page["#gallery .title"].first.filter(has_text="p27").wait_for()
    page["#find [name=first]"].select_option("best")
    page["#gallery .title"].first.filter(has_text="p29").wait_for()
    line = page["#gallery .line"].first  # built by the script
    assert line.locator("figcaption .code").all_text_contents() == ["base", "head", "difference × 4"]
    assert line.locator(".better").text_content() == "+0.0300"
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("data:", comparison.parent.as_uri()))] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_picture_is_laid_over_the_other_run_and_subtracted(
    comparison: Path, tab: Callable[..., Tab], width: int
) -> None:
    page = tab(comparison, width)
    page["#find"].scroll_into_view_if_needed()
    page["#gallery .shot"].nth(1).click()
    assert page.texts("dialog .tag") == ["moved · head", "moved · base"]
    slide, frame = page["dialog [type=range]"], page["dialog .frame"]
    assert slide.is_visible() and not frame.evaluate("frame => frame.classList.contains('differing')")
    page.page.keyboard.press("d")
    assert frame.evaluate("frame => getComputedStyle(frame).filter") == "brightness(4)"
    slide.fill("60")
    assert frame.evaluate("frame => getComputedStyle(frame).filter") == "brightness(8)"
    assert page["#differ"].get_attribute("aria-pressed") == "true"
    page["#differ"].click()
    assert slide.input_value() == "50"
    page.page.keyboard.press("Escape")
    page["#gallery .differ"].first.click()
    assert page["dialog .over"].evaluate("image => getComputedStyle(image).mixBlendMode") == "difference"
    assert page.complaints == []


def test_an_open_picture_has_an_address(comparison: Path, tab: Callable[..., Tab]) -> None:
    page = tab(comparison)
    page["#gallery .shot"].nth(1).click()
    address = page.page.url
    assert "picture=p0" in address
    page.page.keyboard.press("Escape")
    page.page.wait_for_url(comparison.as_uri())
    page.page.goto("about:blank")
    page.page.goto(address.replace("p0", "p29"))  # a row that the page does not open with
    assert page["dialog .about"].inner_text() == "a cat number 29 p29"
    assert page["dialog .told"].inner_text().splitlines()[0] == "moved · head"
    assert page.complaints == []


def test_hostile_prompts_in_a_comparison_of_three(tmp_path: Path, tab: Callable[..., Tab]) -> None:
    page = tab(compared(tmp_path, HOSTILE * 6, ["same", EVIL], heads=2, plots=True), PHONE)
    page["#plots"].scroll_into_view_if_needed()
    page[".plot .main-svg"].first.wait_for()
    page["#more"].click()
    line = page["#gallery .line"].last
    line.scroll_into_view_if_needed()
    shown = line.locator("figcaption .code").all_text_contents()
    assert shown == ["base", "change", "difference × 4", "other", "difference × 4"]
    assert page["#gallery .title"].nth(25).text_content().startswith(HOSTILE[0])  # type: ignore[union-attr]
    line.locator(".shot").last.click()
    assert page.page.evaluate("window.harm") is None
    assert page.page.evaluate("document.querySelectorAll('main a:not([href^=\"#\"]), main i, main script').length") == 0
    assert page.page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert page.complaints == []
    assert all(url.startswith(("data:", "blob:", tmp_path.as_uri())) for url in page.requests)


def test_results_sort_and_pictures_change_size(report: Path, tab: Callable[..., Tab]) -> None:
    page = tab(report)
    head = page["#results thead th"].filter(has_text="FID")
    names = "#results tbody .name"
    assert page.texts(names) == ["a", "b", "c"]
    head.click()
    assert page.texts(names) == ["a", "b", "c"] and head.get_attribute("aria-sort") == "ascending"
    head.focus()
    page.page.keyboard.press("Enter")
    assert page.texts(names) == ["c", "b", "a"]
    page["#find [name=size]"].fill("100")
    assert page["#gallery .shot"].first.evaluate("shot => shot.clientWidth") == 100
    assert page.complaints == []
