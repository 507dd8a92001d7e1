"""``bench report``: the table of finished runs printed, their reports written anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import printable
from ..reports.schema import load_run
from .run_command import print_run, sized
from .startup import say

if TYPE_CHECKING:
    from ..reports.gallery import Embed


def report_command(
    runs: Sequence[Path],
    html: Path | None,
    markdown: Path | None,
    embed: Embed,
    link: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """``bench report``; the report of several runs is that of ``bench compare``."""
    from .gating.command import check_link, compare_command
    from .saved import rewrite

    check_link(link)
    if len(runs) > 1 and (html or markdown):
        asked = {"html": html, "markdown": markdown, "embed": embed, "link": link, "json_": as_json, "methods": None}
        compare_command(runs[0], runs[1:], {**asked, "device": "auto", "weights": None, "offline": offline})
        return
    found = [load_run(path) for path in runs]
    if as_json:
        texts = [run.to_json().strip() for run in found]
        print(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    for run, path in zip(found, runs, strict=True):
        if not as_json:
            if len(runs) > 1:
                print(printable(str(path)))
            print_run(run)
        if html or markdown or not as_json:
            for written in rewrite(run, path, html, markdown, embed, link):
                say(f"report: {sized(written)}")
