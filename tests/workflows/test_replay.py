"""Histories that were recorded before run through today's code: whoever waits in production must be able to go on."""

import json
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow._durabletask.internal import protos
from google.protobuf.json_format import ParseDict

from bot.cli.replay_check import MOST_DIFFERENCES, replayed_of
from bot.engine.client import EngineUnavailableError
from bot.engine.replaying import HistoryReplay, version_of
from tests.fake_engine import FakeEngine
from tests.workflows.next_version import CHANGED, KNOWN, TAKEN
from workflows.versions import APPROVALS

FILES = sorted((Path(__file__).parent / "histories").glob("*.json"))
NAMED = [path for path in FILES if not path.stem.startswith("first-")]
"""The histories that name their version; those before it were begun by the plain name."""

CHANGED_MESSAGE = """
{workflow} {version} is not what it was when {history} was recorded: {problem}.
Requests that wait on {version} would fail at their next turn, and nothing mends them afterwards.
Give {version} back as it was, and put the change into a new version beside it:
docs/how-to/change-a-waiting-workflow.md. Before the tag 1.0.0 the histories may be recorded anew
instead, with a reason: make freeze REASON="why waiting requests may be lost"
"""

by_history = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def read(path: Path) -> tuple[dict[str, Any], list[Any]]:
    told = json.loads(path.read_text())
    return told, [ParseDict(each, protos.HistoryEvent()) for each in told["events"]]


def turns(events: list[Any]) -> list[int]:
    """Return where each turn begins."""
    return [number for number, event in enumerate(events) if event.HasField("workflowStarted")]


def changes(replay: HistoryReplay, path: Path) -> list[str]:
    """Return where the code asks for something else than it asked for, turn by turn."""
    told, events = read(path)
    starts, found = turns(events), []
    for begin, end in zip(starts, [*starts[1:], len(events)], strict=True):
        turn = [event for event in events[begin:end] if not _is_asked(event)]
        actions = replay.executed(told["instance_id"], events[:begin], turn).actions
        asked = {(action.id, action.scheduleTask.name) for action in actions}
        wanted = {each for event in events[begin:end] if (each := _asked(event))}
        found += [str(each) for each in sorted(wanted - asked)]
    return found


def refuse_a_changed_version(replay: HistoryReplay, path: Path) -> None:
    """Raise AssertionError with what to do if the version of this history is not what it was."""
    _, events = read(path)
    if problem := "; ".join(changes(replay, path)):
        version = version_of(events) or "v1"
        raise AssertionError(
            CHANGED_MESSAGE.format(workflow=APPROVALS.workflow, version=version, history=path.name, problem=problem)
        )


@pytest.fixture(scope="module")
def replay() -> HistoryReplay:
    return HistoryReplay()


def test_there_are_recorded_histories_of_every_version() -> None:
    recorded = {version_of(read(path)[1]) for path in NAMED}
    assert recorded == {version.name for version in APPROVALS.each}
    assert len(FILES) >= 5


@by_history
def test_a_recorded_history_ends_as_it_ended(replay: HistoryReplay, path: Path) -> None:
    told, events = read(path)
    done = [event for event in events if not event.HasField("executionCompleted")]
    last = turns(done)[-1]
    result = replay.executed(told["instance_id"], done[:last], done[last:])
    ended = [action.completeWorkflow for action in result.actions if action.HasField("completeWorkflow")]
    assert [each.failureDetails.errorMessage for each in ended] == [""]
    # A later release adds fields to an output; it changes none.
    assert told["output"].items() <= json.loads(ended[0].result.value).items()


@by_history
def test_every_turn_asks_for_what_it_asked_for(replay: HistoryReplay, path: Path) -> None:
    refuse_a_changed_version(replay, path)


@by_history
def test_a_version_beside_it_changes_nothing_for_what_began_before(path: Path) -> None:
    for versions in (KNOWN, TAKEN):
        refuse_a_changed_version(HistoryReplay(versions), path)


@by_history
def test_a_changed_version_is_refused_with_what_to_do(path: Path) -> None:
    with pytest.raises(AssertionError, match="is not what it was when") as refused:
        refuse_a_changed_version(HistoryReplay(CHANGED), path)
    assert "docs/how-to/change-a-waiting-workflow.md" in str(refused.value)


# ---- what `config check --replay` does with what waits


def waiting(path: Path) -> tuple[str, list[Any]]:
    """Return a history as it stood while it waited for the last decision or moment in it."""
    told, events = read(path)
    woken = [at for at, event in enumerate(events) if event.HasField("eventRaised") or event.HasField("timerFired")]
    before = max(begin for begin in turns(events) if begin < woken[-1])
    return told["instance_id"], events[:before]


def has_waited(path: Path) -> bool:
    """Return whether the history was past the wait's beginning: an answer may come while the card is posted."""
    return any(event.HasField("timerCreated") for event in waiting(path)[1])


@by_history
def test_what_waits_can_go_on_with_this_code(replay: HistoryReplay, path: Path) -> None:
    assert replay.problem(*waiting(path)) == ""


@pytest.mark.parametrize("path", [path for path in FILES if has_waited(path)], ids=lambda path: path.stem)
def test_what_waits_is_told_that_a_changed_version_would_fail_it(path: Path) -> None:
    assert HistoryReplay(CHANGED).problem(*waiting(path)).startswith("it would fail: ")


@pytest.mark.parametrize("path", NAMED, ids=[path.stem for path in NAMED])
def test_what_waits_is_told_that_its_version_is_missing(path: Path) -> None:
    only = TAKEN._replace(each=TAKEN.each[1:])
    assert HistoryReplay(only).problem(*waiting(path)) == "its version is not in this program"


@pytest.mark.parametrize("status", ["RUNNING", "STALLED"])
async def test_one_that_cannot_be_read_is_named_and_the_rest_is_looked_at(status: str) -> None:
    engine: Any = FakeEngine()
    engine.put("unreadable", status)
    engine.ill["unreadable"] = EngineUnavailableError("RESOURCE_EXHAUSTED: Received message larger than max")
    paths = [path for path in NAMED if has_waited(path)]
    for path in paths:
        engine.histories[path.stem] = waiting(path)[1]
        engine.put(path.stem, status)
    found = [each.what_to_do for each in await replayed_of(engine, CHANGED)]
    assert [each.split()[0] for each in found] == sorted(["unreadable", *(path.stem for path in paths)])
    assert "could not be read (RESOURCE_EXHAUSTED" in found[0]
    assert all("would break it off" in each for each in found[1:])


async def test_a_sidecar_that_goes_away_in_between_is_not_told_as_many_that_cannot_be_read() -> None:
    engine: Any = FakeEngine()
    for number in range(MOST_DIFFERENCES + 1):
        engine.put(f"waits-{number}", "RUNNING")
        engine.ill[f"waits-{number}"] = EngineUnavailableError("UNAVAILABLE")
    with pytest.raises(EngineUnavailableError):
        await replayed_of(engine)


def _asked(event: Any) -> tuple[int, str] | None:
    if event.HasField("taskScheduled"):
        return event.eventId, event.taskScheduled.name
    return (event.eventId, "") if event.HasField("timerCreated") else None


def _is_asked(event: Any) -> bool:
    """Return whether an event stands for an action of the workflow's, not for something that happened to it."""
    return any(event.HasField(name) for name in ("taskScheduled", "timerCreated", "executionCompleted"))
