"""/w/{id} : one instance, with what happened, why it waits, its card as Slack shows it, and what the reader may do."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from activities.slack.directory import Directory
from activities.slack.rendering import card_view
from approvals.authority import Action, Resource
from approvals.decision import Verdict
from approvals.messages import message_for
from approvals.state import binding_of
from approvals.statuses import status_message
from approvals.values import Value
from approvals.verbs import VERBS
from bot.access.authenticating import Access
from bot.access.refusals import Refused
from bot.control.operations.rules import hindrance
from bot.control.reading.lines import meaning
from bot.control.reading.overview import Listed, Overview, Source, TimeLineEvent
from bot.control.subjects import Subject, Subjects
from bot.dashboard.blocks import CardPart, mentioned, preview
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer, may
from bot.dashboard.sessions import SignedInRequest
from bot.dashboard.waiting import refuse_unknown
from bot.decisions.submitting import Decisions
from cards import request_card
from cards.card_view import Ending

SHOWN_EVENTS = 200
LONGEST_PAYLOAD = 20_000


class Eligibility(Value):
    """Whether the reader may decide the request, and the reason if they were asked and may not."""

    asked: bool = False
    may: bool = False
    why_not: str = ""


class Instances:
    """The page of one instance."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        renderer: PageRenderer,
        overview: Overview,
        subjects: Subjects,
        access: Access,
        decisions: Decisions,
        directory: Directory,
        names: DisplayNames,
    ) -> None:
        self._pages = renderer
        self._overview = overview
        self._subjects = subjects
        self._access = access
        self._decisions = decisions
        self._directory = directory
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the page."""
        router.get("/w/{reference}")(self.show)

    async def show(self, request: Request, reference: str) -> Response:
        """Show one instance."""
        signed_in = await self._pages.enter(request)
        refuse_unknown(reference)
        subject = await self._overview.get(signed_in.caller, reference)
        resource = await self._subjects.resource(signed_in.caller, subject)
        line = await self._overview.line(subject)
        card = await self.card(subject)
        engine = request.query_params.get("events") == "engine"
        events = await self._history(signed_in, subject, resource, "engine" if engine else "business")
        people = [*line.waiting_on, line.requester, *(event.actor for event in events[-SHOWN_EVENTS:] if event.actor)]
        return self._pages.show(
            request,
            signed_in,
            "instance.html",
            line=line,
            subject=subject,
            meaning=meaning(line) or status_message(subject.status),
            card=card,
            standing=await self.standing(signed_in, subject, resource),
            verbs=[
                verb
                for verb in VERBS.values()
                if may(signed_in.caller, verb.action, resource) and hindrance(verb, subject) is None
            ],
            answers=await self._answers(signed_in, subject, resource),
            events=events[-SHOWN_EVENTS:],
            engine=engine,
            following=await self._following(signed_in, subject),
            operator=may(signed_in.caller, Action.LIST),
            hidden=max(0, len(events) - SHOWN_EVENTS),
            payloads=await self._payloads(signed_in, subject),
            audit=may(signed_in.caller, Action.AUDIT_READ),
            names=await self._names.of(people),
        )

    async def _following(self, signed_in: SignedInRequest, subject: Subject) -> Listed:
        """Return the requests that wait for the reader next, and their number, to link them after a decision."""
        if not may(signed_in.caller, Action.LIST, Resource(asked=True)):
            return Listed()
        found = await self._overview.waiting_for(signed_in.caller, limit=2)
        others = tuple(line for line in found.lines if line.id != subject.instance_id)
        return found.model_copy(update={"lines": others[:1]})

    async def card(self, subject: Subject) -> tuple[CardPart, ...]:
        """Return the card as it must look now; empty if no one is asked."""
        row = subject.row
        if row is None or row.state is None:
            return ()
        view = await card_view(self._directory, row.state, _ending(row.output) if row.phase == "terminated" else None)
        blocks = request_card.build(view).blocks
        return preview(blocks, await self._names.of(mentioned(blocks)) or {"": ""})

    async def standing(self, signed_in: SignedInRequest, subject: Subject, resource: Resource) -> Eligibility:
        """Return whether the reader may decide now, for display; the submission checks it again."""
        row = subject.row
        if row is None or row.state is None or row.phase != "waiting":
            return Eligibility()
        if not may(signed_in.caller, Action.DECIDE, resource.model_copy(update={"own": False})):
            return Eligibility()
        try:
            person = await self._access.slack_person(signed_in.caller)
        except Refused as refused:
            return Eligibility(asked=True, why_not=refused.message)
        refusal: Verdict | None = await self._decisions.refusal(binding_of(row.state), person)
        if refusal is not None:
            return Eligibility(asked=True, why_not=message_for(refusal.reason))
        return Eligibility(asked=True, may=True)

    async def _answers(self, signed_in: SignedInRequest, subject: Subject, resource: Resource) -> tuple[Any, ...]:
        if not may(signed_in.caller, Action.SEE_DIAGNOSIS, resource):
            return ()
        return await self._overview.diagnosis(signed_in.caller, subject.instance_id)

    async def _history(
        self, signed_in: SignedInRequest, subject: Subject, resource: Resource, source: Source
    ) -> tuple[TimeLineEvent, ...]:
        if not may(signed_in.caller, Action.SEE_HISTORY, resource):
            return ()
        return await self._overview.history(signed_in.caller, subject.instance_id, source)

    async def _payloads(self, signed_in: SignedInRequest, subject: Subject) -> dict[str, str] | None:
        """Return input and output as readable JSON, None for those who may not see them."""
        if not await self._overview.payloads(signed_in.caller, subject):
            return None
        engine, row = subject.engine, subject.row
        known = {
            "Input": engine.input if engine else None,
            "Output": (engine.output if engine else None) or (row.output if row else None),
            "Failure": engine.failure if engine else None,
        }
        return {name: _readable(text) for name, text in known.items() if text}


def _ending(output: str | None) -> Ending | None:
    try:
        return Ending.model_validate_json(output or "")
    except ValidationError:
        return None


def _readable(text: str) -> str:
    try:
        shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        shown = text
    return shown if len(shown) <= LONGEST_PAYLOAD else f"{shown[:LONGEST_PAYLOAD]}\n… cut here; REST has all of it"
