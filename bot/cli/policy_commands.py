"""`countersign policy`: lint the file, and say which rule wins and why."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from activities.policies import PolicyFile
from approvals.policy.lint import lint
from approvals.policy.routing import Policy, PolicyError, explain
from approvals.request import ApprovalRequest
from bot.cli import output
from bot.cli.local_commands import settings_or_exit
from bot.cli.output import Format, Output

app = typer.Typer(help="The policy file: check it, and ask it.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--file", help="default COUNTERSIGN_POLICY or policy.yml")]


def _policy(file: Path | None) -> tuple[Policy, Path]:
    path = file or settings_or_exit().policy
    try:
        return PolicyFile(path).read(), path
    except PolicyError as error:
        output.fail(str(error))


@app.command()
def check(file: File = None, output_as: Output = Format.TABLE) -> None:
    """Find unreachable rules, gaps, unknown groups, empty approver lists. Exit code 1 when there is an error.

    Example: countersign policy check
    """
    policy, path = _policy(file)
    found = lint(policy)
    if output_as is Format.JSON:
        output.print_json([each.model_dump() for each in found])
    else:
        for each in found:
            place = f"{path}:{each.line}" if each.line else str(path)  # 0 is the file as a whole
            output.say(f"{place}: {each.severity}: {each.sentence}")
        output.say(f"{path}: {len(policy.rules)} rules, version {policy.version}, {_counted(len(found))}.")
    if any(each.severity == "error" for each in found):
        raise typer.Exit(output.FAILED)


def _counted(findings: int) -> str:
    return "1 finding" if findings == 1 else f"{findings or 'no'} findings"


@app.command("explain")
def explain_(  # noqa: PLR0913 what a request has
    *,
    amount: Annotated[
        str | None, typer.Option(help="for example 2400 or 2400.00; none if it is not about money")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="default: the policy's")] = None,
    requester: Annotated[str, typer.Option(help="e-mail or Slack user id")] = "requester@example.com",
    kind: Annotated[str, typer.Option()] = "order",
    file: File = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Say which rule wins for a request, why, whom it asks and until when.

    Example: countersign policy explain --amount 2400
    """
    policy, _ = _policy(file)
    try:
        request = ApprovalRequest.model_validate(
            {
                "kind": kind,
                "subject": "example",
                "amount": amount,
                "currency": "" if amount is None else (currency or policy.currency).upper(),
                "requester": requester,
            }
        )
    except ValidationError:
        output.fail(
            f"{amount!r} {currency or policy.currency} is no amount: write it with the digits 0 to 9, like 2400 or "
            "2400.00.",
            output.MISUSED,
        )
    found = explain(policy, request)
    if output_as is Format.JSON:
        output.print_json(found.model_dump(mode="json"))
        return
    for rule in found.rules:
        output.say(f"{'->' if rule.wins else '  '} {rule.rule} (line {rule.line}): {rule.why}")
    output.say(found.sentence)
    for number, stage in enumerate(found.stages, 1):
        asked = f"Stage {number}: {stage.people} within {stage.within}"
        rest = [*stage.remind, *([stage.escalate] if stage.escalate else [])]
        output.say(asked + (f"; reminders and escalation: {', '.join(rest)}" if rest else ""))
    if found.route is not None and found.route.stages:
        until = datetime.now(UTC) + found.route.stages[0].within
        output.say(f"Asked now, the first stage would end at {until:%Y-%m-%d %H:%M} UTC.")
