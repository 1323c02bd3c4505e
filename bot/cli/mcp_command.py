"""`countersign mcp`: an MCP server over standard input and output, or over streamable HTTP."""

from importlib.util import find_spec
from typing import Annotated

import typer

from bot.cli import output
from bot.cli.remote import key_missing, settings_or_exit


def mcp(
    *,
    http: Annotated[
        bool, typer.Option("--http", help="streamable HTTP at /mcp, each caller with their own key")
    ] = False,
    host: Annotated[str, typer.Option(help="with --http: address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="with --http: port to listen on")] = 8900,
    open_at_most: Annotated[int, typer.Option(min=1, help="how many requests of one caller may wait for people")] = 10,
) -> None:
    """Serve tools for agents: ask_human, check_answer, withdraw, who_decides. None of them decides.

    Example: countersign mcp
    """
    if find_spec("mcp") is None:
        output.fail("The package mcp is not installed. Install it with: pip install 'countersign[mcp]'")
    import httpx

    from bot.cli.mcp_server import server

    _, url, key = settings_or_exit()
    if not http and not key:
        key_missing()
    client = httpx.AsyncClient(base_url=url, headers={"User-Agent": "countersign-mcp"})
    made = server(client, "" if http else key, open_at_most=open_at_most)
    if http:
        made.run("streamable-http", host=host, port=port, stateless_http=True, json_response=True)
    else:
        made.run("stdio")
