"""Who may do what, end to end: generated rows of actor, action, state and transport against one running system.

Each row is really tried, and what happened (the answer, the engine's state and the audit) is held against what the one
authorization function says. The command line is a REST client, and the app cannot tell it from another program.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.authority import TABLE, Action, Resource, authorize
from approvals.decision import Reason, Verdict
from approvals.messages import message_for
from approvals.signing import Purpose
from approvals.statuses import ENDED, STOPPABLE, Status
from approvals.verbs import VERBS
from cards import request_card
from local.slack import payloads
from records import keys
from tests.end_to_end.system import CHANNEL, Order, System, buttons_of, eventually
from tests.end_to_end.transports import (
    ASKED,
    EVERY,
    OPERATOR,
    PEOPLE,
    POLICY,
    SEEING,
    TRANSPORTS,
    Answer,
    Dashboard,
    Rest,
    Slash,
    Who,
    actor,
)

SETTINGS = {"policy": POLICY}


@dataclass
class Tally:
    """Rows, and what differed. A row says actor, action, state and transport."""

    transport: Rest
    rows: int = 0
    over: list[str] = field(default_factory=list)
    under: list[str] = field(default_factory=list)
    muddled: list[str] = field(default_factory=list)

    def row(self, who: Who, action: Action, state: str, *, may: bool, happened: bool, answer: Answer) -> None:
        """Compare what may be with what happened."""
        said = " ".join(answer.text[:200].split())
        shown = f"{who.name} | {action} | {state} | {self.transport.name}: {answer.kind}: {said}"
        self.rows += 1
        self.over += [shown] if happened and not may else []
        self.under += [shown] if may and not happened else []

    def check(self, at_least: int) -> None:
        assert self.over == [], "OVER-GRANTED:\n" + "\n".join(self.over)
        assert self.under == [], "UNDER-GRANTED:\n" + "\n".join(self.under)
        assert self.muddled == [], "ANSWERED WRONGLY:\n" + "\n".join(self.muddled)
        assert self.rows >= at_least
        print(f"{self.transport.name}: {self.rows} rows, 0 over-grants, 0 under-grants")  # noqa: T201 shown with -s


STATES: tuple[Status, ...] = ("PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "FAILED", "TERMINATED")
BECOMES = {Action.PAUSE: "SUSPENDED", Action.RESUME: "RUNNING", Action.TERMINATE: "TERMINATED", Action.PURGE: ""}
CONSUMING = frozenset({Action.TERMINATE, Action.PURGE})
NOT_BEFORE_ITS_START = (Action.RAISE_EVENT, "PENDING")
"""Granted, and still not done: any event would start a workflow that is scheduled for later."""

ONLY_IN_PAYLOADS = "submitted_by"
STARTED = {Action.START_ORDER: "order-{}-workflow", Action.START_WORKFLOW: "{}-named"}
MARKS = {Action.SEE_HISTORY: "ExecutionStarted", Action.SEE_PAYLOADS: ONLY_IN_PAYLOADS}


class Stock:
    """Instances in every status, shared by those who change nothing, and fresh ones for who ends or purges them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.serial = 0
        self._database = sqlite3.connect(system.settings.database_url.removeprefix("sqlite:///"), timeout=30)
        self._shared: dict[Status, Order] = {}

    def name(self) -> str:
        self.serial += 1
        return self.system.order_id(f"m{self.serial}")

    def manage(self, verb: str, order: Order) -> None:
        body = {"reason": "made for the matrix"}
        path = f"/workflows/{order.instance_id}/{verb}"
        answer = self.system.post(path, body, by=OPERATOR.email, roles=("operator",))
        assert answer.is_success, answer.text

    def asking(self, requester: str, amount: str = "2400") -> Order:
        """Start an order of somebody: below 5000 the managers are asked, from there on the vice presidents."""
        order_id, body = self.name(), {"amount": amount, "requester": requester}
        answer = self.system.post(f"/orders/{order_id}/start", body, by=OPERATOR.email, roles=("operator",))
        assert answer.is_success, answer.text
        return Order(self.system, order_id)

    def binding(self, order: Order) -> str:
        """Return the value of the card's buttons."""
        return str(buttons_of(order.card())[request_card.APPROVE]["value"])

    def later(self) -> Order:
        order_id, moment = self.name(), datetime.now(UTC) + timedelta(hours=1)
        value = {"subject": order_id, "amount": "2400", "currency": "USD", "requester": "requester@example.com"}
        order = Order(self.system, order_id)
        body = {"name": "approval_workflow", "instance_id": order.instance_id, "input": value}
        body |= {"start_at": moment.isoformat()}
        answer = self.system.post("/workflows", body, by=OPERATOR.email, roles=("operator",))
        assert answer.is_success, answer.text
        return order

    def fresh(self, states: Iterable[Status]) -> list[tuple[Status, Order]]:
        """Make an instance in each of the statuses, all of them at once."""
        found = [(state, self._begun(state)) for state in states]
        for state, order in found:
            if state not in {"PENDING", "COMPLETED"}:
                order.card()
            if state == "SUSPENDED":
                self.manage("pause", order)
            if state == "TERMINATED":
                self.manage("terminate", order)
            if state == "FAILED":
                self.system.engine.resume_workflow(order.instance_id)  # what resuming does to what runs
        for state, order in found:
            eventually(lambda order=order, state=state: order.status() == state)  # type: ignore[misc]  # bound now
        return found

    def _begun(self, state: str) -> Order:
        amount = "20" if state == "COMPLETED" else "2400"
        return self.later() if state == "PENDING" else self.asking("requester@example.com", amount)

    def shared(self) -> dict[Status, Order]:
        if not self._shared:
            self._shared.update(self.fresh(STATES))
        return self._shared

    def status(self, instance_id: str) -> str:
        """Return the engine's status; nothing for an instance that it does not have."""
        state = self.system.engine.get_workflow_state(instance_id, fetch_payloads=False)
        return str(state.runtime_status.name) if state else ""

    def settled(self, instance_id: str, wanted: str) -> str:
        """Return the status once it is as wanted, or what it is when that does not come: the engine needs a moment."""
        with contextlib.suppress(AssertionError):
            eventually(lambda: self.status(instance_id) == wanted)
        return self.status(instance_id)

    def audited(self, instance_id: str, action: str) -> int:
        query = "select count(*) from audit where instance_id = ? and action = ?"
        found = self._database.execute(query, (instance_id, action)).fetchone()
        return int(found[0])

    def effects(self, instance_id: str, action: Action) -> int:
        """Return how often this was done to an instance, as the audit has it."""
        name = f"workflow.{action.value}"
        return self.audited(instance_id, name) - self.audited(instance_id, f"{name}_failed")

    def made(self, name: str) -> bool:
        """Return whether anything has come to be under a name: a key, an order, a workflow."""
        known = self._database.execute("select count(*) from keys where name = ?", (name,)).fetchone()
        return bool(known[0]) or any(self.status(each.format(name)) for each in STARTED.values())

    def event(self, order: Order) -> int:
        """Return an event that a finished instance can run again from."""
        path = f"/workflows/{order.instance_id}/history"
        key = {"Authorization": f"Bearer {self.system.token(OPERATOR.email, 'operator')}"}
        events = self.system.http.get(path, headers=key).json()["events"]
        return next((int(each["event_id"]) for each in events if each["type"] == "TaskScheduled"), 0)

    def close(self) -> None:
        self._database.close()


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the command line from reading somebody's .env."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the app's lines away: its thread shares standard output with the commands under test."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def stock(system: System) -> Iterator[Stock]:
    with contextlib.closing(Stock(system)) as found:
        yield found


