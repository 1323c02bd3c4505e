"""What callers read where a part is away: true for what they asked, and what to do next."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from bot.engine.client import EngineUnavailableError
from bot.rest import problems
from records.failures import unavailable


def answered(method: str, error: Exception) -> httpx.Response:
    """Ask an app whose one route fails in this way."""
    app = FastAPI()
    problems.install(app)

    @app.api_route("/", methods=["GET", "POST"])
    async def fails() -> None:
        raise error

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
            return await http.request(method, "/")

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("method", "said", "not_said"),
    [("GET", "cannot be shown now", "took effect"), ("POST", "Whether the call took effect is not known", "shown now")],
)
def test_an_engine_that_is_away_makes_only_a_change_uncertain(method: str, said: str, not_said: str) -> None:
    answer = answered(method, EngineUnavailableError("UNAVAILABLE: connection refused"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert said in answer.json()["detail"]
    assert not_said not in answer.json()["detail"]


def test_a_database_that_is_away_is_not_said_to_be_where_it_is() -> None:
    answer = answered("GET", unavailable("/srv/private/countersign.db", "cannot grow: the disk is full"))
    detail = "The database cannot grow: the disk is full. Nothing was written; try again when that is mended."
    assert (answer.status_code, answer.json()["detail"]) == (503, detail)
