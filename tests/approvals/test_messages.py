"""The sentences: one for each reason and each status, plain, and with a next step."""

from typing import Any

import pytest

from approvals.decision import Reason
from approvals.messages import STATUSES, TIMEOUT, sentence, status_sentence


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_plain_sentence_of_its_own(reason: Any) -> None:
    text = sentence(reason)
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) <= 300
    assert not set(text) & set("<>&*`~|{}")


def test_no_two_reasons_share_a_sentence() -> None:
    assert len({sentence(reason) for reason in Reason}) == len(Reason)


def test_each_of_the_six_statuses_has_its_sentence_in_whatever_case() -> None:
    assert set(STATUSES) == {"RUNNING", "COMPLETED", "FAILED", "TERMINATED", "PENDING", "SUSPENDED"}
    assert status_sentence("running") == STATUSES["RUNNING"]
    with pytest.raises(KeyError):
        status_sentence("STALLED")


def test_a_timeout_is_not_told_as_a_no() -> None:
    assert "not the same as a no" in TIMEOUT
