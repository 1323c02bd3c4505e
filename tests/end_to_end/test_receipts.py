"""An approval proves itself elsewhere by a receipt, and is used once, whoever asks at the same moment."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import OKPKey

from approvals.receipts import verified
from tests.end_to_end.system import MANAGER, REQUESTER, Order, System, eventually

POLICY = """
version: 1
channel: approvals
groups: {managers: managers}
kinds:
  short: {fields: []}
rules:
  - {name: short, when: {kind: short}, approve: {group: managers}, valid_for: 1 s}
  - {name: all, when: {kind: any, currency: any}, approve: {group: managers}, valid_for: 1 day}
"""
SETTINGS = {"policy": POLICY}
ASK = ("requests:ask",)
AT_ONCE = 20


def call(system: System, method: str, path: str, *, key: str = "", by: str = REQUESTER, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {system.token(by, *ASK)}"} | ({"Idempotency-Key": key} if key else {})
    return system.http.request(method, path, headers=headers, timeout=60, **more)


def count(system: System, query: str, value: str) -> int:
    with closing(sqlite3.connect(system.settings.database_url.removeprefix("sqlite:///"), timeout=30)) as database:
        return int(database.execute(query, (value,)).fetchone()[0])


def asked(system: System, kind: str = "deploy") -> str:
    fields = {"env": "prod"} if kind == "deploy" else {}
    body = {"kind": kind, "subject": system.order_id("web"), "fields": fields}
    answer = call(system, "POST", "/requests", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def approved(system: System, kind: str = "deploy") -> str:
    request_id = asked(system, kind)
    order = Order(system, request_id, request_id)
    order.click("U0MANAGER")
    eventually(lambda: call(system, "GET", f"/requests/{request_id}").json()["status"] in {"approved", "expired"})
    return request_id


def test_a_receipt_verifies_with_the_published_key_and_names_its_audit_entry(system: System, tmp_path: Path) -> None:
    request_id = approved(system)
    given = call(system, "GET", f"/requests/{request_id}/receipt").json()
    published = call(system, "GET", "/receipts/keys").json()["keys"][0]
    public = OKPKey.import_key(published).raw_value.public_bytes_raw()
    claims = verified(given["receipt"], public, datetime.now(UTC))
    assert (published["kid"], claims.id, claims.fields) == (given["key_id"], request_id, {"env": "prod"})
    assert claims.model_dump(mode="json", by_alias=True) == given["claims"]
    assert [(each.person.split("/")[1], each.matched) for each in claims.decided_by] == [
        ("U0MANAGER", ("group managers",))
    ]
    shown = call(system, "GET", f"/requests/{request_id}").json()
    assert (shown["digest"], shown["valid_until"]) == (claims.digest, given["claims"]["valid_until"])
    file = tmp_path / "receipt.jws"
    file.write_text(given["receipt"])
    command = [sys.executable, "-m", "bot.cli", "receipt", "verify"]
    good = subprocess.run(
        [*command, str(file), "--public-key", public.hex()], capture_output=True, text=True, check=False
    )
    assert (good.returncode, "Approved: deploy" in good.stdout) == (0, True), good.stderr
    bad = subprocess.run(
        [*command, given["receipt"][:-4] + "AAAA", "--public-key", public.hex()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (bad.returncode, bad.stdout) == (4, ""), bad.stderr


def test_what_is_not_approved_has_no_receipt_and_no_use(system: System) -> None:
    request_id = asked(system)
    order = Order(system, request_id, request_id)
    order.card()
    for method, path in (("GET", "receipt"), ("POST", "consume")):
        refused = call(system, method, f"/requests/{request_id}/{path}")
        assert (
            refused.status_code,
            "is not approved, so there is nothing to use: it is waiting" in refused.json()["detail"],
        ) == (409, True)
        assert call(system, method, f"/requests/{request_id}/{path}", by=MANAGER).status_code == 404


def write(system: System, statement: str, *values: str) -> None:
    """Write in the app's database, past everything that checks."""
    path = system.settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        assert database.execute(statement, values).rowcount == 1


def test_what_somebody_wrote_into_the_database_has_no_receipt_and_no_use(system: System) -> None:
    good, forged = approved(system), asked(system)
    order = Order(system, forged)
    order.instance_id = forged
    order.card()
    took = ", ".join(f"{name} = (SELECT {name} FROM instances WHERE instance_id = ?1)" for name in TAKEN_OVER)  # noqa: S608
    write(system, f"UPDATE instances SET {took} WHERE instance_id = ?2", good, forged)  # noqa: S608
    for method, path in (("GET", "receipt"), ("POST", "consume")):
        refused = call(system, method, f"/requests/{forged}/{path}")
        assert (refused.status_code, "by our record alone" in refused.json()["detail"]) == (409, True), refused.text


TAKEN_OVER = (
    "phase", "ended_as", "engine_status", "finished_at", "decided_at", "outcome", "state", "request", "digest",
    "valid_until", "rule",
)  # fmt: skip


def test_a_receipt_says_what_the_history_proves_and_not_what_was_written_over_it(system: System) -> None:
    request_id = approved(system)
    change = "UPDATE instances SET request = replace(request, '\"prod\"', '\"test\"'), valid_until = NULL "
    write(system, f"{change} WHERE instance_id = ?", request_id)
    claims = call(system, "GET", f"/requests/{request_id}/receipt").json()["claims"]
    assert claims["fields"] == {"env": "prod"}
    assert claims["valid_until"] is not None


def test_of_twenty_uses_at_once_one_wins_and_the_audit_has_one(system: System) -> None:
    request_id = approved(system)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: call(system, "POST", f"/requests/{request_id}/consume"), range(AT_ONCE)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * (AT_ONCE - 1)
    won = next(each for each in answers if each.status_code == 200)
    assert call(system, "GET", f"/requests/{request_id}").json()["consumed_at"] == won.json()["consumed_at"]
    assert (
        count(system, "select count(*) from audit where action = 'request.consumed' and instance_id = ?", request_id)
        == 1
    )


def test_a_caller_who_lost_the_answer_gets_it_again_by_the_same_key_and_nobody_else_does(system: System) -> None:
    request_id = approved(system)
    path = f"/requests/{request_id}/consume"
    first, again = (call(system, "POST", path, key="job 7") for _ in range(2))
    assert (first.status_code, again.status_code, first.json()) == (200, 200, again.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert call(system, "POST", path, key="job 8").status_code == 409
    assert call(system, "POST", path).status_code == 409


def test_an_approval_that_was_not_used_in_time_has_expired(system: System) -> None:
    request_id = approved(system, "short")
    time.sleep(1.1)
    assert call(system, "GET", f"/requests/{request_id}").json()["status"] == "expired"

    def found(status: str) -> list[str]:
        page = call(system, "GET", f"/requests?status={status}&kind=short").json()
        return [each["id"] for each in page["requests"]]

    assert (found("expired"), found("approved")) == ([request_id], [])
    refused = call(system, "POST", f"/requests/{request_id}/consume")
    assert (refused.status_code, "was to be used before" in refused.json()["detail"]) == (409, True)


def test_twenty_clients_with_the_same_key_at_once_make_one_request(system: System) -> None:
    body = {"kind": "deploy", "subject": system.order_id("race")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: call(system, "POST", "/requests", key="one race", json=body), range(AT_ONCE)))
    assert len({each.json()["id"] for each in answers}) == 1, [each.text for each in answers]
    assert sorted(each.status_code for each in answers) == [200] * (AT_ONCE - 1) + [201]
    assert count(system, "select count(*) from instances where subject = ?", body["subject"]) == 1
