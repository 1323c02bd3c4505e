"""/w/{id}/{verb} and /w/{id}/decide : the page that asks why, then the call. Nothing is done by a link alone."""

import hashlib
import secrets
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from approvals.authority import Action
from approvals.decision import Reason, Verdict
from approvals.messages import message_for
from approvals.state import binding_of
from approvals.verbs import VERBS, Verb
from bot.access.authenticating import Access
from bot.access.refusals import CORRECTABLE, Kind, Refused
from bot.control.operations.calls import Given
from bot.control.operations.rules import hindrance
from bot.control.operations.single import Operations, as_json
from bot.control.reading.overview import Overview
from bot.control.subjects import Subject, Subjects
from bot.dashboard.forms import LONGEST_FORM_REASON, typed
from bot.dashboard.instance import Instances
from bot.dashboard.page_renderer import PageRenderer
from bot.dashboard.rendering import segment
from bot.dashboard.sessions import SignedInRequest
from bot.dashboard.waiting import refuse_unknown
from bot.decisions.submissions import DecisionSubmission, SubmissionReceipt
from bot.decisions.submitting import Decisions
from cards.binding import UnreadableCardError, binding_value, parse_binding

SOON_S = 3.0
"""Seconds in which the workflow usually answers; after that the page says that it is recorded."""

RERUN_FROM = frozenset({"TaskScheduled", "TimerCreated", "SubOrchestrationInstanceCreated"})
NEEDS_REASON = "Say why: the audit keeps it with your name."
TOO_LONG = f"The reason is too long, so nothing was done. Shorten it to {LONGEST_FORM_REASON} characters."
RECORDED = (
    "Your answer is recorded and not yet decided: the workflow has not answered so far. This page shows the outcome as "
    "soon as there is one; you need not answer again."
)


