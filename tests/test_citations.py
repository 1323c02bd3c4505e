"""What code and comments cite is there: pages of docs/ with their anchors, and laws by their names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.test_repository import tracked

ROOT = Path(__file__).parents[1]
ELSEWHERE = re.compile(r"\b[Ll]aw [0-9]|DAPR\.md|SLACK\.md|\btrap [0-9]|DESIGN\.md|STYLE\.md")
PAGE = re.compile(r"\bdocs/[\w./-]+\.md(?:#[\w-]+)?")
VAGUE = re.compile(r"\bwhoever\b|\b(?:some|any|every)body\b", re.IGNORECASE)
PRODUCT = ("approvals", "workflows", "activities", "records", "cards", "bot", "client/src")
LAW = re.compile(r"\(law: ([^)]+)\)|# law: (.+)$", re.MULTILINE)


def slug(heading: str) -> str:
    """Return the anchor that the site gives a heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


def headings(page: Path) -> list[str]:
    """Return a page's headings, without those in its examples."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#{1,4} (.+)$", text, re.MULTILINE)


def sources() -> Iterator[tuple[Path, str]]:
    """Yield each text file outside docs/, its comments' line breaks removed."""
    for path in tracked():
        if path.suffix in {".png", ".ico", ".woff2"} or path == Path(__file__) or path.is_relative_to(ROOT / "docs"):
            continue
        yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_each_page_and_anchor_that_is_cited_is_there() -> None:
    missing = []
    for path, text in sources():
        for cited in PAGE.findall(text):
            page, _, anchor = cited.partition("#")
            if not (ROOT / page).is_file() or (anchor and anchor not in map(slug, headings(ROOT / page))):
                missing.append(f"{path}: {cited}")
    assert missing == []


def test_each_law_that_is_cited_has_its_name_in_the_laws() -> None:
    known = {heading.lower() for heading in headings(ROOT / "docs" / "explanation" / "laws.md")}
    cited = [
        (path, re.sub(r"\s*\n\s*(?:# )?", " ", "".join(found)))
        for path, text in sources()
        if path.suffix == ".py"
        for found in LAW.findall(text)
    ]
    assert len(cited) > 10
    assert [each for each in cited if each[1] not in known] == []


def test_nothing_cites_a_document_that_is_not_in_the_repository() -> None:
    assert [path for path, text in sources() if ELSEWHERE.search(text)] == []


def test_docstrings_name_what_they_raise_with_the_usual_word() -> None:
    assert [path for path, text in sources() if path.suffix == ".py" and re.search(r"\bErrors:", text)] == []


def docstrings(text: str) -> Iterator[str]:
    """Yield each docstring, also those below a constant."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def test_docstrings_name_who_acts() -> None:
    found = [
        f"{path}: {vague[0]}"
        for path, text in sources()
        if path.suffix == ".py" and str(path).startswith(PRODUCT)
        for each in docstrings(text)
        if (vague := VAGUE.search(each))
    ]
    assert found == []
