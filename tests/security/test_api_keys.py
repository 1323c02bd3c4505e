"""API keys at the door: scoped, expiring, revoked at once, throttled, their last use shown, their refusals audited."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from approvals.signing import Purpose
from records import audit, keys
from tests.end_to_end.system import System


def make(system: System, **properties: Any) -> tuple[keys.ApiKey, str]:
    given = {"name": "test", "person": "operator@example.com", "roles": ("operator",), "created_by": "test"}
    create = functools.partial(
        keys.create, secret=system.settings.keys.subkey(Purpose.API_KEY), now=datetime.now(UTC), **given | properties
    )
    return system.records(create, write=True)


def listed(system: System, token: str, source: str = "") -> httpx.Response:
    forwarded = {"X-Forwarded-For": source} if source else {}
    return system.http.get("/workflows", headers={"Authorization": f"Bearer {token}", **forwarded})


def test_a_scoped_key_does_what_its_scope_names_and_nothing_else(system: System) -> None:
    _, token = make(system, scopes=("list",))
    assert listed(system, token).status_code == 200
    refused = system.http.post("/orders/1/start", json={"amount": 1}, headers={"X-API-Key": token})
    assert (refused.status_code, refused.json()["rule"]) == (403, "scope")
    _, empty = make(system, scopes=())
    assert listed(system, empty).status_code == 403
    _, unknown = make(system, scopes=("everything",))
    assert listed(system, unknown).status_code == 403


def test_an_expired_a_revoked_and_an_unknown_key_look_the_same(system: System) -> None:
    _, expired = make(system, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    key, revoked = make(system)
    assert listed(system, revoked).status_code == 200
    system.records(lambda connection: keys.revoke(connection, key.id, datetime.now(UTC)), write=True)
    answers = [listed(system, each, "192.0.2.1") for each in (expired, revoked, revoked[:-1] + "x", "cs_nothing")]
    said = {(each.status_code, each.json()["detail"]) for each in answers}
    assert len(said) == 1
    assert said.pop()[0] == 401


def test_wrong_keys_are_throttled_by_source_and_a_right_one_never_is(system: System) -> None:
    _, good = make(system)
    guess = "cs_0123456789ab_" + "A" * 43
    codes = [listed(system, guess, "192.0.2.7").status_code for _ in range(12)]
    assert (codes[0], codes[-1]) == (401, 429)
    assert "Retry-After" in listed(system, guess, "192.0.2.7").headers
    assert listed(system, good, "192.0.2.7").status_code == 200  # never seen from there before
    assert listed(system, good, "192.0.2.8").status_code == 200


def test_guesses_with_a_victims_key_id_never_lock_the_victim_out(system: System) -> None:
    key, good = make(system)
    wrong = f"cs_{key.id}_" + "A" * 43
    victims = [listed(system, good, "192.0.2.17").status_code]
    guesses = []
    for number in range(40):
        guesses.append(listed(system, wrong, f"192.0.2.{17 + number % 3}").status_code)
        victims.append(listed(system, good, f"192.0.2.{17 + number % 2}").status_code)
    assert set(victims) == {200}
    assert guesses.count(429) > 30  # by the id of the key too: another address does not help


def test_the_last_use_is_written_down(system: System) -> None:
    key, token = make(system)
    listed(system, token)
    found = system.records(lambda connection: keys.get(connection, key.id))
    assert found is not None
    assert found.last_used_at is not None


def test_a_refusal_at_rest_is_audited_with_who_and_what(system: System) -> None:
    key, token = make(system, roles=("requester",))
    refused = system.http.get("/statistics", headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 403
    wanted = audit.EntryFilter(action="access.refused", actor=f"key:{key.id}")
    entry = system.records(lambda connection: audit.page(connection, wanted))[0]
    assert (entry.verdict, entry.data["action"], entry.through) == ("not_permitted", "see_statistics", "rest")
    assert entry.correlation_id == refused.json()["correlation_id"]
