"""The slash command /approval: see and manage workflows without leaving Slack. Every answer is for the asker alone."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from activities.slack.client import Slack
from approvals.authority import Action, Resource, authorize, fitting
from approvals.decision import Reason
from approvals.messages import message_for
from approvals.people import Person
from approvals.verbs import IN_SLACK, Verb
from bot.access.authenticating import Access, Caller
from bot.control.operations.bulk import Bulk
from bot.control.operations.single import Operations
from bot.control.reading.overview import Overview, may_list_all
from bot.control.subjects import Subjects
from bot.decisions.submissions import WithdrawalSubmission
from bot.decisions.submitting import Decisions
from bot.slack import lines
from bot.slack.answers import NEEDS_ID, Body, answered, naming, words
from bot.slack.clicks import person_of
from bot.slack.home import HomeTab
from bot.slack.managing import Managing
from cards import Message, command, confirm_modal, operations, private
from cards.binding import UnreadableCardError
from cards.paging import ACTIONS, PAGE_SIZE, PageTarget, parse_page
from cards.values import LinePage
from records import listing

log = structlog.get_logger(__name__)


LISTS = {
    "waiting": "Waits for you",
    "mine": "You asked for",
    "decided": "Decided",
    "all": "All requests",
    "running": "All that is open",
}
"""The lists by name, with their titles."""

ALIASES = {"finished": "decided", "me": "waiting"}
LINES_IN_SLACK = 5
"""Lines of each further list below what waits for the asker."""

SEEING = {
    "status": Action.SEE_REQUEST,
    "list": Action.LIST,
    "mine": Action.LIST,
    "decided": Action.LIST,
    "history": Action.SEE_HISTORY,
    "why": Action.SEE_DIAGNOSIS,
    "stats": Action.SEE_STATISTICS,
    "bulk": Action.BULK,
    "withdraw": Action.SEE_REQUEST,
}
"""The verbs that only show something, with what they take."""

WITHDRAWAL_TAKEN = "Your withdrawal is recorded. The card says so as soon as the workflow has taken it."

SPAN = timedelta(days=30)
"""The period of /approval stats."""


class Commands:
    """Answers the slash command, its pages and its confirmations."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        access: Access,
        overview: Overview,
        operations: Operations,
        subjects: Subjects,
        bulk: Bulk,
        decisions: Decisions,
        slack: Slack,
        home: HomeTab,
        clock: Callable[[], datetime],
    ) -> None:
        self._access = access
        self._overview = overview
        self._subjects = subjects
        self._bulk = bulk
        self._managing = Managing(
            access=access, overview=overview, operations=operations, subjects=subjects, bulk=bulk, slack=slack
        )
        self._decisions = decisions
        self._home = home
        self._clock = clock
        self._verbs: dict[str, Callable[[Caller, str, Body], Awaitable[Message | None]]] = {
            "help": self._help,
            "status": self._status,
            "list": self._list,
            "mine": self._mine,
            "decided": self._decided,
            "history": self._history,
            "why": self._why,
            "stats": self._statistics,
            "bulk": self._operations_on_many,
            "withdraw": self._withdraw,
        }

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.command("/approval")(self.run)
        app.action(ACTIONS)(self.turn_page)
        app.view(confirm_modal.CALLBACK)(self._managing.confirmed)

    async def run(self, ack: AsyncAck, body: Body) -> None:
        """Answer one command."""
        verb, rest = words(str(body.get("text") or ""))
        message = await answered(self._dispatch(body, verb.casefold() or "help", rest), about=rest)
        if message is None:
            await ack()
        else:
            await ack(text=message.text, blocks=list(message.blocks), response_type="ephemeral")

    async def _dispatch(self, body: Body, verb: str, rest: str) -> Message | None:
        person = Person(team=str(body.get("team_id") or ""), user=str(body["user_id"]))
        caller = await self._access.by_slack(person)
        if caller.roles_known and not caller.member:
            await self._access.demand(caller, Action.SEE_REQUEST)  # whatever they typed: only members see requests
        if verb in IN_SLACK:
            return await self._managing.confirm(caller, IN_SLACK[verb], rest, body)
        answer = self._verbs.get(verb)
        return command.unknown_verb(verb) if answer is None else await answer(caller, rest, body)

    # ---- seeing -----------------------------------------------------------------------------------------------------

    async def _help(self, caller: Caller, rest: str, body: Body) -> Message:
        hidden = {verb.name for verb in IN_SLACK.values() if not _may(caller, verb)}
        hidden |= {name for name, action in SEEING.items() if not _may_see(caller, action)}
        return command.help_text(frozenset(hidden))

    async def _status(self, caller: Caller, rest: str, body: Body) -> Message:
        if not rest:
            return command.usage("status", NEEDS_ID)
        subject = await self._overview.get(caller, rest)
        line = await self._overview.line(subject)
        return command.status(lines.of_workflow(line, operator=may_list_all(caller)))

    async def _list(self, caller: Caller, rest: str, body: Body) -> Message:
        which = ALIASES.get(rest.casefold(), rest.casefold())
        if not which:
            return await self._lists(caller)
        if which not in LISTS:
            return command.usage("list", f"There is no list “{rest[:40]}”: there are {', '.join(LISTS)}.")
        return await self._page(caller, which, None)

    async def _mine(self, caller: Caller, rest: str, body: Body) -> Message:
        return await self._page(caller, "mine", None)

    async def _decided(self, caller: Caller, rest: str, body: Body) -> Message:
        return await self._page(caller, "decided", None)

    async def _lists(self, caller: Caller) -> Message:
        """Return what waits for the person, what they asked for and, if they may see it, all that is open."""
        names = ("waiting", "mine", "running") if may_list_all(caller) else ("waiting", "mine")
        sections = []
        for name in names:
            page = await self._listed(caller, name, None, PAGE_SIZE if name == "waiting" else LINES_IN_SLACK)
            sections.append((LISTS[name], name, page))
        return command.overview(tuple(sections))

    async def _page(self, caller: Caller, which: str, cursor: str | None) -> Message:
        return command.listing(LISTS[which], which, await self._listed(caller, which, cursor, PAGE_SIZE))

    async def _listed(self, caller: Caller, which: str, cursor: str | None, limit: int) -> LinePage:
        match which:
            case "waiting":
                found = await self._overview.waiting_for(caller, cursor=cursor, limit=limit)
            case "mine":
                found = await self._overview.page(caller, listing.Filter(), cursor=cursor, limit=limit, mine=True)
            case "decided":
                over = listing.Filter(finished_before=self._clock())
                found = await self._overview.page(caller, over, sort="ended", cursor=cursor, limit=limit)
            case "running":
                still = listing.Filter(unfinished=True)
                found = await self._overview.page(caller, still, sort="deadline", cursor=cursor, limit=limit)
            case _:
                found = await self._overview.page(caller, listing.Filter(), cursor=cursor, limit=limit)
        return lines.of_page(found, operator=may_list_all(caller))

    async def _history(self, caller: Caller, rest: str, body: Body) -> Message:
        if not rest:
            return command.usage("history", NEEDS_ID)
        return await self._history_page(caller, rest, 0)

    async def _history_page(self, caller: Caller, argument: str, start: int) -> Message:
        """Return a page of what happened; with `engine` behind the id, of the engine's own events."""
        words = argument.split()
        engine = len(words) > 1 and words[-1].casefold() == "engine"
        reference = " ".join(words[:-1]) if engine else argument
        events = await self._overview.history(caller, reference, "engine" if engine else "business")
        shown = tuple(map(lines.of_history, events[start : start + PAGE_SIZE]))
        before = PageTarget(verb="history", argument=argument, cursor=str(max(0, start - PAGE_SIZE))) if start else None
        more = start + PAGE_SIZE < len(events)
        after = PageTarget(verb="history", argument=argument, cursor=str(start + PAGE_SIZE)) if more else None
        return command.history(reference, shown, before, after)

    async def _why(self, caller: Caller, rest: str, body: Body) -> Message:
        if not rest:
            return command.usage("why", NEEDS_ID)
        return command.why(rest, await self._overview.diagnosis(caller, rest))

    async def _statistics(self, caller: Caller, rest: str, body: Body) -> Message:
        return command.statistics(lines.of_statistics(await self._overview.statistics(caller, self._clock() - SPAN)))

    async def _withdraw(self, caller: Caller, rest: str, body: Body) -> Message:
        """Take back what the asker has asked for: `withdraw ID reason`."""
        reference, reason = words(rest)
        if not reference:
            return command.usage("withdraw", NEEDS_ID)
        subject = await self._overview.get(caller, reference)
        if caller.person is None:
            return private.sentence(message_for(Reason.UNKNOWN_PERSON, withdrawal=True))
        wanted = WithdrawalSubmission(
            id=f"slash-{uuid.uuid4().hex}",
            instance_id=subject.instance_id,
            person=caller.person,
            reason=reason[:1000],
            through="slack",
        )
        receipt = await self._decisions.take(wanted)
        if not receipt.taken:
            return private.sentence(naming(reference, message_for(receipt.verdict.reason, withdrawal=True)))
        return private.sentence(naming(reference, WITHDRAWAL_TAKEN))

    async def _operations_on_many(self, caller: Caller, rest: str, body: Body) -> Message:
        """Return the operations on many; `bulk list` is the same."""
        return operations.listing(tuple(map(lines.of_operation, await self._bulk.listed(caller, PAGE_SIZE))))

    async def turn_page(self, ack: AsyncAck, body: Body, action: Body, respond: Callable[..., Awaitable[Any]]) -> None:
        """Show another page in the place of the one whose button was clicked."""
        await ack()
        try:
            page = parse_page(action.get("value"))
        except UnreadableCardError as error:
            if body.get("response_url"):
                await respond(text=str(error), response_type="ephemeral", replace_original=False)
            return
        if page.verb == "home":
            await self._home.turn_page(person_of(body), page)
            return
        message = await answered(self._turned(body, page))
        if message is not None and body.get("response_url"):
            await respond(
                text=message.text, blocks=list(message.blocks), response_type="ephemeral", replace_original=True
            )

    async def _turned(self, body: Body, page: PageTarget) -> Message:
        caller = await self._access.by_slack(person_of(body))
        if page.verb == "history":
            return await self._history_page(caller, page.argument, page.start)
        return await self._page(caller, page.argument if page.argument in LISTS else "all", page.cursor or None)


def _may(caller: Caller, verb: Verb) -> bool:
    """Whether the caller's role includes a verb, in whatever status."""
    return authorize(caller.as_actor, verb.action, Resource(status=fitting(verb.action))).allowed


def _may_see(caller: Caller, action: Action) -> bool:
    """Whether there can be anything that the caller may see: their own, what asks them, or all."""
    return authorize(caller.as_actor, action, Resource(own=True, asked=True)).allowed
