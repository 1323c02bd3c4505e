"""`countersign order`: start an order, approve or reject it, by the app's REST API and the caller's own key."""

import re
from typing import Annotated, Any

import typer

from bot.cli import output
from bot.cli.output import Format, Output
from bot.cli.remote import connected, path_of

app = typer.Typer(help="Orders: start one, approve or reject it.", no_args_is_help=True)

INSTANCE = re.compile(r"order-(.+)-workflow")
Digest = Annotated[
    str | None, typer.Option(help="of what you saw; `countersign status` shows it, a rule of high risk demands it")
]
OrderId = Annotated[str, typer.Argument(metavar="ID", help="the order's id, or its workflow's")]


def order_id_of(reference: str) -> str:
    """Return the order's id of an order's id or of its workflow's."""
    found = INSTANCE.fullmatch(reference)
    return found[1] if found else reference


@app.command()
def start(  # noqa: PLR0913 what an order has
    order_id: Annotated[
        str, typer.Argument(metavar="ID", help="the order's id: nearly any characters but / \\ # ? and ||")
    ],
    amount: Annotated[str, typer.Option(help="for example 2400 or 2400.00")],
    *,
    currency: Annotated[str | None, typer.Option(help="default: the policy's")] = None,
    description: Annotated[str | None, typer.Option(help="what it is for")] = None,
    requester: Annotated[str | None, typer.Option(help="e-mail or Slack user id; default: the key's person")] = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Start an order's approval. The same call again finds the same workflow and starts nothing twice.

    Example: countersign order start 42 --amount 2400 --description "Two laptops" --requester requester@example.com
    """
    body = {"amount": amount, "currency": currency, "description": description, "requester": requester}
    with connected() as remote:
        found = remote.post(path_of("orders", order_id, "start"), body)
    if output_as is Format.JSON:
        output.print_json(found)
        return
    output.say(f"{found['instance_id']} {found['status']}. Follow it with: countersign watch {order_id}")


@app.command()
def approve(
    order_id: OrderId,
    reason: Annotated[str, typer.Option(help="if there is something to say")] = "",
    digest: Digest = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Approve an order, as the person whom the key belongs to. The workflow decides whether it counts.

    Example: countersign order approve 42 --reason "within the budget"
    """
    decide(order_id, {"approved": True, "reason": reason, "digest": digest}, output_as)


@app.command()
def reject(
    order_id: OrderId,
    reason: Annotated[str, typer.Option(help="why; the requester reads it")],
    digest: Digest = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Reject an order, as the person whom the key belongs to.

    Example: countersign order reject 42 --reason "over the budget"
    """
    decide(order_id, {"approved": False, "reason": reason, "digest": digest}, output_as)


def decide(reference: str, decision: dict[str, Any], output_as: Format) -> None:
    """Send a decision and print what the workflow made of it."""
    with connected() as remote:
        found = remote.post(path_of("orders", order_id_of(reference), "approve"), decision, conflict=output.REFUSED)
    if output_as is Format.JSON:
        output.print_json(found)
        return
    say_decided(found, decision)


def say_decided(found: dict[str, Any], decision: dict[str, Any]) -> None:
    """Print what the workflow made of a decision."""
    word = "Approved" if decision.get("approved") else "Rejected"
    output.say(found["detail"] if found.get("outcome") is None else f"{word}. {found['detail']}")
