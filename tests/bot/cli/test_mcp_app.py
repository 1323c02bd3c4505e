"""What an agent's tools send to the app."""

import httpx
import pytest

from bot.cli.mcp_app import App, AppError


@pytest.mark.parametrize("name", ["a%2F..%2Fkeys", "a?mine=true", "a#b", "a b|@:..'c", "日本 é", "preview?x"])
async def test_an_id_of_any_form_is_one_part_of_the_address(name: str) -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(404, json={"detail": "no"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://app.example") as http:
        with pytest.raises(AppError, match="no"):
            await App(http, "cs_x", open_at_most=5).withdraw(name, "not needed")
    [sent] = map(httpx.URL, [f"https://app.example{asked[0].decode()}"])
    assert (sent.path, sent.query, sent.fragment) == (f"/requests/{name}/withdraw", b"", "")
    assert asked[0].count(b"/") == 3
