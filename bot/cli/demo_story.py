"""The story that `countersign demo --auto` plays: each step as it happens, with what Slack shows and how it ended."""

import json
import re
import shutil
import textwrap
import time
from collections.abc import Callable
from typing import Any

from approvals.ends import ENDS, EndCode
from bot.cli import output
from bot.cli.demo import Demo, DemoError

CHANNEL = "approvals"
MANAGER, SECOND, VP, REQUESTER, OPERATOR = "U0MANAGER", "U0MANAGER2", "U0VP", "U0REQUESTER", "U0OPERATOR"


MENTION = re.compile(r"<@(\w+)>|<!subteam\^(\w+)>")
"""A mention in Slack's text; its clients show the name."""


class Story:
    """The steps, in order. Each raises DemoError if it does not come out as told."""

    def __init__(self, parts: Demo) -> None:
        self._parts = parts
        self._slack = parts.slack

    # ---- what every step does ---------------------------------------------------------------------------------------

    def asks(self, order: str, amount: str, description: str) -> str:
        """Start an order; returns its card's ts."""
        body = {"amount": amount, "description": description, "requester": "requester@example.com"}
        self._parts.call("POST", f"/orders/{order}/start", body, who="requester")
        card = self._parts.until(f"order {order} got its card", lambda: self._card_of(order))
        _tell("order", f"{order}: {description}, {amount} USD, started by POST /orders/{order}/start")
        self._shows(card)
        return card

    def _card_of(self, order: str) -> str:
        """Return the ts of the order's card, from the link that the app gives; empty while there is none."""
        found = self._parts.call("GET", f"/workflows/{order}")["workflow"]
        link = str(found["card_link"] or "").rpartition("/p")[2]
        return f"{link[:-6]}.{link[-6:]}" if link and found["phase"] != "starting" else ""

    def _shows(self, card: str, who: str = f"#{CHANNEL}") -> None:
        message = self._slack.message(CHANNEL, card)
        buttons = ", ".join(each.rpartition("_")[2] or each for each in message.action_ids()) or "no buttons"
        _tell(who, f"{message.text} [{buttons}]")

    def ends(self, order: str, card: str, end: EndCode, told: dict[str, Any], seconds: float = 15.0) -> None:
        """Wait for the end of an order, and show its card, its thread and its final JSON."""
        final = self._parts.until(f"order {order} was {end}", lambda: self._ended(order, end), seconds)
        self._parts.until("the card lost its buttons", lambda: not self._slack.message(CHANNEL, card).action_ids())
        self._shows(card)
        replies = self._parts.until("the thread got a reply", lambda: self._slack.thread(CHANNEL, card))
        _tell("thread", replies[-1].text)
        _tell("workflow", f"{ENDS[end].shown} {json.dumps(final)}")
        expect(told.items() <= (final or {}).items(), f"order {order} should have ended with {json.dumps(told)}")

    def _ended(self, order: str, end: EndCode) -> Any:
        found = self._parts.call("GET", f"/workflows/{order}")
        return (found["output"] or {}) if found["workflow"]["outcome"] == end else None

    def _click(self, who: str, card: str, button: str) -> None:
        message = self._slack.message(CHANNEL, card)
        action = next((each for each in message.action_ids() if each.endswith(button)), "")
        expect(bool(action), f"the card should have a button to {button}")
        outcome = self._parts.act(self._slack.act_as(who).click(CHANNEL, card, action))
        expect(outcome.ok, f"the click on {button} should have been taken ({outcome.error})")

    # ---- the steps --------------------------------------------------------------------------------------------------

    def approve(self) -> None:
        """Let a manager say yes."""
        card = self.asks("42", "2400.00", "Two replacement laptops")
        _tell("manager", "clicks Approve and confirms")
        self._click(MANAGER, card, "approve")
        self.ends("42", card, "approved", {"status": "completed"})
        told = self._parts.until("the requester got a direct message", lambda: self._slack.dms(REQUESTER))
        _tell("to requester", told[-1].text)

    def reject(self) -> None:
        """Let a manager say no, and why."""
        card = self.asks("43", "1200.00", "A standing desk")
        _tell("manager2", "clicks Reject; a form asks why: Over the budget of this quarter")
        self._click(SECOND, card, "reject")
        person = self._slack.act_as(SECOND)
        self._parts.until("the form opened", person.modals)
        outcome = self._parts.act(person.submit(values={"reason": "Over the budget of this quarter"}))
        expect(outcome.ok, f"the form should have been taken ({outcome.errors or outcome.error})")
        self.ends("43", card, "rejected", {"status": "rejected", "reason": "Over the budget of this quarter"})

    def wrong_person(self) -> str:
        """Click as people who may not decide: they are refused. Returns the card, which still waits."""
        card = self.asks("44", "900.00", "A conference ticket")
        for who, name in ((REQUESTER, "requester"), (VP, "VP")):
            _tell(name, "clicks Approve, and may not")
            self._click(who, card, "approve")
            _tell(f"to {name} only", self._private_answer(who))
        self._shows(card)
        found = self._parts.call("GET", "/workflows/44")["workflow"]
        expect(found["status"] == "RUNNING", "order 44 should still wait")
        expect(bool(self._slack.message(CHANNEL, card).action_ids()), "the card of order 44 should still have buttons")
        return card

    def _private_answer(self, who: str) -> str:
        person = self._slack.act_as(who)
        opened = self._parts.until("a private answer came", person.modals)
        self._parts.act(person.close())
        return "".join(found["text"]["text"] for found in opened[-1].blocks)

    def terminate(self, card: str) -> None:
        """Let an operator end it from Slack."""
        reason = "The conference is cancelled"
        operator = self._slack.act_as(OPERATOR)
        _tell("operator", f"types /approval terminate 44 {reason}, and confirms")
        outcome = self._parts.act(operator.slash("/approval", f"terminate 44 {reason}", CHANNEL))
        expect(outcome.ok, f"the command should have been taken ({outcome.error})")
        self._parts.until("the form opened", operator.modals)
        outcome = self._parts.act(operator.submit())
        expect(outcome.ok, f"the form should have been taken ({outcome.errors or outcome.error})")
        self.ends("44", card, "terminated", {"status": "terminated", "reason": reason})

    def timeout(self) -> None:
        """Let nobody answer: that is not a no."""
        card = self.asks("45", "3000.00", "A projector")
        _tell("nobody", "answers; in this demo the policy waits 4 seconds")
        self.ends("45", card, "timed_out", {"status": "rejected", "reason": "approval_timeout"}, 25.0)


