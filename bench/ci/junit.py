"""A verdict as JUnit XML: a test case for each row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ...core.errors import printable
from .outcomes import Case, Outcome, cases

if TYPE_CHECKING:
    from ..gating.gate import Gate

_TAGS: dict[Outcome, str] = {"failed": "failure", "error": "error", "skipped": "skipped"}


def junit_xml(found: Gate) -> str:
    """Return JUnit XML: a row that fails is a failure, one that is needed and could not be measured an error.

    One that nobody needs is skipped. Read by GitLab, Jenkins and their like.
    """
    made = cases(found)
    counts = Counter(case.outcome for case in made)
    numbers = {"tests": len(made), "failures": counts["failed"], "errors": counts["error"]}
    attributes = {name: str(number) for name, number in (numbers | {"skipped": counts["skipped"]}).items()}
    root = ElementTree.Element("testsuites", {"name": "bench gate", **attributes})
    name = f"bench gate: {printable(found.head.path)} against {printable(found.base.path)}"
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, "time": "0", **attributes})
    for case in made:
        _add(suite, case)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, case: Case) -> None:
    # XML knows no escape for control characters, and names of methods are the user's.
    names = {"classname": printable(case.method), "name": printable(case.metric), "time": "0"}
    element = ElementTree.SubElement(suite, "testcase", names)
    text = "\n".join(printable(line) for line in (case.reason, case.values) if line)
    if tag := _TAGS.get(case.outcome):
        ElementTree.SubElement(element, tag, {"message": printable(case.reason)}).text = text
    elif text:
        ElementTree.SubElement(element, "system-out").text = text