@pytest.fixture(scope="module")
def keyring(system: System) -> dict[str, str]:
    """Make everybody's key. Each good one is used at once: wrong ones from the same address have to wait later."""
    found = {who.name: made(system, who) for who in PEOPLE}
    for who in PEOPLE:
        answer = system.http.get("/workflows", headers={"Authorization": f"Bearer {found[who.name]}"})
        assert (answer.status_code == 401) is (who.key != "good"), (who, answer.text)
    return found


def made(system: System, who: Who) -> str:
    if who.key == "made up":
        return f"cs_{'0' * 12}_{'a' * 43}"
    secret, now = system.settings.keys.subkey(Purpose.API_KEY), datetime.now(UTC)
    roles = tuple(who.roles) if who.key == "good" else tuple(EVERY)

    async def make(connection: AsyncConnection) -> str:
        key, token = await keys.create(
            connection,
            secret,
            now,
            name=who.name,
            person=who.email,
            roles=roles,
            created_by="test",
            scopes=None if who.scopes is None else tuple(who.scopes),
        )
        if who.key == "revoked":
            await keys.revoke(connection, key.id, now)
        return token

    return system.records(make, write=True)


@pytest.fixture(params=TRANSPORTS, ids=[each.name for each in TRANSPORTS])
def transport(request: pytest.FixtureRequest, system: System, keyring: dict[str, str]) -> Rest:
    made_of: Callable[[System, dict[str, str]], Rest] = request.param
    return made_of(system, keyring)


