"""The same people through each transport: REST, the command line, the dashboard's two kinds of session, and Slack.

Each does and sees what it offers, and says whether the person was refused. What they may is not known here.
"""

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import httpx

from approvals.authority import Action, Actor, Channel, Role
from approvals.decision import Reason
from approvals.messages import message_for
from approvals.verbs import IN_SLACK, VERBS
from bot.access.refusals import unseen
from bot.dashboard.cookies import LIFETIME, CookieSigner, Session
from cards import confirm_modal, request_card
from tests.bot.cli.calling import run
from tests.end_to_end.system import CHANNEL, Order, System, buttons_of, eventually

POLICY = """
version: 1
channel: approvals
currency: USD
groups: {managers: managers, vps: vps}
roles:
  requester: [{user: U0REQUESTER}]
  operator: [{user: U0OPERATOR}, {user: U0GUEST}, {user: U0GONE}, {user: U0STRANGER}]
  auditor: [{user: U0AUDITOR}]
  admin: [{user: U0VP}]
rules:
  - {name: automatic, when: {amount: {below: 500}}, approve: automatic}
  - {name: managers, when: {amount: {below: 5000}}, approve: [{group: managers}], within: 1 day}
  - {name: vps, approve: [{group: vps}], within: 1 day}
"""
SEEING = (Action.SEE_REQUEST, Action.SEE_HISTORY, Action.SEE_DIAGNOSIS, Action.SEE_PAYLOADS)
EVERY = frozenset(Role)
NONE: frozenset[Role] = frozenset()


class Who(NamedTuple):
    """Somebody: what their key gives, and who they are in Slack, where the policy says what they are trusted with."""

    name: str
    email: str
    user: str
    roles: frozenset[Role]
    slack_roles: frozenset[Role]
    scopes: frozenset[Action] | None = None
    key: Literal["good", "revoked", "made up"] = "good"


def one(role: Role, person: str) -> Who:
    """Give somebody with one role. Who is fit to act in Slack may approve there: the route says what."""
    in_slack = frozenset({role, Role.APPROVER})
    return Who(role.value, f"{person}@example.com", f"U0{person.upper()}", frozenset({role}), in_slack)


SCOPES = frozenset({Action.LIST, Action.PAUSE, Action.SEE_STATISTICS})
# The policy makes the last three operators too: that they are guest, gone and stranger is all that keeps them out.
PEOPLE = (
    one(Role.REQUESTER, "requester"),
    one(Role.APPROVER, "manager"),
    one(Role.OPERATOR, "operator"),
    one(Role.AUDITOR, "auditor"),
    one(Role.ADMIN, "vp"),
    Who(
        "service",
        "requester@example.com",
        "U0REQUESTER",
        frozenset({Role.ASKER}),
        frozenset({Role.REQUESTER, Role.APPROVER}),
    ),
    Who("nobody", "manager2@example.com", "U0MANAGER2", NONE, frozenset({Role.APPROVER})),
    Who("narrow key or guest", "guest@example.com", "U0GUEST", EVERY, NONE, scopes=SCOPES),
    Who("revoked key or gone", "former@example.com", "U0GONE", NONE, NONE, key="revoked"),
    Who("made-up key or stranger", "stranger@example.com", "U0STRANGER", NONE, NONE, key="made up"),
)
OPERATOR = PEOPLE[2]
ASKED = {"managers": {"U0MANAGER", "U0MANAGER2"}, "vps": {"U0VP"}}


class Answer(NamedTuple):
    """What a transport answered: whether it refused the person, and everything that it said."""

    kind: Literal["done", "refused", "sentence"]
    text: str


UNSEEN = unseen("").message.partition(",")[0]
"""The beginning of the answer to who may not see a request, as to an id that is not known."""


def of_http(answer: httpx.Response) -> Answer:
    to_sign_in = answer.headers.get("location", "").startswith("/sign-in")
    if answer.status_code in {401, 403, 429} or to_sign_in or UNSEEN in answer.text:
        return Answer("refused", answer.text)
    if answer.status_code >= 500:
        raise AssertionError(answer.text)
    return Answer("done" if answer.status_code < 400 else "sentence", f"{answer.status_code} {answer.text}")


# ---- the transports: each does and sees what it offers, and nothing is offered that it has no way to --------------


