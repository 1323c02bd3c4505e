"""Turn a caller's input into a request that can be started: the policy's kinds, money, the requester."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ConfigDict, Field

from activities.callbacks import BadCallbackError, Callbacks
from activities.policies import PolicyFile
from activities.recording import named
from approvals.authority import Action
from approvals.people import Principal, UserGroup
from approvals.policy.condition import ORDER
from approvals.policy.kinds import FieldsError
from approvals.policy.routing import Policy, PolicyError
from approvals.request import ApprovalRequest
from approvals.requesters import canonical
from approvals.values import Value
from approvals.webhooks import Callback, Event
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused, unusable
from bot.control.operations.ids import ORDER_ID, ORDER_ID_SENTENCE
from bot.control.subjects import Subjects
from cards.money import decimals
from cards.text import clean

LARGEST_AMOUNT = Decimal(10) ** 12
"""Above this an amount is a mistake, in any currency."""

MOST_REQUEST_FIELDS = 20


class RequestInput(Value):
    """A caller's input. All but kind and subject is optional; without a requester the caller is the requester."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str = ORDER
    subject: str
    amount: Decimal | None = None
    currency: str | None = None
    description: str = ""
    details: dict[str, str] = Field(default_factory=dict)
    fields: dict[str, Any] = Field(default_factory=dict)
    requester: str | None = None
    callback: str | None = None
    callback_events: tuple[Event, ...] = ()


class Asking:
    """Makes requests of callers' inputs. Raises: Refused INVALID with a message for each mistake, NOT_ALLOWED."""

    def __init__(
        self,
        policies: PolicyFile,
        access: Access,
        subjects: Subjects,
        callbacks: Callbacks,
        clock: Callable[[], datetime],
    ) -> None:
        self._callbacks = callbacks
        self._policies = policies
        self._access = access
        self._subjects = subjects
        self._clock = clock

    async def policy(self) -> Policy:
        """Return the policy. Raises: Refused UNAVAILABLE while it cannot be read (law: fail closed)."""
        try:
            return await self._policies.current()
        except PolicyError as error:
            raise Refused(Kind.UNAVAILABLE, f"The policy cannot be used, so nothing was started. {error}") from error

    async def request(self, caller: Caller, asked: RequestInput) -> ApprovalRequest:
        """Return the request that a caller asks for."""
        policy = await self.policy()
        if asked.kind == ORDER and (asked.amount is None or not ORDER_ID.fullmatch(asked.subject)):
            raise Refused(
                Kind.INVALID, "The amount of the order is missing." if asked.amount is None else ORDER_ID_SENTENCE
            )
        await self._demand_kind(caller, policy, asked.kind)
        try:
            return ApprovalRequest(
                kind=asked.kind,
                subject=asked.subject,
                description=asked.description,
                **self._content(policy, asked),
                **_money(policy, asked),
                requester=await self._requester(caller, asked.requester),
                submitted_by=caller.email,
            )
        except ValueError as error:
            raise unusable(error) from error

    def _content(self, policy: Policy, asked: RequestInput) -> dict[str, dict[str, str]]:
        """Return the fields, checked if the policy declares the kind, and the details."""
        kind = policy.kinds.get(asked.kind)
        if kind is None:
            return {"fields": _as_texts(asked.fields), "details": asked.details}
        if asked.details:
            has = ", ".join(each.name for each in kind.fields) or "none"
            raise Refused(Kind.INVALID, f"A request of the kind {asked.kind} has no details; its fields are: {has}.")
        try:
            return {"fields": kind.checked(asked.fields, self._clock().date())}
        except FieldsError as error:
            raise Refused(Kind.INVALID, str(error), problems=error.problems) from error

    async def callback(self, caller: Caller, asked: RequestInput) -> Callback | None:
        """Return where the end is told: the caller's own callback, or else the effect of the kind."""
        if asked.callback is not None:
            if not caller.key_id:
                raise Refused(Kind.INVALID, "A callback is signed by the secret of an API key: ask with one.")
            try:
                self._callbacks.also(caller.callback_hosts).demand(asked.callback)
            except BadCallbackError as error:
                raise Refused(Kind.INVALID, str(error)) from error
            return Callback(url=asked.callback, signer=caller.key_id, events=asked.callback_events)
        if asked.callback_events:
            raise Refused(Kind.INVALID, "There are callback_events and no callback: name its address.")
        kind = (await self.policy()).kinds.get(asked.kind)
        return Callback(url=kind.effect, signer=f"kind:{asked.kind}") if kind and kind.effect else None

    async def may_ask(self, caller: Caller, policy: Policy, kind: str) -> bool:
        """Return whether a kind's `who` names the caller; a kind that names nobody, or is not declared, takes all."""
        if caller.kinds is not None and kind not in caller.kinds:
            return False
        who = policy.kinds[kind].who if kind in policy.kinds else ()
        if not who:
            return True
        wanted = {named(_resolved(policy, each)) for each in who}
        return not wanted.isdisjoint(await self._subjects.principals(caller, wanted))

    async def _demand_kind(self, caller: Caller, policy: Policy, kind: str) -> None:
        if not await self.may_ask(caller, policy, kind):
            raise Refused(
                Kind.NOT_ALLOWED,
                f"You may not ask for {_title(policy, kind)}: the policy says who may. Nobody was asked.",
            )

    async def _requester(self, caller: Caller, written: str | None) -> str:
        """Return for whom it is asked. Raises: Refused NOT_ALLOWED unless the caller may ask for others."""
        if written is None:
            return canonical(caller.email)
        found = canonical(clean(written))
        if not found:
            raise Refused(
                Kind.INVALID,
                "The requester must name somebody: an e-mail or a Slack user id; leave it out to ask for yourself.",
            )
        if found.casefold() != canonical(caller.email).casefold():
            await self._access.demand(caller, Action.ASK_FOR_OTHERS)
        return found


