"""`countersign audit decisions`: who approved or rejected what, as a table, as JSON, or as a spreadsheet's file."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from approvals.mistakes import clause, first_mistake
from bot.cli import output
from bot.cli.database_session import with_database
from bot.cli.local_commands import settings_or_exit
from records import decided
from records.database import Database

COLUMNS = ("AT", "ORDER", "AMOUNT", "REQUESTER", "ANSWER", "APPROVER", "EMAIL", "RULE", "REASON")


class Form(StrEnum):
    """The format in which decisions are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def decisions(  # noqa: PLR0913 what can be searched for
    *,
    above: Annotated[str | None, typer.Option(help="more than this amount")] = None,
    below: Annotated[str | None, typer.Option(help="less than this amount")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217, for example USD")] = None,
    since: Annotated[str | None, typer.Option(help="a date, or how long ago: 30d")] = None,
    until: Annotated[str | None, typer.Option(help="before this date, or how long ago")] = None,
    by: Annotated[str | None, typer.Option(help="part of the approver's name, e-mail or id")] = None,
    requester: Annotated[str | None, typer.Option(help="part of the requester's e-mail or id")] = None,
    order: Annotated[str | None, typer.Option(help="an order's id or an instance's")] = None,
    rule: Annotated[str | None, typer.Option(help="the policy's rule, by its whole name")] = None,
    answer: Annotated[str | None, typer.Option(help="approved or rejected")] = None,
    form: Annotated[Form, typer.Option("-o", "--output", help="csv has every column, for a spreadsheet")] = Form.TABLE,
) -> None:
    """Say who approved or rejected what, newest first: order, amount, requester, approver, rule, moment and reason.

    Example: countersign audit decisions --above 5000 --since 30d -o csv
    """
    given = {
        "above": above, "below": below, "currency": currency, "since": since, "until": until, "by": by,
        "requester": requester, "order": order, "rule": rule, "answer": answer,
    }  # fmt: skip
    wanted = _wanted({name: value for name, value in given.items() if value is not None})
    settings = settings_or_exit()
    if form is Form.CSV:
        with_database(settings, lambda database: _write(decided.lines(database, wanted)))
        return
    found = with_database(settings, lambda database: _all(database, wanted))
    plain = [one.model_dump(mode="json") for one in found]
    if form is Form.JSON:
        output.print_json(plain)
        return
    output.rows(COLUMNS, [_line(one) for one in found], output.Format.TABLE)
    if not found:
        output.note("No decision fits.")


def _wanted(given: dict[str, Any]) -> decided.DecisionFilter:
    from bot.control.reading.decided import DecisionQuery

    try:
        return DecisionQuery.model_validate(given).wanted(datetime.now(UTC))
    except ValidationError as error:
        first = first_mistake(error)
        output.fail(f"--{first['loc'][0]} is not usable: {clause(first)}.", output.MISUSED)


async def _all(database: Database, wanted: decided.DecisionFilter) -> tuple[decided.Decided, ...]:
    return tuple([one async for one in decided.every(database, wanted)])


async def _write(lines: AsyncIterator[str]) -> None:
    async for line in lines:
        sys.stdout.write(line)


def _line(one: decided.Decided) -> dict[str, Any]:
    amount = f"{one.amount} {one.currency}" if one.amount else ""
    return one.model_dump() | {"at": f"{one.at:%Y-%m-%d %H:%M} UTC", "amount": amount}
