"""The words of every diagnosis: for each situation a message, its evidence and the next step. No rule stands here.

docs/how-to/troubleshoot-events.md is made from this table, with the examples filled in.
"""

from collections.abc import Mapping

from approvals.values import Value
from cards.values import Diagnosis


class Situation(Value):
    """One reason why a workflow does not go on. The texts have `{fields}`; `example` fills them for the page."""

    key: str
    title: str
    sentence: str
    evidence: str
    next_step: str
    example: Mapping[str, str]

    def diagnosis(self, found: Mapping[str, str]) -> Diagnosis:
        """Return the answer with what was found."""
        return Diagnosis(
            sentence=self.sentence.format_map(found),
            evidence=self.evidence.format_map(found),
            next_step=self.next_step.format_map(found),
        )


WHEN = "2026-01-05 14:00:00 UTC"
ID = "order-42-workflow"

SITUATIONS: tuple[Situation, ...] = (
    Situation(
        key="never_started",
        title="It never started",
        sentence="{id} has never started, or it was purged: the engine has no workflow of this id.",
        evidence="{evidence}",
        next_step="{near}Compare it with the id that the start answered, or start it again: the same call is safe.",
        example={
            "id": ID,
            "evidence": f"It was asked for on {WHEN}, and the engine never answered that it began.",
            "near": "Did you mean order-24-workflow? ",
        },
    ),
    Situation(
        key="purged",
        title="It was purged",
        sentence="{id} is over and its history was purged, so nothing can reach it any more.",
        evidence="It ended on {ended}; only its audit entries are left.",
        next_step="Read its audit entries. If it is still needed, start a new one under another id.",
        example={"id": ID, "ended": WHEN},
    ),
    Situation(
        key="scheduled",
        title="It is still scheduled",
        sentence="{id} has not begun: it is scheduled for later.",
        evidence="It {starts}.",
        next_step="Wait until then. Raise no event before: any event starts it at once.",
        example={"id": ID, "starts": f"starts at {WHEN}"},
    ),
    Situation(
        key="wedged",
        title="It was paused twice and is wedged",
        sentence="{id} was paused {times} times without a resume between, which wedges the engine's worker.",
        evidence="Its history has {times} suspensions in a row, the first on {since}.",
        next_step="Do not resume it: the worker would loop for ever. Purge it with force and start it under a new id.",
        example={"id": ID, "times": "2", "since": WHEN},
    ),
    Situation(
        key="suspended",
        title="It is paused",
        sentence="{id} is paused since {since}. Decisions and events are kept, and deadlines go on.",
        evidence="{who}",
        next_step="Resume it: what came in meanwhile then counts, in its order.",
        example={"id": ID, "since": WHEN, "who": "operator@example.com paused it: the supplier is checked"},
    ),
    Situation(
        key="stalled",
        title="No worker can go on with it",
        sentence="{id} is stalled: no worker knows this version of its workflow, or its history is too large for one.",
        evidence="{why} Decisions and events are kept.",
        next_step=(
            "Deploy a worker that knows the version, and it goes on by itself; or purge it by force and start it anew."
        ),
        example={"id": ID, "why": "The engine says: Version not available: v2."},
    ),
    Situation(
        key="unknown_name",
        title="No worker knows its name",
        sentence="{id} failed because no worker knows a workflow named {name}.",
        evidence="{failure} The workers of this app know: {names}.",
        next_step="{near}Start it under the right name, or deploy the worker that registers it to every replica.",
        example={
            "id": ID,
            "name": "aproval_workflow",
            "failure": "OrchestratorNotRegisteredError: A 'aproval_workflow' orchestrator was not registered.",
            "names": "approval_workflow, bulk_workflow",
            "near": "Did you mean approval_workflow? ",
        },
    ),
    Situation(
        key="decided",
        title="It is decided, or ended otherwise",
        sentence="{what} is over: {outcome}.",
        evidence="It ended on {ended}.{by}",
        next_step="Nothing is left to do. If it is still wanted, ask for it again under another id.",
        example={
            "id": ID,
            "what": "order 42",
            "outcome": "Rejected",
            "ended": WHEN,
            "by": " Manager rejected it: Too expensive.",
        },
    ),
    Situation(
        key="finished",
        title="It had finished before the event came",
        sentence="{id} is {standing}. The engine accepts whatever is raised to it now, and drops it.",
        evidence="It ended on {ended}.{late}",
        next_step="See its outcome. If it is needed again, start a new one under another id.",
        example={
            "id": ID,
            "standing": "over: Rejected",
            "ended": WHEN,
            "late": f" payment_confirmed came later, on {WHEN}.",
        },
    ),
    Situation(
        key="failed",
        title="It failed",
        sentence="{id} failed and will not go on by itself.",
        evidence="It failed on {ended}: {failure}",
        next_step="Mend what the error names, then rerun it from the event before, or start it again under a new id.",
        example={"id": ID, "ended": WHEN, "failure": "TaskFailedError: the ledger refused the order"},
    ),
    Situation(
        key="deadline_was_past",
        title="Its deadline was in the past when it began to wait",
        sentence="{id} began to wait for {event} with a deadline that had passed already, so the wait ended at once.",
        evidence="The wait began on {since} and was to end on {until}.",
        next_step="Compute the deadline from the workflow's own clock, in UTC, and start it again under a new id.",
        example={"id": ID, "event": "payment_confirmed", "since": WHEN, "until": "2026-01-05 13:00:00 UTC"},
    ),
    Situation(
        key="no_worker",
        title="No worker is connected",
        sentence="No worker of this process is connected to the engine, so no workflow goes on.",
        evidence="The worker's stream to the sidecar is not open.",
        next_step="Start the app, and look at /readyz and the sidecar's log. Nothing is lost: it goes on by itself.",
        example={},
    ),
    Situation(
        key="misspelt",
        title="The event has another name",
        sentence="{id} waits for {event}, but {raised} was raised.",
        evidence="{raised} came on {at} and nobody waits for it; it waits for {event} since {since}.",
        next_step="Raise {event}, spelt like that. Case makes no difference, every other letter does.",
        example={
            "id": ID,
            "event": "payment_confirmed",
            "raised": "payment_confirmd",
            "at": WHEN,
            "since": WHEN,
        },
    ),
    Situation(
        key="elsewhere",
        title="The event went to another id or app",
        sentence="{id} waits for {event}, which was raised at {other} instead.",
        evidence="{event} was raised at {other} on {at}, {how}.",
        next_step="Raise it at {id}, through the sidecar of the app-id that started it.",
        example={
            "id": ID,
            "event": "payment_confirmed",
            "other": "order-24-workflow",
            "at": WHEN,
            "how": "where nothing waits for it",
        },
    ),
    Situation(
        key="taken",
        title="The event came before the wait, and another wait took it",
        sentence="{id} waits for {event} once more: the one that was raised went to an earlier wait.",
        evidence="{event} came on {at}; the wait that is open began on {since}. Each event answers one wait, in order.",
        next_step="Raise {event} again for this wait, or give the two waits different names.",
        example={"id": ID, "event": "payment_confirmed", "at": WHEN, "since": WHEN},
    ),
    Situation(
        key="empty",
        title="The event's payload was empty",
        sentence="{event} reached {id} without a payload: false, 0, an empty text, [] and {{}} arrive as nothing.",
        evidence="It came on {at} and its payload is empty in the history.",
        next_step='Raise it again with an object that has something in it, such as {{"confirmed": false}}.',
        example={"id": ID, "event": "payment_confirmed", "at": WHEN},
    ),
    Situation(
        key="refused",
        title="The decision was refused",
        sentence="A decision on {id} came in and did not count, so it still waits.",
        evidence="On {at} {who} was told: “{why}”",
        next_step="Do what that message says, or let one of those decide for whom it waits: {whom}.",
        example={
            "id": ID,
            "at": WHEN,
            "who": "Rita Requester",
            "why": "You cannot decide your own request. Ask somebody else who may approve it.",
            "whom": "@managers",
        },
    ),
    Situation(
        key="undelivered",
        title="A decision has not reached the workflow yet",
        sentence="A decision on {id} is recorded, and the workflow has not answered for it yet.",
        evidence="It is in the intake since {since}, and is raised again until the workflow answers.",
        next_step="Look at /readyz: sidecar and worker have to be there. Nobody needs to decide again.",
        example={"id": ID, "since": WHEN},
    ),
    Situation(
        key="retrying",
        title="An activity fails and is tried again",
        sentence="The activity {activity} of {id} fails and is tried again since {since}.",
        evidence="{attempts} attempts failed, the last with {error}",
        next_step="Mend what the error names; it goes on by itself at the next attempt.",
        example={
            "id": ID,
            "activity": "process_order",
            "since": WHEN,
            "attempts": "4",
            "error": "ConnectError: the ledger is down",
        },
    ),
    Situation(
        key="running",
        title="An activity is under way",
        sentence="{id} waits for its activity {activity}, which was handed out on {since}.",
        evidence="The history has no result of it.",
        next_step="Look at the worker's log. If the worker was stopped, the engine hands the activity out again.",
        example={"id": ID, "activity": "process_order", "since": WHEN},
    ),
    Situation(
        key="overdue",
        title="Its deadline is in the past",
        sentence="{id} should have gone on at its deadline, {deadline}, and has not.",
        evidence="That is {ago} ago by this machine's clock, and its timer has not fired.",
        next_step="Timers are the engine's: see that the scheduler and a worker run, and that the clocks agree.",
        example={"id": ID, "deadline": WHEN, "ago": "2 hours"},
    ),
    Situation(
        key="no_deadline",
        title="It waits without a deadline",
        sentence="{id} waits for {event} since {since}, without a deadline: it will wait for ever.",
        evidence="The wait has no end in the history. A negative timeout makes such a wait, too.",
        next_step="Raise {event}, or terminate it. Give waits the absolute moment at which they end.",
        example={"id": ID, "event": "payment_confirmed", "since": WHEN},
    ),
    Situation(
        key="unposted",
        title="Slack has not taken its card",
        sentence="Nobody is asked for {id} yet: its card could not be posted to {channel}.",
        evidence="Slack has refused it since {since}. It is tried again every two minutes until the deadline.",
        next_step="Write /invite @Countersign in {channel}, or correct `channel` in policy.yml. Until then the people "
        "who may decide can do so in the dashboard.",
        example={"id": ID, "channel": "#general", "since": WHEN},
    ),
    Situation(
        key="asked",
        title="It waits for people, as it should",
        sentence="{what} waits for a decision: {approved} of {needed} approved{by}.",
        evidence="It asks {whom}, until {until}.{stage}",
        next_step="If you may decide, use its card in Slack or its page in the dashboard. If you asked for it, wait: "
        "you are told how it ends, and the approvers are reminded.",
        example={
            "id": ID,
            "what": "order 42",
            "approved": "1",
            "needed": "2",
            "by": " (Manager)",
            "whom": "@managers",
            "until": "2026-01-08 14:00:00 UTC",
            "stage": " This is stage 1 of 2.",
        },
    ),
    Situation(
        key="waiting",
        title="It waits, as it should",
        sentence="{id} waits for {event}, and nothing is wrong: nobody has answered yet.",
        evidence="It waits since {since}, until {until}{whom}. No event of that name has reached it.",
        next_step="Decide, or ask those who may. If you raised it, see that the id and the app-id are these.",
        example={
            "id": ID,
            "event": "approval_decision",
            "since": WHEN,
            "until": "2026-01-08 14:00:00 UTC",
            "whom": ", for @managers",
        },
    ),
    Situation(
        key="timer",
        title="It waits for a moment",
        sentence="{id} waits for a moment: {until}.",
        evidence="A timer of its own is open in the history.",
        next_step="Wait, or terminate it.",
        example={"id": ID, "until": WHEN},
    ),
    Situation(
        key="nothing",
        title="Nothing unusual is known",
        sentence="Nothing is known that would hold {id} up: it is {standing}.",
        evidence="No wait, no failure and no pause is open in its history.",
        next_step="Look at it again in a moment; if it stands still, look at the worker's log.",
        example={"id": ID, "standing": "running"},
    ),
)
BY_KEY = {situation.key: situation for situation in SITUATIONS}