def play(parts: Demo) -> None:
    """Play all steps. Raises: DemoError with the first thing that did not come out as told."""
    begun = time.monotonic()
    story = Story(parts)
    output.say(f"Sidecar, local Slack and app are running. Watch along at {parts.slack.page_url}")
    _step("1. A manager approves", story.approve)
    _step("2. A manager rejects, with a reason", story.reject)
    waiting: list[str] = []
    _step("3. The wrong people try", lambda: waiting.append(story.wrong_person()))
    _step("4. An operator terminates it in Slack", lambda: story.terminate(waiting[0]))
    _step("5. Nobody answers in time", story.timeout)
    output.say(f"\nEverything came out as told, in {time.monotonic() - begun:.1f} s.")


def _step(title: str, step: Callable[[], object]) -> None:
    output.say(f"\n{title}")
    try:
        step()
    except DemoError as error:
        raise DemoError(f"Step “{title}”: {error}") from error


def expect(came_true: object, what: str) -> None:
    """Check a step of the story. Raises: DemoError."""
    if not came_true:
        raise DemoError(f"But {what}.")


def _tell(who: str, what: str) -> None:
    """Print a person's step, folded so that the names stand alone at the left."""
    width = max(60, min(shutil.get_terminal_size((120, 24)).columns, 120))
    read = MENTION.sub(lambda found: "@" + (found[1] or found[2]).removeprefix("U0").removeprefix("S0").lower(), what)
    output.say(textwrap.fill(read, width, initial_indent=f"{who:>18}  ", subsequent_indent=" " * 20))
