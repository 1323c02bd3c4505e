"""Alarms for operators: posted in the channel that the policy names, else sent to each operator directly."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from activities.policies import PolicyFile
from activities.slack.client import FOR_EVER, Begin, Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, NotBegunError, SlackRefusedError
from activities.slack.queue import Urgency
from approvals.people import EmailAddress, Principal, UserGroup
from approvals.policy.model import Policy
from approvals.policy.routing import PolicyError
from approvals.values import Value
from cards import private
from records import notifications
from records.database import Database
from records.notifications import Notification

MOST_OPERATORS = 20
"""Operators who are told directly: a larger group has a channel."""

NOBODY = "policy_names_no_operator"
Delivery = Callable[[Begin], Awaitable[object]]
"""Sends a message that is ready, after it has asked whether it may begin."""


class Alarm(Value):
    """The content of an alarm: for a user, for a card's thread, or for the operators as they are when it is sent."""

    text: str
    user: str = ""
    channel: str = ""
    thread: str = ""


def alarm(key: str, text: str, instance_id: str = "", **to: str) -> Notification:
    """Return the alarm's row: one for each `key`, however many processes see the same. `to` is an Alarm's fields."""
    content = Alarm(text=text, **to).model_dump(exclude_defaults=True)
    return Notification(id=f"alarm/{key}", instance_id=instance_id, kind="alarm", content=content)


class Alarms:
    """Prepares alarms for sending."""

    def __init__(
        self,
        database: Database,
        slack: Slack,
        directory: Directory,
        policies: PolicyFile,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._slack = slack
        self._directory = directory
        self._policies = policies
        self._clock = clock

    async def prepare(self, row: Notification, message_id: str) -> Delivery:
        """Return the call that sends it. Raises: LookupFailedError, SlackRefusedError if the policy names nobody."""
        content = Alarm.model_validate(row.content)
        message = private.sentence(content.text)
        how: dict[str, Any] = {"urgency": Urgency.ANSWER, "patience": FOR_EVER}
        if content.user:
            return lambda begin: self._slack.send_dm(content.user, message, message_id, begin=begin, **how)
        if content.thread:
            how |= {"thread": content.thread}
            return lambda begin: self._slack.post(content.channel, message, message_id, begin=begin, **how)
        policy = await self._policy()
        if not policy.operators_channel:
            people = await self._operators(policy)
            return lambda begin: self._to_each(row, people, begin)

        async def deliver(begin: Begin) -> None:
            try:
                await self._slack.post(policy.operators_channel, message, message_id, begin=begin, **how)
            except SlackRefusedError:  # an archived channel must not keep an alarm back
                await self._to_each(row, await self._operators(policy), begin)

        return deliver

    async def _to_each(self, row: Notification, people: tuple[str, ...], begin: Begin) -> None:
        if not await begin():
            raise NotBegunError
        each = [
            row.model_copy(update={"id": f"{row.id}/{user}", "content": row.content | {"user": user}})
            for user in people
        ]
        async with self._database.write() as connection:
            await notifications.enqueue(connection, each, self._clock())

    async def _policy(self) -> Policy:
        try:
            return await self._policies.current()
        except PolicyError as error:
            raise LookupFailedError(f"The policy cannot be used: {error}") from error

    async def _operators(self, policy: Policy) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for principal in policy.roles.get("operator", ()):
            found |= dict.fromkeys(sorted(await self._users(principal)))
        if not found:
            raise SlackRefusedError("chat.postMessage", NOBODY)
        return tuple(found)[:MOST_OPERATORS]

    async def _users(self, principal: Principal) -> frozenset[str]:
        if isinstance(principal, UserGroup):
            return await self._directory.members(principal.group) or frozenset()
        if isinstance(principal, EmailAddress):
            profile = await self._directory.by_email(principal.email)
            return frozenset({profile.person.user} if profile is not None and not profile.deactivated else ())
        return frozenset({principal.user})
