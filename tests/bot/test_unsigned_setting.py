"""The tutorials' setting, which takes unsigned decisions, works beside nothing real."""

from typing import Any

import pytest
from pydantic import SecretStr

from bot.process.settings import Settings

LOCAL = "http://127.0.0.1:1/api/"
ORDERS = {"process_order_url": "https://orders.example/approved"}
CALLBACKS = {"callback_hosts": ("orders.example",)}


@pytest.mark.parametrize(
    ("more", "refusals"),
    [
        ({"slack_api_url": LOCAL}, 0),
        ({}, 1),
        ({"slack_api_url": LOCAL, **ORDERS}, 1),
        ({"slack_api_url": LOCAL, **CALLBACKS}, 1),
        ({"accept_unsigned_decisions": False, **ORDERS}, 0),
    ],
)
def test_unsigned_decisions_are_taken_with_a_local_slack_alone(more: dict[str, Any], refusals: int) -> None:
    known: dict[str, Any] = {"secret_key": SecretStr("k" * 41), "accept_unsigned_decisions": True}
    settings = Settings.model_construct(**{**Settings.model_construct().model_dump(), **known, **more})
    found = [each for each in settings._unsafe() if "ACCEPT_UNSIGNED" in each]
    assert len(found) == refusals