def verdict(who: Who, transport: Rest, action: Action, resource: Resource) -> Verdict:
    """Return what the one function says. Pages about an instance show it, so they need that right first."""
    first = (Action.SEE_REQUEST,) if isinstance(transport, Dashboard) and resource.status else ()
    said = [authorize(actor(who, transport), each, resource) for each in (*first, action)]
    return next((each for each in said if not each.allowed), said[-1])


def resource(who: Who, requester: str, asked: str, status: Status) -> Resource:
    return Resource(status=status, own=who.email == requester, asked=who.user in ASKED[asked])


def managing(transport: Rest, states: Iterable[Status]) -> Iterator[tuple[Who, str, Status]]:
    """Give the rows of one transport: the operator in every status, the others where it would do the most.

    Over REST those whom a key names try each status that fits, and RUNNING, where it mostly does not.
    """
    for who, verb, state in product(PEOPLE, transport.verbs, states):
        fits = TABLE[VERBS[verb].action].statuses or frozenset()
        named = type(transport) is Rest and who.key == "good" and state in {"RUNNING", *fits}
        if who is OPERATOR or named or state == min(fits):
            yield who, verb, state


def test_managing_is_for_whom_the_function_says_and_changes_nothing_otherwise(transport: Rest, stock: Stock) -> None:
    shared, tally = stock.shared(), Tally(transport)
    events = {state: stock.event(order) for state, order in shared.items()}
    fitting = [("terminate", state) for state in STOPPABLE] + [("purge", state) for state in ENDED]
    spare = dict(zip(fitting, stock.fresh([state for _, state in fitting]), strict=True))
    for who, verb, state in managing(transport, shared):
        action = VERBS[verb].action
        said = verdict(who, transport, action, resource(who, "requester@example.com", "managers", state))
        order = spare.pop((verb, state))[1] if said.allowed and action in CONSUMING else shared[state]
        try_one(tally, stock, who, (verb, state, order, events[state]), said)
    assert spare == {}
    tally.check(56)


def test_a_note_stands_in_the_history_by_every_face(transport: Rest, stock: Stock) -> None:
    instance_id = stock.asking("requester@example.com").instance_id
    answer = transport.act(OPERATOR, "note", instance_id, "", 0)
    assert answer.kind == "done", answer.text
    events = Rest(transport.system, transport.keyring).see(OPERATOR, instance_id)[Action.SEE_HISTORY].text
    assert '"source":"business","type":"workflow.note"' in events
    assert '"text":"tried"' in events
    assert (stock.effects(instance_id, Action.NOTE), stock.status(instance_id)) == (1, "RUNNING")


def try_one(tally: Tally, stock: Stock, who: Who, what: tuple[str, str, Order, int], said: Verdict) -> None:
    verb, state, order, event = what
    action, new, instance = VERBS[verb].action, stock.name(), order.instance_id
    assert stock.settled(instance, state) == state
    before = stock.effects(instance, action)
    may = said.allowed and (action, state) != NOT_BEFORE_ITS_START
    answer = tally.transport.act(who, verb, instance, new, event)
    after = stock.settled(instance, BECOMES.get(action, state) if may else state)
    effects = stock.effects(instance, action) - before
    happened = effects > 0 or after != state or stock.status(new) != ""
    tally.row(who, action, state, may=may, happened=happened, answer=answer)
    refused = said.reason is Reason.NOT_PERMITTED
    if (answer.kind == "refused") is not refused or (may and (effects, after) != (1, BECOMES.get(action, state))):
        tally.muddled.append(f"{who.name} | {action} | {state} | {tally.transport.name}: {after}, {effects}, {answer}")
    if after != state and action in {Action.PAUSE, Action.RESUME}:
        stock.manage("resume" if action is Action.PAUSE else "pause", order)


