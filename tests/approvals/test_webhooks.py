"""When a webhook is tried again, and what signs it."""

from datetime import UTC, datetime, timedelta

from approvals.signing import parse_key_ring
from approvals.webhooks import headers, message_id, next_attempt, secrets_of

NOW = datetime(2026, 8, 1, tzinfo=UTC)


def test_it_is_tried_with_growing_pauses_for_three_days_and_then_given_up() -> None:
    at, pauses = NOW, []
    for attempts in range(1, 100):
        again = next_attempt(attempts, NOW, at)
        if again is None:
            break
        pauses.append(again - at)
        at = again
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=5), timedelta(hours=8))
    assert timedelta(days=2, hours=12) < at - NOW <= timedelta(days=3)


def test_each_key_and_each_round_has_a_secret_of_its_own_and_a_rotation_keeps_the_last_one() -> None:
    ring = parse_key_ring("a:" + "x" * 40)
    first, second, third = (secrets_of(ring, "key", number) for number in (1, 2, 3))
    assert (len(first), second[1:], third[1:]) == (1, first, second[:1])
    assert set(first).isdisjoint(secrets_of(ring, "other", 1))


def test_while_the_apps_own_keys_are_rotated_both_sign() -> None:
    old, both = parse_key_ring("a:" + "x" * 40), parse_key_ring("b:" + "y" * 40 + ",a:" + "x" * 40)
    assert secrets_of(both, "key", 1)[1:] == secrets_of(old, "key", 1)
    assert headers(secrets_of(both, "key", 1), "msg_1", NOW, "{}")["webhook-signature"].count("v1,") == 2


def test_one_run_of_an_instance_has_one_message_and_another_run_another() -> None:
    assert message_id("deploy-1", NOW) == message_id("deploy-1", NOW)
    assert message_id("deploy-1", NOW) != message_id("deploy-1", NOW + timedelta(seconds=1))
