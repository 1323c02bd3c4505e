"""Why does a workflow not go on: one rule for each situation, from facts to what the situation's texts need. Pure."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from approvals import ends
from approvals.decision import APPROVAL_DECISION as DECISION
from approvals.durations import duration_text
from approvals.statuses import ENDED, standing
from bot.control.diagnosis.facts import Facts
from bot.control.diagnosis.situations import BY_KEY, SITUATIONS
from bot.engine.history import Raised, Wait
from cards.values import Diagnosis

MessageValues = Mapping[str, str]
Rule = Callable[[Facts], MessageValues | None]

NEAR = 0.8
LATE = timedelta(seconds=2)
"""A timer that is later than this has not fired."""

LONG = timedelta(seconds=10)
"""An activity that runs for less is not reported."""


def diagnose(facts: Facts) -> tuple[Diagnosis, ...]:
    """Return every answer that fits, the most specific first; at least one."""
    answers = [
        situation.diagnosis({"id": _name(situation.key, facts)} | dict(found))
        for situation in SITUATIONS
        if situation.key in RULES and (found := RULES[situation.key](facts)) is not None
    ]
    return tuple(answers) or (_last_resort(facts),)


OF_PEOPLE = frozenset({"refused", "undelivered", "unposted", "suspended", "overdue"})
"""Situations whose answers are for people who know a request by its name; the others are about the engine."""


def _name(key: str, facts: Facts) -> str:
    return facts.what if facts.what and key in OF_PEOPLE else facts.instance_id


def _last_resort(facts: Facts) -> Diagnosis:
    """Say what it waits for if nothing is wrong."""
    for key, rule in WHERE_NOTHING_IS_WRONG.items():
        if (found := rule(facts)) is not None:
            return BY_KEY[key].diagnosis({"id": facts.instance_id} | dict(found))
    return BY_KEY["nothing"].diagnosis({"id": facts.instance_id, "standing": _standing(facts)})


def moment(at: datetime) -> str:
    """Return a moment as all answers write it: to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _people(facts: Facts) -> list[str]:
    """Return whom it waits for as people write them: `@managers`, an e-mail."""
    return [
        f"@{name}" if kind == "group" else name for kind, _, name in (each.partition(":") for each in facts.waiting_on)
    ]


def _standing(facts: Facts) -> str:
    return standing(str(facts.status), ends.shown(facts.outcome))


def _live(facts: Facts) -> bool:
    return facts.status in {"RUNNING", "SUSPENDED"}


def _did_you_mean(near: tuple[str, ...]) -> str:
    return f"Did you mean {' or '.join(near)}? " if near else ""


# ---- whether it runs at all -----------------------------------------------------------------------------------------


def never_started(facts: Facts) -> MessageValues | None:
    """See that the engine knows nothing, and no row says that it ever ran."""
    if facts.status is not None or facts.phase not in {None, "starting"}:
        return None
    evidence = "Neither the engine nor this app's records know the id."
    if facts.asked_to_start_at is not None:
        evidence = f"It was asked for on {moment(facts.asked_to_start_at)}, and the engine knows nothing of it."
    return {"evidence": evidence, "near": _did_you_mean(facts.near)}


def purged(facts: Facts) -> MessageValues | None:
    """See that a row says that it ran, and the engine has forgotten it."""
    if facts.status is not None or facts.phase in {None, "starting"}:
        return None
    return {"ended": moment(facts.ended_at) if facts.ended_at else "a day that is not known"}


def scheduled(facts: Facts) -> MessageValues | None:
    """See that it is PENDING: nothing of it has run."""
    if facts.status != "PENDING":
        return None
    return {"starts": facts.starts or "starts at a moment that another program has set"}


def wedged(facts: Facts) -> MessageValues | None:
    """Find two suspensions in a row (docs/explanation/dapr.md#a-second-pause-wedges-the-worker)."""
    found = facts.history.suspension
    if not _live(facts) or found is None or found.times < 2:  # noqa: PLR2004 one pause is a pause
        return None
    return {"times": str(found.times), "since": moment(found.since)}


def suspended(facts: Facts) -> MessageValues | None:
    """See that it is paused once."""
    if facts.status != "SUSPENDED" or wedged(facts) is not None:
        return None
    found = facts.history.suspension
    if found is None:
        return {"since": "an unknown moment", "who": "Who paused it is not known."}
    who = f"{found.by} paused it{f': {found.why}' if found.why else ''}." if found.by else "Another program paused it."
    return {"since": moment(found.since), "who": who}


def stalled(facts: Facts) -> MessageValues | None:
    """See that no worker can take its next turn."""
    if facts.status != "STALLED":
        return None
    return {
        "why": f"The engine says: {facts.history.stalled}." if facts.history.stalled else "The engine does not say why."
    }


