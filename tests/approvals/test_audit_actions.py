"""The audit's names: one table, and nothing that is written beside it."""

import ast
import typing
from pathlib import Path

import pytest

from approvals.audit_actions import AuditAction
from approvals.state import Record

ROOT = Path(__file__).parents[2]
WRITERS = [path for room in ("activities", "bot", "records") for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize("action", AuditAction)
def test_each_has_a_name_of_two_parts_and_a_meaning(action: AuditAction) -> None:
    assert action.value.count(".") == 1
    assert action.meaning.endswith(".")


def test_whatever_the_machine_records_has_a_name() -> None:
    recorded = typing.get_args(Record.model_fields["action"].annotation)
    assert {AuditAction(f"request.{each}") for each in recorded} <= set(AuditAction)


def texts_given_as_action(tree: ast.AST) -> list[int]:
    """Return the lines that hand a text as `action` to an entry."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Entry")]
    given = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "action"]
    return [value.lineno for value in given if isinstance(value, ast.Constant | ast.JoinedStr)]


@pytest.mark.parametrize("path", WRITERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_entry_is_written_under_a_name_of_its_own(path: Path) -> None:
    assert texts_given_as_action(ast.parse(path.read_text("utf-8"))) == []


def test_a_name_of_its_own_would_be_seen() -> None:
    assert texts_given_as_action(ast.parse('audit.Entry(at=now, action="made.up")')) == [1]