def _title(policy: Policy, kind: str) -> str:
    return (policy.kinds[kind].title if kind in policy.kinds else "") or kind


def _resolved(policy: Policy, principal: Principal) -> Principal:
    if isinstance(principal, UserGroup):
        return UserGroup(group=policy.groups.get(principal.group, principal.group))
    return principal


def _as_texts(fields: dict[str, Any]) -> dict[str, str]:
    """Return the fields of a kind that the policy does not declare. Raises: Refused for one that is no single value."""
    wrong = next((name for name, value in fields.items() if not isinstance(value, str | int | float | Decimal)), None)
    if wrong is not None:
        raise Refused(Kind.INVALID, f"The field {wrong[:60]!r} must be a text, a number, true or false.")
    shown = {True: "yes", False: "no"}
    return {name: shown[each] if isinstance(each, bool) else str(each) for name, each in fields.items()}


def _money(policy: Policy, asked: RequestInput) -> dict[str, Any]:
    if asked.amount is None:
        if asked.currency is not None:
            raise Refused(Kind.INVALID, "There is a currency and no amount. Send both, or neither.")
        return {}
    currency = (asked.currency or policy.currency).upper()
    return {"amount": in_minor_units(asked.amount, currency), "currency": currency}


def usable_amount(amount: Decimal) -> Decimal:
    """Return the amount. Raises: ValueError with a message for each thing that is wrong with it."""
    if not amount.is_finite():
        raise ValueError("the amount must be a number")
    if amount < 0:
        raise ValueError("the amount must not be negative: refunds are not approved here")
    if amount > LARGEST_AMOUNT:
        raise ValueError(f"the amount must be at most {LARGEST_AMOUNT:,.0f}: a larger one is taken for a mistake")
    return amount.copy_abs()  # "-0" is zero


def in_minor_units(amount: Decimal, currency: str) -> Decimal:
    """Return the amount with as many decimal places as the currency has. Raises: Refused INVALID."""
    try:
        usable = usable_amount(amount)
    except ValueError as error:
        raise Refused(Kind.INVALID, f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    places = decimals(currency)
    if usable != round(usable, places):
        raise Refused(
            Kind.INVALID, f"The amount has more than {places} decimal places, which {currency} does not have."
        )
    return round(usable, places)
