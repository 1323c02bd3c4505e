"""Which amounts an order's body, or a request as a workflow's input, may name."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from approvals.request import ApprovalRequest
from bot.rest.orders import OrderBody


@pytest.mark.parametrize("text", ["\uff12\uff14\uff10\uff10", "\u0662\u0664\u0660\u0660", "24\uff0e5", "2\u00a0400"])
def test_digits_of_another_script_are_no_amount(text: str) -> None:
    with pytest.raises(ValidationError, match="with the digits 0 to 9"):
        OrderBody.model_validate({"amount": text})
    with pytest.raises(ValidationError, match="with the digits 0 to 9"):
        ApprovalRequest.model_validate({"subject": "1", "amount": text, "currency": "USD", "requester": "U0REQUESTER"})


@pytest.mark.parametrize("given", ["2400", 2400, 2400.0, "2400.00"])
def test_an_amount_is_a_number_or_its_text(given: object) -> None:
    assert OrderBody.model_validate({"amount": given}).amount == Decimal(2400)