class Rest:
    """Programs with a key."""

    name, channel = "REST", "rest"
    verbs: tuple[str, ...] = tuple(VERBS)

    def __init__(self, system: System, keyring: dict[str, str]) -> None:
        self.system, self.keyring = system, keyring

    def call(self, who: Who, method: str, path: str, **more: Any) -> Answer:
        key = {"Authorization": f"Bearer {self.keyring[who.name]}"}
        return of_http(self.system.http.request(method, path, headers=key, **more))

    def act(self, who: Who, verb: str, instance: str, new: str, event: int) -> Answer:
        more = {"rerun": {"event_id": event, "new_instance_id": new}, "raise-event": {"input": {"a": 1}}}
        tail = "/matrix" if verb == "raise-event" else ""
        body = {"reason": "tried", **more.get(verb, {})}
        return self.call(who, "POST", f"/workflows/{instance}/{verb}{tail}", json=body)

    def see(self, who: Who, instance: str) -> dict[Action, Answer]:
        paths = {Action.SEE_REQUEST: "", Action.SEE_HISTORY: "/history", Action.SEE_DIAGNOSIS: "/diagnosis"}
        return {action: self.call(who, "GET", f"/workflows/{instance}{path}") for action, path in paths.items()}

    def lists(self, who: Who) -> list[Answer]:
        return [
            self.call(who, "GET", "/workflows", params={"limit": 200, **more}) for more in ({}, {"waiting_on": "me"})
        ]

    def others(self, who: Who, new: str) -> dict[Action, Answer]:
        order = {"subject": new, "amount": "20", "currency": "USD", "requester": "requester@example.com"}
        workflow = {"name": "approval_workflow", "instance_id": f"{new}-named", "input": order}
        bulk = {"action": "terminate", "filter": {"q": "nothing-like-this"}}
        return {
            Action.SEE_STATISTICS: self.call(who, "GET", "/statistics"),
            Action.START_ORDER: self.call(who, "POST", f"/orders/{new}/start", json={"amount": "20"}),
            Action.WEBHOOKS: self.call(who, "GET", "/webhooks/secret"),
            Action.ASK_FOR_OTHERS: self.call(
                who, "POST", f"/orders/{new}-other/start", json={"amount": "20", "requester": "manager2@example.com"}
            ),
            Action.START_WORKFLOW: self.call(who, "POST", "/workflows", json=workflow),
            Action.BULK: self.call(who, "POST", "/workflows/bulk", json=bulk),
        }

    def decide(self, who: Who, order: Order, binding: str) -> Answer:
        return self.call(who, "POST", f"/orders/{order.id}/approve", json={"approved": True})

    def without_way(self, who: Who, new: str) -> list[tuple[Action, Answer]]:
        paths = {Action.KEYS_MANAGE: "/keys", Action.AUDIT_READ: "/audit", Action.AUDIT_VERIFY: "/audit/verify"}
        paths |= {Action.POLICY_READ: "/policy", Action.DOCTOR: "/doctor"}
        return [(each, self.call(who, way, path)) for each, path in paths.items() for way in ("GET", "POST")]


