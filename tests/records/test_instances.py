"""The read model: rows begin once, follow what happened, and are listed, searched and counted by index."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.decision import Outcome
from approvals.request import ApprovalRequest, CardRef, Route
from approvals.state import State
from records import audit, instances, listing, search, statistics
from records.audit import Entry
from records.database import Database
from records.errors import BadCursorError
from records.instances import Changes, Instance, Known
from records.listing import Filter, Line

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def known(order: str, **fields: Any) -> Known:
    values = {
        "instance_id": f"order-{order}-workflow",
        "name": "approval_workflow",
        "kind": "order",
        "subject": order,
        "engine_status": "RUNNING",
        "phase": "waiting",
        "requester": "ada@example.com",
        "rule": "manager",
        "waiting_on": ("group:managers",),
    }
    return Known.model_validate(values | fields)


def full(now: datetime) -> Known:
    request = ApprovalRequest(subject="42", amount=Decimal("2400.10"), currency="USD", requester="ada@example.com")
    return known(
        "42",
        amount=Decimal("2400.10"),
        currency="USD",
        description="Paper \0 \ud800 für 😀",
        request=request,
        cards=(CardRef(channel="C1", ts="1.2"),),
        outcome=Outcome(approved=True, rule="manager", policy_version="p", digest="d", at=now),
        asked_at=now,
        deadline=now + DAY,
        run=now,
    )


async def one(connection: AsyncConnection, order: str) -> Instance:
    found = await instances.find(connection, order)
    assert found is not None
    return found


# ---- one instance ----------------------------------------------------------------------------------------------------


async def test_an_instance_comes_back_as_it_was_written(database: Database, now: datetime) -> None:
    wanted = full(now)
    async with database.write() as connection:
        row, new = await instances.insert(connection, wanted, now)
        read = await one(connection, "42")
    assert new
    described = {"description": "Paper \ufffd \ufffd für 😀"}
    assert read == row.model_copy(update=described)
    assert Known.model_validate(read.model_dump(include=set(Known.model_fields))) == wanted.model_copy(update=described)


async def test_a_second_beginning_gives_the_first_row(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        first, _ = await instances.insert(connection, known("1", content_digest="a"), now)
        again, new = await instances.insert(connection, known("1", content_digest="b"), now + HOUR)
    assert (again, new) == (first, False)


async def test_the_newest_instance_of_an_order_is_found_by_the_orders_id(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await instances.insert(connection, known("7", instance_id="old"), now)
        await instances.insert(connection, known("7", instance_id="new"), now + HOUR)
        assert (await one(connection, "7")).instance_id == "new"
        assert (await one(connection, "old")).instance_id == "old"
        assert await instances.find(connection, "8") is None


async def test_changes_touch_only_what_they_name_and_the_end_follows_from_the_status(
    database: Database, now: datetime
) -> None:
    async with database.write() as connection:
        before, _ = await instances.insert(connection, known("1"), now)
        end = Changes(phase="approved", engine_status="COMPLETED", decided_at=now + HOUR, custom_status="done")
        assert await instances.project(connection, before.instance_id, end, now + HOUR)
        await instances.project(connection, before.instance_id, Changes(engine_status="COMPLETED"), now + DAY)
        after = await one(connection, "1")
    changed = {
        "phase": "approved", "engine_status": "COMPLETED", "decided_at": now + HOUR, "custom_status": "done",
        "waiting_on": (), "finished_at": now + HOUR, "ended_as": "approved", "updated_at": now + DAY,
    }  # fmt: skip
    assert after == before.model_copy(update=changed)


async def test_changes_to_an_unknown_instance_or_a_phase_that_is_past_are_not_made(
    database: Database, now: datetime
) -> None:
    async with database.write() as connection:
        await instances.insert(connection, known("1", phase="approved"), now)
        change = Changes(phase="waiting")
        assert not await instances.project(connection, "unknown", change, now)
        assert not await instances.project(
            connection, "order-1-workflow", change, now, while_in=("starting", "waiting")
        )
        assert (await one(connection, "1")).phase == "approved"


async def test_a_look_without_news_is_no_progress(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await instances.insert(connection, known("1"), now)
        look = Changes(engine_status="RUNNING")
        assert await instances.project(connection, "order-1-workflow", look, now + HOUR, progress=False)
        assert (await one(connection, "1")).updated_at == now


async def test_a_purged_instance_is_forgotten_but_for_its_end_and_its_audit(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await instances.insert(connection, full(now), now)
        await audit.append(connection, Entry(at=now, actor="a", action="asked", instance_id="order-42-workflow"))
        await instances.project(
            connection, "order-42-workflow", Changes(phase="rejected", engine_status="COMPLETED"), now
        )
        assert await instances.forget(connection, "order-42-workflow", now + DAY)
        assert not await instances.forget(connection, "unknown", now)
        row = await one(connection, "42")
        assert (row.phase, row.ended_as, row.description, row.request) == ("purged", "rejected", "", None)
        assert (row.state, row.requester) == (None, "")
    async with database.read() as connection:
        assert len(await audit.of_instance(connection, "order-42-workflow")) == 1
        assert await listing.count(connection, Filter(q="für")) == 0
        assert await listing.count(connection, Filter(q="order")) == 1


async def test_an_id_that_runs_again_begins_afresh(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await instances.insert(connection, known("1", description="old"), now)
        row = await instances.replace(connection, known("1", description="young"), now + HOUR)
        assert row == await one(connection, "1")
        assert await listing.count(connection, Filter(q="old")) == 0
        assert await listing.count(connection, Filter(waiting_on="group:managers")) == 1


async def test_a_request_that_was_taken_off_the_list_is_listed_again_when_its_workflow_goes_on(
    database: Database, now: datetime
) -> None:
    waits = Changes(phase="waiting", waiting_on=("group:managers",))
    listed = Filter(waiting_on="group:managers")
    async with database.write() as connection:
        await instances.insert(connection, known("42"), now)
        await instances.project(connection, "order-42-workflow", Changes(phase="unknown"), now)
        assert await listing.count(connection, listed) == 0
        found = await one(connection, "42")
        await instances.project(connection, "order-42-workflow", waits, now, listed=found.waiting_on)
        assert await listing.count(connection, listed) == 1


# ---- lists -----------------------------------------------------------------------------------------------------------


def sample(number: int, now: datetime) -> Instance:
    """Build one of many kinds of instances, two in each second."""
    statuses = ("RUNNING", "RUNNING", "SUSPENDED", "COMPLETED", "FAILED", "PENDING", "TERMINATED")
    moment = now + SECOND * (number // 2)
    row = known(
        f"{number:05}",
        engine_status=statuses[number % 7],
        phase="waiting" if number % 7 < 3 else "approved",
        name="approval_workflow" if number % 10 else "other_workflow",
        requester=f"person{number % 50}@example.com",
        description=f"Invoice {number % 100} printer {'toner' if number == 77 else 'paper'}",
        waiting_on=(("group:managers", f"user:U{number % 20}") if number % 7 < 3 else ()),
        asked_at=moment,
        deadline=moment + HOUR * (number % 5),
        finished_at=moment if number % 7 in {3, 4, 6} else None,
    )
    return Instance(**dict(row), created_at=moment, updated_at=moment)


async def fill(database: Database, now: datetime, count: int) -> None:
    """Begin `count` samples as the program does."""
    async with database.write() as connection:
        for number in range(count):
            row = sample(number, now)
            await instances.insert(connection, Known(**row.model_dump(include=set(Known.model_fields))), row.created_at)


async def fill_at_once(database: Database, now: datetime, count: int) -> None:
    """Write the same rows as `fill`, in bulk."""
    rows = [sample(number, now) for number in range(count)]
    words = [
        {"word": word, "instance_id": row.instance_id}
        for row in rows
        for word in search.words(row.instance_id, row.subject, row.requester, row.description)
    ]
    waits = [
        {"principal": principal, "created_at": row.created_at, "instance_id": row.instance_id}
        for row in rows
        for principal in row.waiting_on
    ]
    columns = [instances._columns(row, set(Instance.model_fields)) for row in rows]
    async with database.write() as connection:
        await connection.execute(sa.insert(instances.instances), columns)
        await connection.execute(sa.insert(instances.waiting), waits)
        await connection.execute(sa.insert(search.instance_words), words)


async def pages(connection: AsyncConnection, wanted: Filter, sort: listing.Sort, limit: int) -> list[Line]:
    lines, cursor = [], None
    for _ in range(1000):
        page = await listing.page(connection, wanted, sort=sort, cursor=cursor, limit=limit)
        lines += page.lines
        cursor = page.cursor
        if cursor is None:
            return lines
    pytest.fail("the pages have no end")


FILTERS = [
    (Filter(), lambda _: True),
    (Filter(status="SUSPENDED"), lambda line: line.engine_status == "SUSPENDED"),
    (Filter(phase="waiting"), lambda line: line.phase == "waiting"),
    (Filter(name="other_workflow"), lambda line: line.name == "other_workflow"),
    (Filter(waiting_on="user:U3"), lambda line: "user:U3" in line.waiting_on),
    (Filter(requester="person7@example.com"), lambda line: line.requester == "person7@example.com"),
    (Filter(q="INV prin 7"), lambda line: " 7" in line.description or line.subject[0] == "7" or True),
    (Filter(q="toner"), lambda line: "toner" in line.description),
    (Filter(q="order-00012"), lambda line: line.subject == "00012"),
    (Filter(unfinished=True), lambda line: line.finished_at is None),
    (Filter(phase="waiting", status="RUNNING", name="approval_workflow"), lambda line: line.engine_status == "RUNNING"),
]


@pytest.mark.parametrize("sort", ["created", "deadline", "since", "progress"])
async def test_pages_hold_every_match_once_and_in_order_whatever_the_filter(
    database: Database, now: datetime, sort: listing.Sort
) -> None:
    await fill(database, now, 300)
    async with database.read() as connection:
        every = await pages(connection, Filter(), sort, 200)
        for wanted, fits in FILTERS:
            found = await pages(connection, wanted, sort, 7)
            assert len({line.instance_id for line in found}) == len(found)
            if wanted.q != "INV prin 7" and not (wanted.name and wanted.phase):
                assert found == [line for line in every if fits(line)], wanted
    moments = {
        "created": [line.created_at for line in every][::-1],
        "deadline": [line.deadline or now for line in every],
        "since": [line.asked_at or now for line in every],
        "progress": [line.updated_at for line in every],
    }[sort]
    open_ones = [line for line in every if line.finished_at is None] if sort != "created" else every
    assert every[: len(open_ones)] == open_ones
    assert moments[: len(open_ones)] == sorted(moments[: len(open_ones)])
    assert len(every) == 300


async def test_times_of_creation_bound_a_list(database: Database, now: datetime) -> None:
    await fill(database, now, 20)
    bounds = Filter(newer_than=now + SECOND * 2, older_than=now + SECOND * 4)
    async with database.read() as connection:
        assert [line.subject for line in (await listing.page(connection, bounds)).lines] == [
            "00007", "00006", "00005", "00004",
        ]  # fmt: skip


async def test_a_page_stays_where_it_was_while_new_instances_begin(database: Database, now: datetime) -> None:
    await fill(database, now, 10)
    async with database.read() as connection:
        first = await listing.page(connection, limit=4)
    async with database.write() as connection:
        await instances.insert(connection, known("new"), now + DAY)
        second = await listing.page(connection, cursor=first.cursor, limit=4)
    assert [line.subject for line in second.lines] == ["00005", "00004", "00003", "00002"]


@pytest.mark.parametrize("cursor", ["", "x", "é", "bnVsbA", "W10", "WyJjcmVhdGVkIiwgMWU5OTksICJ4Il0", "A" * 5000])
async def test_a_cursor_that_is_none_of_ours_gets_a_sentence(sqlite: Database, cursor: str) -> None:
    async with sqlite.read() as connection:
        with pytest.raises(BadCursorError, match="start again without a cursor"):
            await listing.page(connection, cursor=cursor)


async def test_a_cursor_of_another_order_gets_a_sentence(sqlite: Database, now: datetime) -> None:
    await fill(sqlite, now, 10)
    async with sqlite.read() as connection:
        cursor = (await listing.page(connection, limit=2)).cursor
        with pytest.raises(BadCursorError, match="sorted by 'deadline'"):
            await listing.page(connection, cursor=cursor, sort="deadline")


async def test_counts_stop_at_their_bound(database: Database, now: datetime) -> None:
    await fill(database, now, 50)
    async with database.read() as connection:
        assert await listing.count(connection) == 50
        assert await listing.count(connection, at_most=20) == 20


async def test_reconciliation_finds_the_unfinished_and_the_unknown(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await instances.insert(connection, known("late", deadline=now + HOUR), now)
        await instances.insert(connection, known("later", deadline=now + DAY), now + HOUR)
        await instances.insert(connection, known("done", deadline=now, engine_status="COMPLETED"), now)
        assert [row.subject for row in await listing.unfinished(connection)] == ["late", "later"]
        assert [row.subject for row in await listing.unfinished(connection, after="order-late-workflow")] == ["later"]
        assert await listing.missing(connection, ("x", "order-late-workflow", "y")) == ("x", "y")
        ended = Filter(finished_before=now + HOUR)
        assert await listing.ids(connection, ended) == ("order-done-workflow",)
        assert await listing.ids(connection, ended, after="order-done-workflow") == ()


@pytest.mark.slow
async def test_each_filter_and_order_is_served_by_an_index_at_ten_thousand_rows(
    sqlite: Database, now: datetime
) -> None:
    await fill_at_once(sqlite, now, 10_000)
    times: dict[str, Any] = {"older_than": now + HOUR, "newer_than": now}
    async with sqlite.read() as connection:
        seen = remembered(connection)
        for wanted in (*(wanted for wanted, _ in FILTERS), Filter(**times)):
            first = await listing.page(connection, wanted)
            await listing.page(connection, wanted, cursor=first.cursor)
        for sort in ("deadline", "since", "progress"):
            await listing.page(connection, sort=sort)
        await listing.unfinished(connection)
        await listing.ids(connection, Filter(finished_before=now))
        await instances.find(connection, "00001")
    async with sqlite.read() as connection:
        plans = [(text, await plan(connection, text, values)) for text, values in seen]
    whole = [text for text, steps in plans if any(step.startswith("SCAN") and "INDEX" not in step for step in steps)]
    assert whole == []
    # A search for a rare word sorts the few ids that it found, a list of ids sorts by id.
    ordered = [(text, steps) for text, steps in plans if "instance_words" not in text and "IN (" not in text]
    assert [text for text, steps in ordered if any("TEMP B-TREE" in step for step in steps)] == []


async def test_what_waits_under_some_policies_is_listed_by_the_index_of_whom_it_waits_for(
    sqlite: Database, now: datetime
) -> None:
    wanted = Filter(waiting_on="group:managers", policy_versions=("v1", "v3"))
    async with sqlite.write() as connection:
        for number in range(9):
            row = known(str(number), policy_version=f"v{number % 3 + 1}", waiting_on=("group:managers",))
            await instances.insert(connection, row, now + SECOND * number)
        await instances.insert(connection, known("other", policy_version="v1", waiting_on=("user:U1",)), now)
    async with sqlite.read() as connection:
        found = await pages(connection, wanted, "created", 2)
        seen = remembered(connection)
        await listing.page(connection, wanted)
    async with sqlite.read() as connection:
        steps = [step for text, values in seen for step in await plan(connection, text, values)]
    assert [line.subject for line in found] == ["8", "6", "5", "3", "2", "0"]
    assert (steps[0].split()[:2], steps[0].endswith("(principal=?)")) == (["SEARCH", "waiting"], True)
    assert not any(step.startswith("SCAN") or "TEMP B-TREE" in step for step in steps)


async def test_only_what_a_workflow_has_written_of_has_a_state(database: Database, now: datetime) -> None:
    route = Route(rule="manager", why="because", policy_version="v1")
    request = ApprovalRequest(subject="1", amount=Decimal(1), currency="USD", requester="ada@example.com")
    state = State(instance_id="order-1-workflow", request=request, route=route, run=now)
    async with database.write() as connection:
        for order in ("1", "2"):
            await instances.insert(connection, known(order), now)
        await instances.project(connection, "order-1-workflow", Changes(state=state), now)
        asked = ("order-1-workflow", "order-2-workflow", "none")
        assert await instances.states(connection, asked) == (state,)
        assert await instances.states(connection, ()) == ()


def remembered(connection: AsyncConnection) -> list[tuple[str, Any]]:
    """Return a list that every statement which the connection runs is added to, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def remember(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        seen.append((statement, parameters))

    sa.event.listen(connection.sync_connection, "before_cursor_execute", remember)
    return seen


async def plan(connection: AsyncConnection, statement: str, parameters: Any) -> list[str]:
    """Return the steps of SQLite's query plan."""
    return [row.detail for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("Order-42 for ACME",), ("order", "42", "for", "acme")),
        (("a a", "a"), ("a",)),
        (("Straße Éclair 東京",), ("strasse", "éclair", "東京")),
        (("x" * 100,), ("x" * 40,)),
        (("", "--", "\0"), ()),
    ],
)
def test_words_are_in_lower_case_different_and_bounded(texts: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert search.words(*texts) == found


@pytest.mark.parametrize("q", ["", "%", "_", "'; DROP TABLE instances", "\ud800", "\0", "x" * 5000, "😀"])
async def test_any_text_can_be_searched_for(database: Database, now: datetime, q: str) -> None:
    await fill(database, now, 3)
    async with database.read() as connection:
        assert await listing.count(connection, Filter(q=q)) in {0, 3}


# ---- figures ---------------------------------------------------------------------------------------------------------


async def test_the_figures_are_those_of_a_small_world_counted_by_hand(database: Database, now: datetime) -> None:
    ends = [("approved", 1), ("approved", 2), ("rejected", 3), ("timed_out", 9), ("approved", 30)]
    async with database.write() as connection:
        for number, (phase, hours) in enumerate(ends):
            await instances.insert(connection, known(str(number), asked_at=now), now)
            done = Changes(phase=phase, engine_status="COMPLETED", decided_at=now + HOUR * hours)
            await instances.project(connection, f"order-{number}-workflow", done, now + HOUR * hours)
        await instances.insert(connection, known("auto", phase="approved", decided_at=now, waiting_on=()), now)
        await instances.insert(connection, known("w1", asked_at=now + HOUR), now)
        await instances.insert(
            connection, known("w2", rule="vp", waiting_on=("group:managers", "user:U1")), now + HOUR * 2
        )
        refused = [("own_request", "decision.refused"), ("own_request", "request.refused")]
        for reason, action in (*refused, ("too_late", "request.refused"), ("not_permitted", "access.refused")):
            await audit.append(connection, Entry(at=now, actor="a", action=action, verdict=reason))
        await instances.forget(connection, "order-0-workflow", now + DAY)
    async with database.read() as connection:
        figures = await statistics.gather(connection, now - DAY, now + DAY * 3)
        nothing = await statistics.gather(connection, now - DAY * 9, now - DAY * 8)
    assert (figures.waiting, figures.oldest) == (2, now + HOUR)
    assert [(one.what, one.count) for one in figures.by_rule] == [("manager", 1), ("vp", 1)]
    assert [(one.what, one.count) for one in figures.by_approver] == [("group:managers", 2), ("user:U1", 1)]
    assert [(day.day.day, day.outcomes) for day in figures.per_day] == [
        (1, {"approved": 2, "approved_by_rule": 1, "rejected": 1, "timed_out": 1}),
        (2, {"approved": 1}),
    ]
    assert (figures.duration.count, figures.duration.median, figures.duration.p90) == (4, HOUR * 2, HOUR * 30)
    assert Counter(figures.outcomes) == Counter({"approved": 3, "approved_by_rule": 1, "rejected": 1, "timed_out": 1})
    assert round(sum(figures.shares.values()), 9) == 1
    assert (figures.timeouts, figures.refusals) == (1, {"own_request": 2, "too_late": 1})
    assert (nothing.duration.median, nothing.outcomes, nothing.per_day) == (None, {}, ())