class Acting:
    """Confirms, then does."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        renderer: PageRenderer,
        overview: Overview,
        subjects: Subjects,
        operations: Operations,
        decisions: Decisions,
        access: Access,
        instances: Instances,
    ) -> None:
        self._pages = renderer
        self._overview = overview
        self._subjects = subjects
        self._operations = operations
        self._decisions = decisions
        self._access = access
        self._instances = instances

    def register(self, router: APIRouter) -> None:
        """Add the pages; the decision first, for its address would fit a verb's too."""
        router.get("/w/{reference}/decide")(self.ask_decision)
        router.post("/w/{reference}/decide")(self.decide)
        router.get("/w/{reference}/{verb}")(self.ask)
        router.post("/w/{reference}/{verb}")(self.act)

    # ---- managing ---------------------------------------------------------------------------------------------------

    async def ask(self, request: Request, reference: str, verb: str) -> Response:
        """Ask why, and whether it is really wanted."""
        signed_in, subject, wanted = await self._entered(request, reference, verb)
        if (text := hindrance(wanted, subject)) is not None:
            return self._pages.go(request, f"/w/{segment(subject.instance_id)}", f"{subject.name}: {text}", good=False)
        return await self._confirm(request, signed_in, subject, wanted, {}, "")

    async def act(self, request: Request, reference: str, verb: str) -> Response:
        """Carry out the confirmed action."""
        signed_in, subject, wanted = await self._entered(request, reference, verb)
        form = await self._pages.form(request, signed_in)
        given = {name: typed(value) for name, value in form.items()}
        reason = given.get("reason", "")
        if not reason or len(reason) > LONGEST_FORM_REASON:
            mistake = TOO_LONG if reason else NEEDS_REASON
            return await self._confirm(request, signed_in, subject, wanted, given, mistake)
        try:
            done = await self._operations.act(
                signed_in.caller, wanted, subject.instance_id, _given(wanted, given, reason)
            )
        except Refused as refusal:
            if refusal.kind not in CORRECTABLE:
                raise
            return await self._confirm(request, signed_in, subject, wanted, given, refusal.message)
        return self._pages.go(request, f"/w/{segment(done.instance_id)}", done.sentence, good=done.changed)

    async def _entered(self, request: Request, reference: str, verb: str) -> tuple[SignedInRequest, Subject, Verb]:
        signed_in = await self._pages.enter(request)
        refuse_unknown(reference)
        if verb not in VERBS:
            raise Refused(Kind.NOT_FOUND, "There is no such page. Open the workflow and choose what to do there.")
        subject = await self._subjects.find_for(signed_in.caller, VERBS[verb].action, reference, in_any_status=True)
        await self._subjects.demand(signed_in.caller, Action.SEE_REQUEST, subject)
        return signed_in, subject, VERBS[verb]

    async def _confirm(  # noqa: PLR0913, PLR0917 what the page shows
        self,
        request: Request,
        signed_in: SignedInRequest,
        subject: Subject,
        verb: Verb,
        given: Mapping[str, str],
        mistake: str,
    ) -> Response:
        events = await self._overview.history(signed_in.caller, subject.instance_id) if verb.name == "rerun" else ()
        return self._pages.show(
            request,
            signed_in,
            "confirm.html",
            status=422 if mistake else 200,
            line=await self._overview.line(subject),
            verb=verb,
            given=given,
            mistake=mistake,
            points=[event for event in events if event.event_id is not None and event.type in RERUN_FROM],
        )

    # ---- deciding ---------------------------------------------------------------------------------------------------

    async def ask_decision(self, request: Request, reference: str) -> Response:
        """Show the request that is decided, and ask for a reason."""
        signed_in = await self._pages.enter(request)
        refuse_unknown(reference)
        approved = request.query_params.get("answer") != "reject"
        return await self._decision_page(request, signed_in, reference, approved=approved)

    async def decide(self, request: Request, reference: str) -> Response:
        """Submit the decision (law: a decision is bound to what was shown)."""
        signed_in = await self._pages.enter(request)
        refuse_unknown(reference)
        form = await self._pages.form(request, signed_in)
        approved, reason = form.get("answer") == "approve", typed(form.get("reason", ""))
        if form.get("answer") not in {"approve", "reject"}:
            raise Refused(
                Kind.INVALID, "The form does not say whether to approve or to reject, so nothing was decided."
            )
        if len(reason) > LONGEST_FORM_REASON or not (approved or reason):
            mistake = TOO_LONG if reason else message_for(Reason.REASON_MISSING)
            return await self._decision_page(
                request, signed_in, reference, approved=approved, reason=reason, mistake=mistake
            )
        receipt = await self._take(signed_in, reference, form, approved=approved, reason=reason)
        verdict: Verdict | None = receipt.verdict
        if receipt.taken:
            verdict = await self._decisions.answer(receipt, SOON_S)
        text = RECORDED if verdict is None else message_for(verdict.reason)
        return self._pages.go(request, f"/w/{segment(reference)}", text, good=verdict is None or verdict.allowed)

    async def _take(
        self, signed_in: SignedInRequest, reference: str, form: Mapping[str, object], *, approved: bool, reason: str
    ) -> SubmissionReceipt:
        subject = await self._overview.get(signed_in.caller, reference)
        await self._subjects.demand(signed_in.caller, Action.DECIDE, subject)
        try:
            binding = parse_binding(str(form.get("binding", "")))
        except UnreadableCardError as error:
            raise Refused(Kind.INVALID, str(error)) from error
        if binding.instance_id != subject.instance_id:
            raise Refused(Kind.INVALID, message_for(Reason.WRONG_INSTANCE))
        # The id is made of the session and the form: sent twice it is the same decision, and nobody can name another's.
        seed = f"{signed_in.session.id}\n{subject.instance_id}\n{form.get('once', '')}"
        wanted = DecisionSubmission(
            id=f"page-{hashlib.sha256(seed.encode()).hexdigest()[:40]}",
            instance_id=subject.instance_id,
            binding=binding,
            person=await self._access.slack_person(signed_in.caller),
            approved=approved,
            reason=reason,
            through="dashboard",
        )
        return await self._decisions.take(wanted)

    async def _decision_page(  # noqa: PLR0913 what the page shows
        self,
        request: Request,
        signed_in: SignedInRequest,
        reference: str,
        *,
        approved: bool,
        reason: str = "",
        mistake: str = "",
    ) -> Response:
        subject = await self._overview.get(signed_in.caller, reference)
        await self._subjects.demand(signed_in.caller, Action.DECIDE, subject)
        row = subject.row
        if row is None or row.state is None or row.phase != "waiting":
            raise Refused(Kind.CONFLICT, message_for(Reason.REQUEST_OVER))
        return self._pages.show(
            request,
            signed_in,
            "decide.html",
            status=422 if mistake else 200,
            line=await self._overview.line(subject),
            card=await self._instances.card(subject),
            approved=approved,
            reason=reason,
            binding=binding_value(binding_of(row.state)),
            once=secrets.token_urlsafe(12),
            mistake=mistake,
        )


def _given(verb: Verb, form: Mapping[str, str], reason: str) -> Given:
    """Return the form's values. Raises: Refused for a missing field that the verb needs."""
    match verb.name:
        case "rerun":
            return Given(reason=reason, event_id=_event_id(form.get("event_id", "")), new_id=form.get("new_id") or None)
        case "raise-event":
            payload = as_json(form.get("payload", ""))
            if not form.get("name"):
                raise Refused(Kind.INVALID, "The event needs a name, such as payment_confirmed.")
            return Given(reason=reason, event=form["name"], payload=payload)
        case _:
            return Given(reason=reason)


def _event_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 more do not fit the engine's number
        raise Refused(Kind.CONFLICT, "Choose the event to run again from.")
    return int(text)
