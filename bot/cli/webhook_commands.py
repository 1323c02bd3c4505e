"""`countersign webhooks`: what other systems were told, telling it again, a test, and the secret that signs."""

from typing import Annotated, Any

import typer

from bot.cli import output
from bot.cli.output import Format, Output
from bot.cli.remote import connected, path_of

app = typer.Typer(help="Webhooks: the log, redrive, a test, the secret.", no_args_is_help=True)
COLUMNS = ("ID", "REQUEST", "EVENT", "STATE", "ATTEMPTS", "LAST STATUS", "PROBLEM")


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="due, sent or given_up")] = None,
    request: Annotated[str | None, typer.Option(help="only of this request")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    output_as: Output = Format.TABLE,
) -> None:
    """List deliveries, the newest first: the key's own, or all for an operator.

    Example: countersign webhooks list --state given_up
    """
    wanted = {name: value for name, value in (("state", state), ("request", request)) if value is not None}
    with connected() as remote:
        found = remote.get("/webhooks/deliveries", limit=limit, **wanted)
    whole = found["deliveries"]
    output.rows(COLUMNS, [_line(each) for each in whole], output_as, whole=whole)


def _line(delivery: dict[str, Any]) -> dict[str, Any]:
    shown = {name: delivery[name] for name in ("id", "request", "event", "state", "attempts", "problem")}
    return shown | {"last_status": delivery["last_status"] or ""}


@app.command()
def redrive(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="the delivery's id, as `webhooks list` shows it")],
) -> None:
    """Deliver a message again, under the same id.

    Example: countersign webhooks redrive msg_5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f
    """
    with connected() as remote:
        found = remote.post(path_of("webhooks", "deliveries", delivery_id, "redrive"), {})
    output.say(f"{found['id']} is due again: {found['event']} to {found['url']}.")


@app.command("test")
def send_test(
    url: Annotated[str, typer.Argument(metavar="URL", help="where your service takes webhooks")],
    output_as: Output = Format.TABLE,
) -> None:
    """Send a signed message of the type `test` at once, and say what the receiver answered. Exit code 1: not taken.

    Example: countersign webhooks test https://orders.example/hooks
    """
    with connected() as remote:
        found = remote.post("/webhooks/test", {"url": url})
    if output_as is Format.JSON:
        output.print_json(found)
    elif found["taken"]:
        output.say(f"Taken: the receiver answered {found['status']}.")
    else:
        output.note(found["problem"] or f"The receiver answered {found['status']}.")
    if not found["taken"]:
        raise typer.Exit(1)


@app.command()
def secret(
    *,
    kind: Annotated[str | None, typer.Option(help="for operators: of the effect of this kind")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="begin a new one; the one before signs too")] = False,
) -> None:
    """Print the secrets that sign what this key is told, the newest first, one a line.

    Example: countersign webhooks secret --rotate
    """
    if rotate and kind is not None:
        output.fail("A kind's secret is not rotated: it changes with COUNTERSIGN_SECRET_KEY alone.", output.MISUSED)
    of_kind = {} if kind is None else {"kind": kind}
    with connected() as remote:
        found = remote.post("/webhooks/secret/rotate", {}) if rotate else remote.get("/webhooks/secret", **of_kind)
    for each in found["secrets"]:
        output.say(each)
