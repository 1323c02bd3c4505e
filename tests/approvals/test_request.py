"""How much one request may hold, wherever it comes from."""

from typing import Any

import pytest

from approvals.canonical import canonical_json
from approvals.request import MOST_REQUEST_BYTES, ApprovalRequest


def request(**fields: Any) -> ApprovalRequest:
    usual = {"subject": "42", "amount": "2400", "currency": "USD", "requester": "a@example.com"}
    return ApprovalRequest.model_validate(usual | fields)


def test_a_request_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    largest = request(details={str(number): "x" * 2000 for number in range(8)})
    left = MOST_REQUEST_BYTES - len(canonical_json(largest))
    assert 0 < left < 3000
    full = request(details=largest.details, description="y" * left)
    assert len(canonical_json(full)) == MOST_REQUEST_BYTES
    with pytest.raises(
        ValueError, match=f"the request has {MOST_REQUEST_BYTES + 1} bytes; {MOST_REQUEST_BYTES} at most"
    ):
        request(details=largest.details, description="y" * (left + 1))


def test_the_size_is_counted_in_bytes_not_in_characters() -> None:
    with pytest.raises(ValueError, match="bytes"):
        request(details={str(number): "\N{SNOWMAN}" * 2000 for number in range(3)})


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"n" * 101: "x"}, "a detail's name has 101 characters; 100 at most"),
        ({"note": "x" * 2001}, "the detail 'note' has 2001 characters; 2000 at most"),
    ],
)
def test_a_detail_is_bounded_and_the_message_holds_nothing_of_what_is_too_long(
    details: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        request(details=details)
    [error] = caught.value.errors()  # type: ignore[attr-defined]  # pydantic's ValidationError
    assert len(f"{error['loc']}{error['msg']}") < 200


def test_details_of_the_longest_lengths_are_taken() -> None:
    assert request(details={"n" * 100: "x" * 2000}).details == {"n" * 100: "x" * 2000}