class CommandLine(Rest):
    """The program `countersign` with the same keys."""

    name = "command line"

    def run(self, who: Who, *words: str) -> Answer:
        # Nothing is asked over https here, and to load the certificates takes most of a call's time.
        more = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "."}
        ran = run(*words, COUNTERSIGN_URL=self.system.url, COUNTERSIGN_API_KEY=self.keyring[who.name], **more)
        refused = ran.code == 4 or "Too many failed keys" in ran.err or UNSEEN in ran.err
        return Answer("refused" if refused else "sentence" if ran.code else "done", ran.out + ran.err)

    def act(self, who: Who, verb: str, instance: str, new: str, event: int) -> Answer:
        words = {
            "terminate": ("--yes",),
            "purge": ("--yes",),
            "rerun": ("--event-id", str(event), "--new-event-instance-id", new),
            "raise-event": ("--input", '{"a": 1}'),
        }.get(verb, ())
        where = f"{instance}/matrix" if verb == "raise-event" else instance
        return self.run(who, verb, where, "--reason", "tried", *words)

    def see(self, who: Who, instance: str) -> dict[Action, Answer]:
        words = {Action.SEE_REQUEST: "status", Action.SEE_HISTORY: "history", Action.SEE_DIAGNOSIS: "why"}
        return {action: self.run(who, word, instance, "-o", "json") for action, word in words.items()}

    def lists(self, who: Who) -> list[Answer]:
        return [self.run(who, "list", *more, "-o", "json") for more in (("--all",), ("--waiting-on", "me"))]

    def others(self, who: Who, new: str) -> dict[Action, Answer]:
        stuck = ("terminate", "--stuck", "--older-than", "300d", "--reason", "tried", "--dry-run")
        return {
            Action.SEE_STATISTICS: self.run(who, "stats"),
            Action.START_ORDER: self.run(who, "order", "start", new, "--amount", "20"),
            Action.BULK: self.run(who, *stuck),
        }

    def decide(self, who: Who, order: Order, binding: str) -> Answer:
        return self.run(who, "order", "approve", order.id)

    def without_way(self, who: Who, new: str) -> list[tuple[Action, Answer]]:
        """Try what is done with the database and the secret themselves: a key alone, whoever's, opens none of it."""
        words = {
            Action.KEYS_MANAGE: ("keys", "create", new, "--person", who.email, "--role", "admin"),
            Action.AUDIT_READ: ("audit", "show", "1"),
            Action.DOCTOR: ("doctor", "--yes"),
        }
        return [(action, self.run(who, *each)) for action, each in words.items()]


class Dashboard(Rest):
    """A browser's session: of a key, with its form and the form's token."""

    name, channel = "dashboard, signed in with a key", "dashboard"

    def __init__(self, system: System, keyring: dict[str, str]) -> None:
        super().__init__(system, keyring)
        self.csrf: dict[str, str] = {}
        self.cookies: dict[str, dict[str, str]] = {}
        for who in PEOPLE:
            session = self.session(who)
            self.cookies[who.name] = {"countersign": CookieSigner(system.settings.keys).dumps(session)}
            self.csrf[who.name] = CookieSigner(system.settings.keys).token(session.id)

    def session(self, who: Who) -> Session:
        token, now = self.keyring[who.name], datetime.now(UTC)
        return Session(id=f"key {who.name}", kind="key", key_id=token.split("_")[1], began=now, ends=now + LIFETIME)

    def call(self, who: Who, method: str, path: str, **more: Any) -> Answer:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies[who.name].items())
        headers = {"Accept": "text/html", "Origin": self.system.url, "Cookie": cookie}
        if method == "POST":
            more["data"] = {"csrf": self.csrf[who.name], **more.pop("data", {})}
        return of_http(self.system.http.request(method, path, headers=headers, **more))

    def act(self, who: Who, verb: str, instance: str, new: str, event: int) -> Answer:
        given = {"reason": "tried", "event_id": str(event), "new_id": new, "name": "matrix", "payload": '{"a": 1}'}
        return self.call(who, "POST", f"/w/{instance}/{verb}", data=given)

    def see(self, who: Who, instance: str) -> dict[Action, Answer]:
        page = self.call(who, "GET", f"/w/{instance}")
        why = page if 'class="answers"' in page.text else Answer("refused", page.text)
        history = self.call(who, "GET", f"/w/{instance}?events=engine")
        return dict.fromkeys(SEEING, page) | {Action.SEE_HISTORY: history, Action.SEE_DIAGNOSIS: why}

    def lists(self, who: Who) -> list[Answer]:
        return [self.call(who, "GET", path) for path in ("/?phase=waiting&sort=created", "/?waiting_on=me", "/")]

    def others(self, who: Who, new: str) -> dict[Action, Answer]:
        audit = self.call(who, "GET", "/audit")
        return {
            Action.SEE_STATISTICS: self.call(who, "GET", "/statistics"),
            Action.BULK: self.call(who, "POST", "/bulk", data={"action": "terminate", "q": "nothing-like-this"}),
            Action.AUDIT_READ: audit if AUDIT_TABLE in audit.text else Answer("refused", audit.text),
            Action.AUDIT_VERIFY: self.call(who, "POST", "/audit/verify"),
            Action.POLICY_READ: self.call(who, "GET", "/policy"),
        }

    def decide(self, who: Who, order: Order, binding: str) -> Answer:
        form = {"binding": binding, "once": order.id, "answer": "approve"}
        return self.call(who, "POST", f"/w/{order.instance_id}/decide", data=form)

    def without_way(self, who: Who, new: str) -> list[tuple[Action, Answer]]:
        """Try REST's addresses: a browser's session is no key there."""
        paths = {Action.START_ORDER: f"/orders/{new}/start?amount=20", Action.START_WORKFLOW: "/workflows"}
        paths |= {Action.KEYS_MANAGE: "/keys", Action.DOCTOR: "/doctor"}
        return [(action, self.call(who, "POST", path)) for action, path in paths.items()]


