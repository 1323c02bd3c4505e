"""The sentences: one for each reason and each status, plain, and with a next step."""

from typing import Any

import pytest

from approvals.decision import Reason
from approvals.messages import message_for
from approvals.statuses import STATUSES, status_message


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_plain_sentence_of_its_own(reason: Any) -> None:
    text = message_for(reason)
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) <= 300
    assert not set(text) & set("<>&*`~|{}")


def test_no_two_reasons_share_a_sentence() -> None:
    assert len({message_for(reason) for reason in Reason}) == len(Reason)


def test_each_status_of_dapr_has_its_message_in_whatever_case() -> None:
    assert set(STATUSES) == {"RUNNING", "COMPLETED", "FAILED", "TERMINATED", "PENDING", "SUSPENDED", "STALLED"}
    assert status_message("running") == STATUSES["RUNNING"]


def test_a_status_of_a_later_engine_is_told_by_its_name() -> None:
    assert status_message("HIBERNATED") == "The engine says HIBERNATED."


@pytest.mark.parametrize("reason", Reason)
def test_a_withdrawal_is_never_told_that_an_answer_does_not_count(reason: Any) -> None:
    if reason not in {Reason.NO_APPROVERS, Reason.REASON_MISSING, Reason.ALLOWED, Reason.DUPLICATE}:
        assert "The answer does not count" not in message_for(reason, withdrawal=True)
    assert len(message_for(reason, withdrawal=True)) <= 300


def test_a_withdrawal_of_what_is_over_says_that_nothing_was_withdrawn() -> None:
    assert message_for(Reason.REQUEST_OVER, withdrawal=True).startswith("Nothing was withdrawn because")