def no_worker(facts: Facts) -> MessageValues | None:
    """See that no worker is connected."""
    return None if facts.worker_connected or facts.status in OVER else {}


# ---- how it ended ---------------------------------------------------------------------------------------------------

OVER = ENDED | {None}


def unknown_name(facts: Facts) -> MessageValues | None:
    """See that it failed at its first turn: the SDK says that the name is not registered."""
    if facts.status != "FAILED" or "not registered" not in facts.failure or "rchestrator" not in facts.failure:
        return None
    near = tuple(difflib.get_close_matches(facts.name, facts.names, n=1))
    names = ", ".join(facts.names) or "none"
    return {"name": facts.name or "?", "failure": facts.failure, "names": names, "near": _did_you_mean(near)}


def deadline_was_past(facts: Facts) -> MessageValues | None:
    """See a wait that was over when it began."""
    for wait in facts.history.waits:
        if wait.timed_out and wait.until is not None and wait.until <= wait.since:
            return {"event": wait.name, "since": moment(wait.since), "until": moment(wait.until)}
    return None


def failed(facts: Facts) -> MessageValues | None:
    """See that it failed, for another reason than those that have a rule of their own."""
    if facts.status != "FAILED" or unknown_name(facts) is not None or deadline_was_past(facts) is not None:
        return None
    return {"ended": _ended(facts), "failure": facts.failure or "the engine gives no reason"}


def decided(facts: Facts) -> MessageValues | None:
    """See that a request has ended, and how."""
    if not facts.what or facts.outcome is None or facts.status == "FAILED" or _live(facts):
        return None
    given = facts.progress.approvals if facts.progress else ()
    verbs = {True: "approved", False: "rejected"}
    told = [f"{one.name or one.person.user} {verbs[one.approved]} it{_because(one.reason)}." for one in given[-5:]]
    return {
        "what": facts.what,
        "outcome": ends.shown(facts.outcome),
        "ended": _ended(facts),
        "by": "".join(f" {text}" for text in told),
    }


def _because(reason: str) -> str:
    return f": {reason.strip()}" if reason.strip() else ""


def finished(facts: Facts) -> MessageValues | None:
    """See that it is over: the engine takes events for it, and drops them."""
    answered = decided(facts) is not None  # who answers a request too late was told so: that is no lost event
    events = [event for event in facts.late if not answered or event.name.casefold() != DECISION]
    if facts.status not in {"COMPLETED", "TERMINATED"} or (answered and not events):
        return None
    late = "".join(f" {event.name} came later, on {moment(event.at)}." for event in events[:3])
    return {"standing": _standing(facts), "ended": _ended(facts), "late": late}


def _ended(facts: Facts) -> str:
    return moment(facts.ended_at) if facts.ended_at else "a moment that is not known"


# ---- events ---------------------------------------------------------------------------------------------------------


def misspelt(facts: Facts) -> MessageValues | None:
    """See that an event has come whose name is almost the awaited one."""
    for wait, raised in _pairs(facts):
        alike = difflib.SequenceMatcher(None, wait.name.casefold(), raised.name.casefold()).ratio()
        if not raised.taken and wait.name.casefold() != raised.name.casefold() and alike >= NEAR:
            return {
                "event": wait.name,
                "raised": raised.name,
                "at": moment(raised.at),
                "since": moment(wait.since),
            }
    return None


def elsewhere(facts: Facts) -> MessageValues | None:
    """See that the awaited event was raised at another id."""
    awaited = {wait.name.casefold(): wait.name for wait in facts.open_waits}
    for found in facts.elsewhere:
        delivered = (
            found.name.casefold() == DECISION and facts.what and not found.unknown
        )  # by us, to the card's request
        if found.name.casefold() in awaited and not delivered:
            how = "which does not exist" if found.unknown else "where nothing waits for it"
            return {
                "event": awaited[found.name.casefold()],
                "other": found.instance_id,
                "at": moment(found.at),
                "how": how,
            }
    return None


def taken(facts: Facts) -> MessageValues | None:
    """See that the event came before this wait began, so that another had it. Decisions have their own rule."""
    for wait, raised in _pairs(facts):
        same = wait.name.casefold() == raised.name.casefold()
        if same and raised.at <= wait.since and wait.name.casefold() != DECISION:
            return {"event": wait.name, "at": moment(raised.at), "since": moment(wait.since)}
    return None


def empty(facts: Facts) -> MessageValues | None:
    """See that the last event of all had nothing in it."""
    last = facts.history.raised[-1] if facts.history.raised else None
    if not _live(facts) or last is None or not last.empty:
        return None
    return {"event": last.name, "at": moment(last.at)}