class SlackSession(Dashboard):
    """A browser's session of somebody who signed in with Slack: roles come from the policy at each request."""

    name = "dashboard, signed in with Slack"

    def session(self, who: Who) -> Session:
        now = datetime.now(UTC)
        return Session(id=f"slack {who.name}", kind="slack", team=TEAM, user=who.user, began=now, ends=now + LIFETIME)


class Slash(Rest):
    """/approval and the App Home, by the user whom Slack's signature names."""

    name, channel = "slash command", "slack"
    verbs = tuple(IN_SLACK)

    def say(self, who: Who, text: str) -> Answer:
        hands = self.system.slack.act_as(who.user)
        if hands.modals():  # of a click that did not count
            self.system.act(hands.close(everything=True))
        said = str(self.system.act(hands.slash("/approval", text, CHANNEL)).body)
        if any(view.callback_id == confirm_modal.CALLBACK for view in hands.modals()):
            said += str(self.system.act(hands.submit()).body)
            self.system.act(hands.close(everything=True))
        refusals = map(message_for, (Reason.NOT_PERMITTED, Reason.MEMBERS_ONLY))
        return Answer("refused" if any(each in said for each in (*refusals, UNSEEN)) else "done", said)

    def act(self, who: Who, verb: str, instance: str, new: str, event: int) -> Answer:
        return self.say(who, f"{verb} {instance} tried")

    def see(self, who: Who, instance: str) -> dict[Action, Answer]:
        words = {Action.SEE_REQUEST: "status", Action.SEE_DIAGNOSIS: "why"}
        found = {action: self.say(who, f"{word} {instance}") for action, word in words.items()}
        return found | {Action.SEE_HISTORY: self.say(who, f"history {instance} engine")}

    def lists(self, who: Who) -> list[Answer]:
        hands = self.system.slack.act_as(who.user)
        self.system.act(hands.open_home())
        home = eventually(lambda: hands.home)
        return [self.say(who, "list running"), self.say(who, "list all"), Answer("done", str(home))]

    def others(self, who: Who, new: str) -> dict[Action, Answer]:
        return {
            Action.SEE_STATISTICS: self.say(who, "stats"),
            Action.BULK: self.say(who, "terminate --stuck --older-than 300d"),
        }

    def decide(self, who: Who, order: Order, binding: str) -> Answer:
        hands = self.system.slack.act_as(who.user)
        if request_card.APPROVE not in buttons_of(order.card()):
            return Answer("sentence", "the card has no button any more")
        return Answer("done", str(self.system.act(hands.click(CHANNEL, order.card().ts, request_card.APPROVE))))

    def without_way(self, who: Who, new: str) -> list[tuple[Action, Answer]]:
        words = {Action.START_ORDER: "start", Action.RERUN: "rerun", Action.RAISE_EVENT: "raise-event"}
        words |= {Action.AUDIT_READ: "audit", Action.KEYS_MANAGE: "keys", Action.DOCTOR: "doctor"}
        said = {action: self.say(who, f"{word} {new}") for action, word in words.items()}
        unknown = (
            "There is no /approval",
            message_for(Reason.MEMBERS_ONLY),
        )  # a guest is not told which verbs there are
        return [
            (action, Answer("sentence" if any(known in each.text for known in unknown) else "done", each.text))
            for action, each in said.items()
        ]


AUDIT_TABLE = 'aria-label="Data of entry'
TRANSPORTS = (Rest, CommandLine, Dashboard, SlackSession, Slash)
TEAM = "T0LOCAL"


def actor(who: Who, transport: Rest) -> Actor:
    """Return somebody as the authority knows them through a transport."""
    channel: Channel = transport.channel  # type: ignore[assignment]  # a class's plain attribute
    if isinstance(transport, SlackSession | Slash):
        return Actor(roles=who.slack_roles, through=channel)
    return Actor(roles=who.roles, through=channel, scopes=who.scopes)
