"""The kinds of request, and a preview of who would be asked."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import Field

from activities.recording import named
from approvals.durations import duration_text
from approvals.policy.fields import FieldType
from approvals.policy.kinds import KindRule
from approvals.policy.reading import ANY
from approvals.policy.routing import NoRoute, Policy, explain, route
from approvals.request import ApprovalRequest
from approvals.values import Moment, Value
from bot.access.authenticating import Caller
from bot.access.refusals import Kind, Refused
from bot.control.operations.asking import Asking

ANY_FIELDS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
"""The schema of a kind that the policy does not declare."""


class FieldShown(Value):
    """A field of a kind."""

    name: str
    label: str
    type: FieldType
    required: bool
    options: tuple[str, ...] = ()


class KindShown(Value):
    """A kind of request. `json_schema` is the JSON Schema of a request's `fields`."""

    kind: str = Field(examples=["access"])
    title: str
    declared: bool = Field(description="whether the policy says what its fields are; else it takes any")
    may_ask: bool = Field(description="whether the caller may ask for it")
    fields: tuple[FieldShown, ...] = ()
    json_schema: dict[str, Any] = Field(serialization_alias="schema")


class PreviewSeat(Value):
    """A kind of yes that a stage would need."""

    name: str = Field(examples=["finance"])
    approvers: tuple[str, ...] = Field(examples=[["group:finance"]])
    needed: int


class PreviewStage(Value):
    """One stage that would be asked. `until` is for one that is asked at once; a later one begins after the others."""

    approvers: tuple[str, ...] = Field(examples=[["group:managers"]])
    needed: int
    seats: tuple[PreviewSeat, ...] = Field(
        (), description="if the stage needs several kinds of yes; each person is one"
    )
    within: str = Field(examples=["3 days"])
    until: Moment | None
    remind: tuple[str, ...] = ()
    escalate: str = ""


class Preview(Value):
    """Who would be asked now. A policy that changes in between may say otherwise."""

    rule: str
    why: str
    automatic: bool = Field(description="nobody is asked: the rule approves by itself")
    policy_version: str
    until: Moment | None = Field(description="when the last stage ends if each takes all its time; null if automatic")
    valid_for: str | None = None
    stages: tuple[PreviewStage, ...] = ()


class Kinds:
    """Reads the policy for those who ask."""

    def __init__(self, asking: Asking, clock: Callable[[], datetime]) -> None:
        self._asking = asking
        self._clock = clock

    async def shown(self, caller: Caller) -> tuple[KindShown, ...]:
        """Return the kinds that the policy declares or has rules for, by name."""
        policy = await self._asking.policy()
        return tuple(
            [
                _kind(policy, name, may_ask=await self._asking.may_ask(caller, policy, name))
                for name in sorted(_names(policy))
            ]
        )

    async def preview(self, request: ApprovalRequest) -> Preview:
        """Return who would be asked. Raises: Refused INVALID if nobody may approve it."""
        policy, now = await self._asking.policy(), self._clock()
        found = route(policy, request)
        if isinstance(found, NoRoute):
            raise Refused(Kind.INVALID, found.sentence)
        told = explain(policy, request).stages
        return Preview(
            rule=found.rule,
            why=found.why,
            automatic=found.automatic,
            policy_version=found.policy_version,
            until=now + sum((each.within for each in found.stages), start=now - now) if found.stages else None,
            valid_for=duration_text(found.valid_for) if found.valid_for else None,
            stages=tuple(
                PreviewStage(
                    approvers=tuple(map(named, stage.approvers)),
                    seats=tuple(
                        PreviewSeat(name=seat.name, approvers=tuple(map(named, seat.any_of)), needed=seat.needed)
                        for seat in stage.seats
                    ),
                    until=now + stage.within if stage is found.stages[0] else None,
                    **said.model_dump(exclude={"approvers", "seats"}),
                )
                for stage, said in zip(found.stages, told, strict=True)
            ),
        )


def _names(policy: Policy) -> set[str]:
    named_by_rules = {kind for rule in policy.rules for kind in rule.when.effective_kinds} - {ANY}
    return {*policy.kinds, *named_by_rules}


def _kind(policy: Policy, name: str, *, may_ask: bool) -> KindShown:
    kind = policy.kinds.get(name)
    declared = kind or KindRule()
    return KindShown(
        kind=name,
        title=declared.title or name,
        declared=kind is not None,
        may_ask=may_ask,
        fields=tuple(
            FieldShown(label=each.shown, **each.model_dump(include={"name", "type", "required", "options"}))
            for each in declared.fields
        ),
        json_schema=ANY_FIELDS if kind is None else kind.json_schema(),
    )
