"""The verbs of /approval that change something: a modal asks to confirm, and who submits it is checked again."""

from slack_bolt.async_app import AsyncAck

from activities.slack.client import Slack
from approvals.verbs import VERBS, Verb
from bot.access.authenticating import Access, Caller
from bot.control.operations.bulk import Bulk
from bot.control.operations.calls import Given
from bot.control.operations.rules import hindrance
from bot.control.operations.single import Operations
from bot.control.reading.overview import Overview
from bot.control.subjects import Subjects
from bot.slack import bulk_words, lines
from bot.slack.answers import NEEDS_ID, Body, answered
from bot.slack.clicks import person_of
from cards import Message, command, confirm_modal, private
from cards.confirm_modal import Confirmed, ModalOperation
from cards.values import DryRun


class Managing:
    """Asks to confirm, then does it."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        access: Access,
        overview: Overview,
        operations: Operations,
        subjects: Subjects,
        bulk: Bulk,
        slack: Slack,
    ) -> None:
        self._access = access
        self._overview = overview
        self._operations = operations
        self._subjects = subjects
        self._bulk = bulk
        self._slack = slack

    async def confirm(self, caller: Caller, verb: Verb, rest: str, body: Body) -> Message | None:
        """Open the modal that asks to confirm; who may not is told so before anything opens."""
        if verb.bulk and bulk_words.is_bulk(rest):
            return await self._confirm_many(caller, verb, rest, body)
        reference, reason = await self._reference(rest)
        if not reference:
            return command.usage(verb.name, NEEDS_ID)
        subject = await self._subjects.find_for(caller, verb.action, reference, in_any_status=True)
        if (text := hindrance(verb, subject)) is not None:
            return private.sentence(f"{subject.name}: {text}")
        operation = ModalOperation(
            verb=verb.name, instance_id=subject.instance_id, channel=str(body.get("channel_id") or "")
        )
        view = confirm_modal.build(
            operation, lines.of_workflow(await self._overview.line(subject), operator=True), reason
        )
        await self._slack.call("views.open", trigger_id=body["trigger_id"], view=view.payload())
        return None

    async def _confirm_many(self, caller: Caller, verb: Verb, rest: str, body: Body) -> Message | None:
        """Open the modal with the dry run: exactly what its token will hit."""
        try:
            typed = bulk_words.parse(verb.name, rest)
        except bulk_words.UnreadableWordsError as error:
            return command.usage(verb.name, str(error))
        plan = await self._bulk.dry_run(caller, verb.name, typed.selection, typed.reason)
        hit = tuple(lines.of_workflow(each, operator=True) for each in plan.lines)
        shown = DryRun(token=plan.token, total=plan.total, lines=hit, filter=plan.filter)
        operation = ModalOperation(verb=verb.name, token=plan.token, channel=str(body.get("channel_id") or ""))
        view = confirm_modal.build_bulk(operation, shown, typed.reason)
        await self._slack.call("views.open", trigger_id=body["trigger_id"], view=view.payload())
        return None

    async def _reference(self, rest: str) -> tuple[str, str]:
        """Return the id and the reason. An id may hold spaces, so the longest beginning that is known wins."""
        words = rest.split()
        for count in range(min(len(words), 8), 1, -1):
            candidate = " ".join(words[:count])
            if await self._subjects.knows(candidate):
                return candidate, " ".join(words[count:])
        return (words[0], " ".join(words[1:])) if words else ("", "")

    async def confirmed(self, ack: AsyncAck, body: Body, view: Body) -> None:
        """Carry out the confirmed action after checking everything again; the modal shows the result."""
        message = await answered(self._carry_out(ack, body, view))
        if message is not None:
            await ack(response_action="update", view=confirm_modal.result(message.text).payload())

    async def _carry_out(self, ack: AsyncAck, body: Body, view: Body) -> Message | None:
        found = confirm_modal.parse(view)
        if not isinstance(found, Confirmed):
            await ack(found.response())
            return None
        caller = await self._access.by_slack(person_of(body))
        if found.operation.token:
            return await self._carry_out_many(caller, found)
        verb, given = VERBS[found.operation.verb], Given(reason=found.reason)
        done = await self._operations.act(caller, verb, found.operation.instance_id, given)
        return private.sentence(f"{done.instance_id}: {done.sentence}")

    async def _carry_out_many(self, caller: Caller, found: Confirmed) -> Message:
        """Start what the dry run has shown, without what is left out. The same submission again is the same start."""
        operation = found.operation
        status = await self._bulk.start(caller, operation.token, found.reason, operation.verb, found.without)
        total = status.total - len(found.without)
        plural, left = "s" * (total != 1), f", {len(found.without)} left out" if found.without else ""
        return private.sentence(
            f"{operation.verb.capitalize()} of {total} workflow{plural} has begun{left}, as {status.workflow}. "
            "/approval bulk shows how far it is."
        )
