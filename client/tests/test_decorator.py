"""A function that waits for a yes."""

import asyncio
from typing import Any

import countersign
import pytest
from countersign.testing import Fake

RAN: list[Any] = []


@countersign.requires_approval(
    kind="deploy",
    subject="{service} {version}",
    key="deploy:{service}:{version}",
    description="for {who}",
    fields={"env": "prod"},
)
def deploy(service: str, version: str, *, who: str = "everybody") -> str:
    """Deploy."""
    RAN.append((service, version, who))
    return "deployed"


@countersign.requires_approval(kind="deploy", subject="{name}", key="k:{name}", wait="1s")
async def later(name: str) -> str:
    RAN.append(name)
    return name


def test_the_function_runs_after_a_yes_with_its_own_arguments(countersign_fake: Fake) -> None:
    RAN.clear()
    countersign_fake.approves()
    assert deploy("shop", version="7.1") == "deployed"
    assert RAN == [("shop", "7.1", "everybody")]
    (asked,) = countersign_fake.asked
    assert (asked.subject, asked.key) == ("shop 7.1", "deploy:shop:7.1")
    assert (asked.body["description"], asked.body["fields"]) == ("for everybody", {"env": "prod"})
    assert deploy.__doc__ == "Deploy."


def test_it_does_not_run_after_a_no(countersign_fake: Fake) -> None:
    RAN.clear()
    countersign_fake.rejects()
    with pytest.raises(countersign.Rejected):
        deploy("shop", "7.1")
    with pytest.raises(countersign.Rejected):
        asyncio.run(later("x"))
    assert RAN == []


def test_an_async_function_is_awaited(countersign_fake: Fake) -> None:
    countersign_fake.approves()
    assert asyncio.run(later("x")) == "x"


@pytest.mark.parametrize("key", ["deploy:{servce}", "deploy:{0}", "deploy:{", "deploy:{service.name}"])
def test_a_text_that_names_no_argument_is_refused_at_once(key: str) -> None:
    with pytest.raises(ValueError, match=r"key .* does not fit the function: in braces it may name service"):

        @countersign.requires_approval(kind="deploy", subject="x", key=key)
        def run(service: str) -> None: ...
