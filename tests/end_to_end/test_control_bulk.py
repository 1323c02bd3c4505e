"""Many at once: a dry run lists, its token binds, a durable workflow acts, each instance has its result."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records import tables
from tests.end_to_end.control_room import Room, key, ok
from tests.end_to_end.system import eventually

SETTINGS = "reconciled"


def dry_run(room: Room, action: str, **chosen: object) -> dict[str, object]:
    return dict(ok(room.post("/workflows/bulk", {"action": action, "filter": chosen})))


def do(room: Room, action: str, token: object, reason: str = "cleaning up") -> dict[str, object]:
    body = {"action": action, "dry_run": False, "token": token, "reason": reason}
    started = ok(room.post("/workflows/bulk", body))
    return dict(
        eventually(
            lambda: (now := room.get(f"/workflows/bulk/{started['operation_id']}"))["state"] == "done" and now,
        )
    )


def test_a_dry_run_does_nothing_and_the_real_call_hits_exactly_what_it_listed(room: Room) -> None:
    listed = [room.order(f"bulk-{number}") for number in range(3)]
    plan = dry_run(room, "terminate", q=f"bulk {room.system.order_id('x')[2:]}", status="RUNNING")
    eventually(lambda: dry_run(room, "terminate", q=f"bulk {room.system.order_id('x')[2:]}")["total"] == 3)
    plan = dry_run(room, "terminate", q=f"bulk {room.system.order_id('x')[2:]}")
    assert plan["ids"] == sorted(listed)
    assert all(room.get(f"/workflows/{each}")["workflow"]["status"] == "RUNNING" for each in listed)
    later = room.order("bulk-later")

    done = do(room, "terminate", plan["token"])
    assert (done["done"], done["failed"], done["pending"]) == (3, 0, 0)
    results = room.get(f"/workflows/bulk/{done['operation_id']}/results")["results"]
    assert [each["instance_id"] for each in results] == sorted(listed)
    assert all("terminated" in each["result"] for each in results)
    assert room.get(f"/workflows/{later}")["workflow"]["status"] == "RUNNING"
    progress = room.get(f"/workflows/{done['workflow']}")["workflow"]["custom_status"]
    assert progress == "3 of 3: 3 done, 0 failed, 0 skipped"
    for each in listed:
        room.without_buttons(each)


def test_the_same_token_again_is_the_same_operation_and_another_s_token_is_none(room: Room) -> None:
    room.order("bulk-once")
    plan = dry_run(room, "pause", q=room.system.order_id("bulk-once"))
    first = do(room, "pause", plan["token"])
    assert do(room, "pause", plan["token"])["operation_id"] == first["operation_id"]
    body = {"action": "pause", "dry_run": False, "token": plan["token"], "reason": "mine now"}
    stranger = key(room.system, "operator", person="vp@example.com")
    assert room.post("/workflows/bulk", body, stranger).status_code == 409
    assert room.post("/workflows/bulk", body | {"token": "made up"}).status_code == 409
    assert room.post("/workflows/bulk", body | {"action": "terminate"}).status_code == 409


def test_an_instance_that_changed_meanwhile_is_skipped_with_a_sentence(room: Room) -> None:
    moved, stays = room.order("bulk-moved"), room.order("bulk-stays")
    wanted = {"q": f"bulk {room.system.order_id('x')[2:]}", "status": "RUNNING"}
    eventually(lambda: {moved, stays} <= set(dry_run(room, "pause", **wanted)["ids"]))  # type: ignore[call-overload]
    plan = dry_run(room, "pause", **wanted)
    ok(room.post(f"/workflows/{moved}/terminate", {"reason": "faster"}))
    done = do(room, "pause", plan["token"])
    found = {
        each["instance_id"]: each for each in room.get(f"/workflows/bulk/{done['operation_id']}/results")["results"]
    }
    assert found[moved]["state"] == "skipped"
    assert "is over: Stopped" in found[moved]["result"]
    assert found[stays]["state"] == "done"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"action": "terminate"}, "empty"),
        ({"action": "purge", "filter": {"status": "RUNNING"}}, "cannot be purged"),
        ({"action": "purge", "filter": {"stuck": True}}, "terminate it first"),
        ({"action": "terminate", "filter": {"older_than": "soon"}}, "not a duration"),
        ({"action": "terminate", "dry_run": False, "reason": "x"}, "token"),
        ({"action": "explode"}, "action"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(room: Room, body: dict[str, object], says: str) -> None:
    answer = room.post("/workflows/bulk", body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_a_bulk_call_needs_a_reason_and_the_operator_role(room: Room) -> None:
    room.order("bulk-reason")
    plan = dry_run(room, "terminate", q=room.system.order_id("bulk-reason"))
    without = {"action": "terminate", "dry_run": False, "token": plan["token"]}
    assert room.post("/workflows/bulk", without).status_code == 422
    assert (
        room.post("/workflows/bulk", {"action": "terminate", "filter": {"stuck": True}}, room.requester).status_code
        == 403
    )


def test_stuck_is_without_progress_for_longer_or_past_the_deadline(room: Room) -> None:
    instance_id = room.order("bulk-stuck")
    assert instance_id not in dry_run(room, "terminate", stuck=True, older_than="1h")["ids"]  # type: ignore[operator]
    eventually(lambda: instance_id in dry_run(room, "terminate", stuck=True, older_than="1s")["ids"])  # type: ignore[operator]


def test_completed_ones_are_purged_by_age_and_nothing_is_left_to_continue(room: Room) -> None:
    ids = sorted(room.order(f"bulk-done-{number}", amount=10) for number in range(3))
    words = f"done {room.system.order_id('x')[2:]}"
    eventually(lambda: dry_run(room, "purge", q=words, completed=True)["total"] == 3)
    assert dry_run(room, "purge", q=words, completed=True, older_than="1h")["total"] == 0
    plan = dry_run(room, "purge", q=words, completed=True)
    assert plan["ids"] == ids
    done = do(room, "purge", plan["token"])
    assert done["done"] == 3
    assert room.post(f"/workflows/bulk/{done['operation_id']}/continue", {"reason": "to be sure"}).status_code == 202
    assert all(room.get(f"/workflows/{each}")["purged"] for each in ids)
    listed = room.get("/workflows/bulk")["operations"]
    assert done["operation_id"] in [each["operation_id"] for each in listed]


def test_an_operation_that_somebody_stopped_is_continued_with_what_failed(room: Room) -> None:
    listed = [room.order(f"bulk-torn-{number}") for number in range(2)]
    words = f"torn {room.system.order_id('x')[2:]}"
    eventually(lambda: dry_run(room, "pause", q=words)["total"] == 2)
    done = do(room, "pause", dry_run(room, "pause", q=words)["token"])
    operation_id = str(done["operation_id"])
    eventually(lambda: room.get(f"/workflows/{done['workflow']}")["workflow"]["status"] == "COMPLETED")
    # As if the first had failed, and the process had been stopped before the second.
    room.system.records(lambda connection: torn(connection, operation_id, listed), write=True)
    for each in listed:
        ok(room.post(f"/workflows/{each}/resume"))
    stopped = eventually(lambda: (now := room.get(f"/workflows/bulk/{operation_id}"))["state"] == "stopped" and now, 40)
    assert (stopped["failed"], stopped["pending"]) == (1, 1)
    assert room.post(f"/workflows/bulk/{operation_id}/continue", {"reason": "mended"}).status_code == 202
    after = eventually(lambda: (now := room.get(f"/workflows/bulk/{operation_id}"))["state"] == "done" and now)
    assert (after["done"], after["failed"], after["pending"]) == (2, 0, 0)
    assert all(room.get(f"/workflows/{each}")["workflow"]["status"] == "SUSPENDED" for each in listed)


async def torn(connection: AsyncConnection, operation_id: str, listed: list[str]) -> None:
    items, operations = tables.bulk_items.c, tables.bulk_operations.c
    update = sa.update(tables.bulk_items).where(items.operation_id == operation_id)
    await connection.execute(update.where(items.instance_id == listed[0]).values(state="failed", result="Down."))
    await connection.execute(update.where(items.instance_id == listed[1]).values(state="pending", result=""))
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    change = sa.update(tables.bulk_operations).where(operations.id == operation_id)
    await connection.execute(change.values(state="running", updated_at=long_ago))