def _pairs(facts: Facts) -> Iterator[tuple[Wait, Raised]]:
    """Each open wait with each event that came, the latest first."""
    if _live(facts):
        for wait in facts.open_waits:
            for raised in reversed(facts.history.raised):
                yield wait, raised


# ---- decisions ------------------------------------------------------------------------------------------------------


def refused(facts: Facts) -> MessageValues | None:
    """See that a decision came and did not count."""
    if facts.refused is None or facts.phase != "waiting" or not _live(facts):
        return None
    whom = ", ".join(_people(facts)) or "nobody"
    return {
        "at": moment(facts.refused.at),
        "who": facts.refused.who,
        "why": facts.refused.sentence,
        "whom": whom,
    }


def undelivered(facts: Facts) -> MessageValues | None:
    """See that a decision is in the intake, and the workflow has not answered."""
    if facts.undelivered_since is None or facts.now - facts.undelivered_since < LATE:
        return None
    return {"since": moment(facts.undelivered_since)}


# ---- activities and time --------------------------------------------------------------------------------------------


def retrying(facts: Facts) -> MessageValues | None:
    """See that an activity has failed and not worked since."""
    found = facts.history.retrying
    if found is None or not _live(facts):
        return None
    return {
        "activity": found.activity,
        "since": moment(found.since),
        "attempts": str(found.attempts),
        "error": found.error,
    }


def running(facts: Facts) -> MessageValues | None:
    """See that an activity was handed out a while ago."""
    found = facts.history.running
    if found is None or not _live(facts) or facts.history.retrying is not None or facts.now - found.since < LONG:
        return None
    return {"activity": found.activity, "since": moment(found.since)}


def overdue(facts: Facts) -> MessageValues | None:
    """See that a deadline or a timer is past, and nothing has happened."""
    if facts.status != "RUNNING":
        return None
    due = [wait.until for wait in facts.open_waits if wait.until is not None]
    due += [timer.fires_at for timer in facts.history.timers]
    due += [facts.deadline] if facts.deadline is not None and facts.phase == "waiting" else []
    past = [at for at in due if facts.now - at > LATE]
    return {"deadline": moment(min(past)), "ago": duration_text(facts.now - min(past))} if past else None


def no_deadline(facts: Facts) -> MessageValues | None:
    """See a wait for ever, with no event of its name so far."""
    for wait in facts.open_waits if _live(facts) else ():
        if wait.until is None:
            return {"event": wait.name, "since": moment(wait.since)}
    return None


def unposted(facts: Facts) -> MessageValues | None:
    """See that Slack does not take the card of the stage that waits."""
    found = facts.unposted
    if not _live(facts) or found is None:
        return None
    channel = found.channel if found.channel.startswith(("C", "G", "#")) else f"#{found.channel}"
    return {"channel": channel, "since": moment(found.since)}


def asked(facts: Facts) -> MessageValues | None:
    """See a request that waits for people, and how many of them have said yes."""
    progress = facts.progress
    if not _live(facts) or facts.phase != "waiting" or progress is None or not facts.what:
        return None
    names = [one.name or one.person.user for one in progress.approvals if one.approved and one.stage == progress.stage]
    stage = f" This is stage {progress.stage + 1} of {progress.stages}." if progress.stages > 1 else ""
    return {
        "what": facts.what,
        "approved": str(progress.counted),
        "needed": str(progress.needed),
        "by": f" ({', '.join(names)})" if names else "",
        "whom": " or ".join(_people(facts)) or "nobody",
        "until": moment(facts.deadline) if facts.deadline else "its deadline",
        "stage": stage,
    }


def waiting(facts: Facts) -> MessageValues | None:
    """See a wait with an end, as it should be."""
    for wait in facts.open_waits if _live(facts) else ():
        if wait.until is not None:
            whom = f", for {', '.join(_people(facts))}" if facts.waiting_on else ""
            until = facts.deadline if facts.deadline is not None and facts.phase == "waiting" else wait.until
            return {
                "event": wait.name,
                "since": moment(wait.since),
                "until": moment(until),
                "whom": whom,
            }
    return None


def timer(facts: Facts) -> MessageValues | None:
    """See a plain timer."""
    due = [each.fires_at for each in facts.history.timers] if _live(facts) else []
    return {"until": moment(min(due))} if due else None


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        never_started, purged, scheduled, wedged, suspended, stalled, unknown_name, decided, finished, failed,
        deadline_was_past,
        no_worker, misspelt, elsewhere, unposted, taken, empty, refused, undelivered, retrying, running, overdue,
        no_deadline,
    )
}  # fmt: skip
WHERE_NOTHING_IS_WRONG: Mapping[str, Rule] = {"asked": asked, "waiting": waiting, "timer": timer}
