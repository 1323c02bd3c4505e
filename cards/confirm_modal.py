"""The modal that asks an operator to confirm: pause, resume, terminate, purge, one instance or a bulk's dry run.

Its content is a proposal: at the submission the person is checked again, and a bulk hits only the instances of the dry
run's token.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from approvals.values import Value
from approvals.verbs import IN_SLACK, VERBS
from cards import parts
from cards.binding import UnreadableCardError
from cards.forms import ACTION, METADATA_LIMIT, FieldErrors, chosen_values, typed_value
from cards.lines import line, meaning
from cards.surface import Block, View
from cards.text import clean, cut, length
from cards.values import DryRun, InstanceLine

CALLBACK = "manage_confirm"
BLOCK = "manage_reason"
WITHOUT = "manage_without"
WITHOUT_ACTION = "without"
LONGEST_CONFIRM_REASON = 1000
MOST_PLAN_LINES = 40
LONGEST_OPTION_VALUE = 150
"""Characters of an option's value: an id that is longer can't be left out here."""

LONGEST_OPTION = 75


def _offered(name: str) -> str:
    if name not in IN_SLACK:
        raise ValueError("no such verb")
    return name


class ModalOperation(Value):
    """An operation on one instance, or on all that a dry run's token names. The answer goes to `channel`."""

    verb: Annotated[str, AfterValidator(_offered)]
    instance_id: str = Field(default="", max_length=200)
    token: str = Field(default="", max_length=200)
    channel: str = Field(default="", max_length=40)


class Confirmed(Value):
    """A readable submission. `without` are the instances that are left out of a bulk."""

    operation: ModalOperation
    reason: str
    without: frozenset[str] = frozenset()


def build(operation: ModalOperation, one: InstanceLine, reason: str = "") -> View:
    """Return the modal for one instance, with what will happen and the reason that was typed so far."""
    verb = operation.verb
    blocks = [
        line(one),
        parts.sentence(meaning(one)),
        parts.sentence(VERBS[verb].warning),
        _reason(verb, reason),
    ]
    return _view(operation, tuple(blocks))


def build_bulk(operation: ModalOperation, dry_run: DryRun, reason: str = "") -> View:
    """Return the modal for a bulk: exactly what would be hit. Where that is nothing, there is nothing to confirm."""
    which = f": {parts.typed(dry_run.filter, 300)}" if dry_run.filter else ""
    if not dry_run.total:
        nothing = f"Nothing would be hit{which}. Nothing was done; a wider filter finds more."
        return View(title=_title(operation.verb), close="Close", blocks=(parts.sentence(nothing),))
    plural = "s" * (dry_run.total != 1)
    count = parts.sentence(f"This would {operation.verb} {dry_run.total} workflow{plural}{which}.")
    shown = [line(one) for one in dry_run.lines[:MOST_PLAN_LINES]]
    more = dry_run.total - len(shown)
    rest = [parts.sentence(f"And {more} more, which this list has no room for.")] if more > 0 else []
    blocks = [count, parts.sentence(f"For each: {VERBS[operation.verb].warning}"), *shown, *rest]
    return _view(operation, (*blocks, *_leave_out(dry_run), _reason(operation.verb, reason)))


def result(sentence: str) -> View:
    """Return the modal after the submission, with its result."""
    return View(title="Result", close="Close", blocks=(parts.sentence(sentence),))


def _title(verb: str) -> str:
    return f"{VERBS[verb].label}?"


def _reason(verb: str, reason: str) -> Block:
    element = {"type": "plain_text_input", "action_id": ACTION, "multiline": True, "max_length": LONGEST_CONFIRM_REASON}
    typed = cut(clean(reason), LONGEST_CONFIRM_REASON)
    return {
        "type": "input",
        "block_id": BLOCK,
        "optional": not VERBS[verb].needs_reason,
        "label": parts.plain("Reason", 200),
        "hint": parts.plain("The audit log keeps it with your name.", 200),
        "element": element | ({"initial_value": typed} if typed else {}),
    }


def _leave_out(dry_run: DryRun) -> list[Block]:
    """Return the field for what is left out. Of one alone nothing can be left out: the person cancels."""
    shown = {one.instance_id: one for one in dry_run.lines[:MOST_PLAN_LINES]}
    offered = [one for one in shown.values() if 0 < length(one.instance_id) <= LONGEST_OPTION_VALUE]
    if dry_run.total < 2 or not offered:  # noqa: PLR2004 fewer than two
        return []
    element = {
        "type": "multi_static_select",
        "action_id": WITHOUT_ACTION,
        "placeholder": parts.plain("Choose workflows", 150),
        "options": [_option(one) for one in offered],
    }
    return [
        {
            "type": "input",
            "block_id": WITHOUT,
            "optional": True,
            "label": parts.plain("Leave out", 200),
            "hint": parts.plain("Nothing is done to those that you choose here.", 200),
            "element": element,
        }
    ]


def _option(one: InstanceLine) -> Block:
    about = ", ".join(text for text in (one.what, one.money) if text.strip()) or one.instance_id
    return {"text": parts.plain(about, LONGEST_OPTION), "value": one.instance_id} | (
        {"description": parts.plain(one.instance_id, LONGEST_OPTION)} if one.what.strip() else {}
    )


def _view(operation: ModalOperation, blocks: tuple[Block, ...]) -> View:
    return View(
        title=_title(operation.verb),
        submit=VERBS[operation.verb].label,
        close="Cancel",
        callback_id=CALLBACK,
        private_metadata=operation.model_dump_json(),
        blocks=blocks,
    )


def parse(view: Mapping[str, Any]) -> Confirmed | FieldErrors:
    """Read the `view` of a view_submission. Raises UnreadableCardError if the modal is none of ours."""
    try:
        operation = ModalOperation.model_validate_json(str(view.get("private_metadata") or "")[: METADATA_LIMIT + 1])
    except ValidationError as error:
        raise UnreadableCardError("This form cannot be read, so nothing was done. Type the command again.") from error
    if bool(operation.instance_id) == bool(operation.token):
        raise UnreadableCardError("This form names no workflow, so nothing was done. Type the command again.")
    reason = clean(typed_value(view, BLOCK, ACTION))
    if len(reason) > LONGEST_CONFIRM_REASON:
        return FieldErrors(
            errors={BLOCK: f"Please use at most {LONGEST_CONFIRM_REASON} characters; these are {len(reason)}."}
        )
    if not reason and VERBS[operation.verb].needs_reason:
        return FieldErrors(errors={BLOCK: "Please say in a sentence why: the audit log keeps it."})
    without = frozenset(chosen_values(view, WITHOUT, WITHOUT_ACTION)) if operation.token else frozenset[str]()
    return Confirmed(operation=operation, reason=reason, without=without)