def test_seeing_is_for_whom_the_function_says(transport: Rest, stock: Stock) -> None:
    tally = Tally(transport)
    concerned = [("requester@example.com", "managers"), ("manager@example.com", "vps"), (OPERATOR.email, "vps")]
    orders = [
        (stock.asking(whose, "2400" if asked == "managers" else "9000"), whose, asked) for whose, asked in concerned
    ]
    for order, _, _ in orders:
        order.card()
    for who in PEOPLE:
        lists = transport.lists(who)
        for order, whose, asked in orders:
            about = resource(who, whose, asked, "RUNNING")
            state = f"{'own ' * about.own}{'asked ' * about.asked}RUNNING"
            seen = transport.see(who, order.instance_id)
            told = Answer("done", "".join(each.text for each in seen.values() if each.kind == "done"))
            seen[Action.SEE_PAYLOADS] = told
            for action in SEEING:
                may = verdict(who, transport, action, about).allowed
                happened = seen[action].kind == "done" and MARKS.get(action, order.id) in seen[action].text
                tally.row(who, action, state, may=may, happened=happened, answer=seen[action])
            listed = any(order.id in each.text for each in lists if each.kind == "done")
            may = authorize(actor(who, transport), Action.LIST, about).allowed
            tally.row(who, Action.LIST, state, may=may, happened=listed, answer=lists[0])
    tally.check(len(PEOPLE) * 15)


def test_what_concerns_no_single_instance_is_for_whom_the_function_says(transport: Rest, stock: Stock) -> None:
    tally = Tally(transport)
    for who in PEOPLE:
        new = stock.name()
        for action, answer in transport.others(who, new).items():
            asker = actor(who, transport)
            may = authorize(asker, action).allowed
            if action is Action.BULK:  # what is done to many one must also be allowed to do to one
                may = may and authorize(asker, Action.TERMINATE, Resource(status="RUNNING")).allowed
            if action is Action.WEBHOOKS:  # a key's own
                may = authorize(asker, action, Resource(own=True)).allowed
            if action is Action.ASK_FOR_OTHERS:
                may = may and authorize(asker, Action.START_ORDER).allowed
            started = action in STARTED and stock.status(STARTED[action].format(new)) != ""
            tally.row(who, action, "-", may=may, happened=started or answer.kind == "done", answer=answer)
    tally.check(len(PEOPLE) * 2)


def test_deciding_is_for_whom_the_function_says(transport: Rest, stock: Stock) -> None:
    tally = Tally(transport)
    cases: list[tuple[str, Status]] = [
        ("requester@example.com", "RUNNING"),
        ("manager@example.com", "RUNNING"),
        ("requester@example.com", "TERMINATED"),
    ]
    orders = [(stock.asking(whose), whose, state) for whose, state in cases]
    bindings = [stock.binding(order) for order, _, _ in orders]
    stock.manage("terminate", orders[2][0])
    for who in PEOPLE:
        for (asked, whose, state), bound in zip(orders, bindings, strict=True):
            about = resource(who, whose, "managers", state)
            may = verdict(who, transport, Action.DECIDE, about).allowed
            order = stock.asking(whose) if may else asked  # who may decides it: the next one needs another
            before = stock.audited(order.instance_id, "decision.submitted")
            answer = transport.decide(who, order, stock.binding(order) if may else bound)
            happened = stock.audited(order.instance_id, "decision.submitted") > before
            shown = f"{'own ' * about.own}{'asked ' * about.asked}{state}"
            tally.row(who, Action.DECIDE, shown, may=may, happened=happened, answer=answer)
    tally.check(len(PEOPLE) * len(cases))


def test_what_a_transport_has_no_way_to_is_done_for_nobody(transport: Rest, stock: Stock) -> None:
    tally = Tally(transport)
    for who in PEOPLE:
        new = stock.name()
        for action, answer in transport.without_way(who, new):
            happened = answer.kind == "done" or stock.made(new)
            tally.row(who, action, "-", may=False, happened=happened, answer=answer)
    tally.check(len(PEOPLE) * 3)


def test_a_confirmation_is_checked_again_for_whoever_submits_it(
    system: System, keyring: dict[str, str], stock: Stock
) -> None:
    """Slack signs who submitted, and the modal says only what is proposed: it is no right that can be handed on."""
    tally, order = Tally(Slash(system, keyring)), stock.shared()["RUNNING"]
    operator = system.slack.act_as(OPERATOR.user)
    system.act(operator.slash("/approval", f"pause {order.instance_id} tried", CHANNEL))
    view, world = operator.modal, system.slack.workspace.world
    for who in PEOPLE:
        if who is not OPERATOR:
            payload = payloads.view_submission(world, world.users[who.user], view)
            delivery = system.deliver(payload)
            happened = order.status() != "RUNNING"
            tally.row(who, Action.PAUSE, "RUNNING", may=False, happened=happened, answer=Answer("done", str(delivery)))
            refusals = map(message_for, (Reason.NOT_PERMITTED, Reason.MEMBERS_ONLY))
            assert any(each in str(delivery) for each in refusals), who
    system.act(operator.close(everything=True))
    tally.check(len(PEOPLE) - 1)
