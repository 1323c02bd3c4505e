"""The documentation is true: its commands, paths and links are there, and what is made from the code is up to date."""

import re
import tomllib
from pathlib import Path

import pytest

from bot.cli.remote import ClientSettings
from bot.process.settings import Settings
from tests.test_citations import headings, slug
from tests.test_readme import check_command, typed
from tools.docs import stale
from tools.docs.diagrams import fence, gathered
from tools.docs.imports import floors, packages, reduced, rooms
from tools.docs.settings import rows

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EVERY = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|yml|yaml|md|toml))`")
MOST_ARROWS = 45
FLOORS = ("process", "engine", "access", "decisions", "control", "web", "slack", "rest", "dashboard", "wiring", "cli")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


named = pytest.mark.parametrize("page", EVERY, ids=lambda page: str(page.relative_to(DOCS)))


@named
def test_each_link_leads_to_a_page_and_to_a_heading_of_it(page: Path) -> None:
    broken = []
    for link in LINK.findall(re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)):
        if link.startswith(("http:", "https:")):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.is_file() or (anchor and anchor not in {slug(each) for each in headings(file)}):
            broken.append(link)
    assert broken == []


@named
def test_each_path_is_there(page: Path) -> None:
    found = FILE.findall(text_of(page))
    assert [each for each in found if not any((ROOT / base / each).exists() for base in ("", "bot", "docs"))] == []


@named
def test_each_command_is_one_that_the_command_line_takes(page: Path) -> None:
    for line in typed(text_of(page)):
        if line.startswith("countersign "):
            check_command(line)


@named
def test_each_make_target_and_each_module_with_its_options_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for line in typed(text_of(page)):
        if line.startswith("make "):
            assert {word for word in line.split()[1:] if "=" not in word} <= targets, line
        if line.startswith("python -m "):
            module, *options = line.split()[2:]
            file = ROOT / f"{module.replace('.', '/')}.py"
            source = text_of(file if file.exists() else file.with_suffix("") / "__main__.py")
            assert [each for each in options if each.startswith("--") and f'"{each}"' not in source] == [], line


def test_each_page_is_in_the_contents_and_each_entry_is_a_page() -> None:
    contents = text_of(ROOT / "zensical.toml")
    listed = re.findall(r'"([\w/-]+\.md)"', contents)
    assert sorted(listed) == [str(page.relative_to(DOCS)) for page in EVERY]


def test_nothing_on_a_page_is_loaded_from_elsewhere() -> None:
    project = tomllib.loads(text_of(ROOT / "zensical.toml"))["project"]
    assert project["theme"]["font"] is False
    assert project["extra_css"] == ["assets/site.css"]
    (fences,) = project["markdown_extensions"]["pymdownx"]["superfences"]["custom_fences"]
    assert fences["format"] == "tools.docs.diagrams.fence"


def test_what_is_made_from_the_code_is_up_to_date() -> None:
    assert stale() == []


def test_a_page_that_was_edited_by_hand_is_stale(tmp_path: Path) -> None:
    edited, missing, same = (tmp_path / name for name in ("edited", "missing", "same"))
    edited.write_text("by hand", encoding="utf-8")
    same.write_text("by code", encoding="utf-8")
    assert stale(dict.fromkeys((edited, missing, same), lambda: "by code")) == [edited, missing]


# ---- settings


def test_each_setting_has_a_description() -> None:
    for settings in (Settings, ClientSettings):
        assert len(rows(settings)) == len(settings.model_fields)  # rows refuses one without


# ---- pictures


def test_a_diagram_becomes_a_drawing_that_loads_nothing() -> None:
    drawn = fence("flowchart TB\n    one --> two\n", "mermaid", "mermaid", {}, None)
    assert drawn.startswith('<figure class="diagram"><svg')
    assert "one" in drawn
    assert "<script" not in drawn
    assert "@import" not in drawn


def test_two_diagrams_of_a_page_do_not_share_their_styles() -> None:
    drawn = [fence(f"flowchart TB\n    one --> {name}\n", "mermaid", "mermaid", {}, None) for name in ("two", "three")]
    ids = [re.findall(r'<svg id="([^"]+)"', each) for each in drawn]
    assert ids[0] != ids[1]


def test_a_diagram_that_cannot_be_drawn_fails_the_build() -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        fence("stateDiagram-v2\n    --> -->\n", "mermaid", "mermaid", {}, None)


def test_several_arrows_between_two_states_are_drawn_as_one() -> None:
    lines = gathered("stateDiagram-v2\n    A --> B: yes\n    A --> B: no\n").splitlines()
    assert lines == ["stateDiagram-v2", "    A --> B: yes<br>no"]


# ---- who imports whom


def test_the_packages_import_each_other_one_way() -> None:
    found = floors(arrow for arrow in packages() if "local" not in arrow)
    assert found == {"approvals": 0, "records": 1, "cards": 1, "activities": 2, "workflows": 3, "bot": 4}


def test_the_rooms_of_bot_import_each_other_one_way() -> None:
    arrows = rooms()
    assert len(arrows) <= MOST_ARROWS
    assert {name for arrow in arrows for name in arrow} == set(FLOORS)
    assert [arrow for arrow in arrows if FLOORS.index(arrow[0]) < FLOORS.index(arrow[1])] == []


def test_a_circle_of_imports_has_no_floors() -> None:
    with pytest.raises(ValueError, match="in a circle: a, b"):
        floors({("a", "b"), ("b", "a"), ("a", "c")})


def test_an_arrow_that_follows_from_others_is_left_out_of_the_picture() -> None:
    assert reduced({("a", "b"), ("b", "c"), ("a", "c")}) == {("a", "b"), ("b", "c")}


# ---- find your way


def test_each_of_ten_questions_is_answered_by_one_file_and_one_test() -> None:
    page = text_of(DOCS / "how-to" / "find-your-way.md")
    answers = re.findall(r"^\| [^|]+\? \| `([^`]+)` \| `(tests/[^`]+)`, `(test_\w+)` \|$", page, re.MULTILINE)
    assert len(answers) == 10
    assert [file for file, _, _ in answers if file.startswith("tests/") or not (ROOT / file).is_file()] == []
    assert [name for _, file, name in answers if f"def {name}(" not in text_of(ROOT / file)] == []
