"""`countersign receipt`: fetch the receipt of an approval, and verify one without the app."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from approvals.receipts import BadReceiptError, Claims, verified
from bot.cli import audit_key, output
from bot.cli.output import Format, Output
from bot.cli.remote import connected, path_of

app = typer.Typer(help="Receipts of approvals: fetch one, verify one.", no_args_is_help=True)


@app.command()
def show(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="the request's id")], output_as: Output = Format.TABLE
) -> None:
    """Print the receipt of an approval, alone on standard output.

    Example: countersign receipt show deploy-5f0c9a7d1b3e4c5d8e9f0a1b > receipt.jws
    """
    with connected() as remote:
        found = remote.get(path_of("requests", request_id, "receipt"))
    if output_as is Format.JSON:
        output.print_json(found)
        return
    output.say(found["receipt"])


@app.command()
def verify(
    receipt: Annotated[str, typer.Argument(metavar="RECEIPT", help="the receipt, its file, or - for standard input")],
    public_key: Annotated[
        str, typer.Option("--public-key", help="64 hex digits, from `countersign audit public-key` where the app runs")
    ],
    output_as: Output = Format.TABLE,
) -> None:
    """Verify a receipt without the app and say what it says. Exit code 4: it proves nothing.

    Example: countersign receipt verify receipt.jws --public-key 3b6a…
    """
    try:
        claims = verified(_text(receipt), audit_key.public_key(public_key), datetime.now(UTC))
    except BadReceiptError as error:
        output.fail(str(error), output.REFUSED)
    if output_as is Format.JSON:
        output.print_json(claims.model_dump(mode="json", by_alias=True))
        return
    output.say(_said(claims))


def _text(given: str) -> str:
    if given == "-":
        return sys.stdin.read(70_000)
    try:
        return Path(given).read_text(encoding="utf-8") if len(given) < 1_000 and Path(given).is_file() else given  # noqa: PLR2004 no receipt is so short
    except (OSError, UnicodeDecodeError) as error:
        output.fail(f"{given[:200]} cannot be read: {error}.", output.MISUSED)


def _said(claims: Claims) -> str:
    people = ", ".join(each.name or each.person for each in claims.decided_by) or "a rule alone"
    about = f"{claims.kind} {claims.subject}"
    money = f" for {claims.amount} {claims.currency}" if claims.amount else ""
    fields = "".join(f"\n  {name}: {text}" for name, text in (claims.fields | claims.details).items())
    until = f"{claims.valid_until:%Y-%m-%d %H:%M} UTC" if claims.valid_until else "without an end"
    return (
        f"Approved: {about}{money}, by {people} at {claims.ended_at:%Y-%m-%d %H:%M} UTC.{fields}\n"
        f"Valid until: {until}. Rule: {claims.rule}, policy {claims.policy_version}. Audit entry {claims.audit.seq}."
    )
