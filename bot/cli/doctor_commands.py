"""`countersign doctor`: what is wrong between the database, the engine and Slack, and healing it after asking."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated

import typer

from bot.cli import output
from bot.cli.database_session import demand_database, key_ring_or_exit, operator
from bot.cli.local_commands import settings_or_exit
from bot.cli.output import Format, Output
from bot.control.reconciling.doctor import Finding
from bot.process.settings import Settings

COLUMNS = ("ILL", "ID", "WHAT IS WRONG", "HEALING", "HEALED")
STATES = {None: "", True: "yes", False: "no"}


def doctor(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="heal without asking")] = False,
    look: Annotated[bool, typer.Option("--look", help="only look; neither ask nor heal")] = False,
    after_restore: Annotated[
        bool, typer.Option("--after-restore", help="acknowledge that the database was restored: effects go on")
    ] = False,
    settled: Annotated[float, typer.Option(help="leave out what moved within so many seconds", min=0)] = 30.0,
    output_as: Output = Format.TABLE,
) -> None:
    """Find what is wedged, orphaned or diverged, cards that lie, decisions without an answer; heal it after asking.

    Without a terminal it only looks, unless --yes is given.

    Exit code 0: all is well or healed; 1: something is left; 5: the sidecar or the database does not answer.

    Example: countersign doctor --look
    """
    from bot.engine.client import EngineRefusedError, EngineUnavailableError
    from bot.process import logs
    from records.errors import RecordsError

    settings = settings_or_exit()
    key_ring_or_exit(settings)
    demand_database(settings)
    logs.configure(settings.log_level)
    if after_restore:
        _after_restore(settings, yes=yes)
        return

    def agreed(found: Sequence[Finding]) -> bool:
        return not look and (yes or (sys.stdin.isatty() and _asked(found, output_as)))

    try:
        found = asyncio.run(_examined(settings, timedelta(seconds=settled), agreed))
    except (EngineUnavailableError, EngineRefusedError) as error:
        output.fail(
            f"The Dapr sidecar does not answer at {settings.sidecar_address}: {str(error)[:200]}", output.UNREACHABLE
        )
    except RecordsError as error:
        output.fail(str(error), output.UNREACHABLE)
    _print(found, output_as)
    if found and not look and not yes and not sys.stdin.isatty():
        output.note("There is no terminal to ask at, so nothing was healed. Repeat it with --yes to heal.")
    if any(each.healed is not True for each in found):
        raise typer.Exit(output.FAILED)


def _after_restore(settings: Settings, *, yes: bool) -> None:
    """Show what is lost, ask, and let effects go on."""
    from records.errors import RecordsError

    if settings.checkpoint_dir is None:
        output.fail("COUNTERSIGN_CHECKPOINT_DIR is not set, so nothing can be compared and nothing is held.")
    try:
        asyncio.run(_acknowledged(settings, yes=yes))
    except RecordsError as error:
        output.fail(str(error), output.UNREACHABLE)
    except OSError as error:
        output.fail(
            f"The files of the lost checkpoints cannot be moved ({error.strerror}), so effects are still held. Let "
            f"this user write {settings.checkpoint_dir}, then repeat it."
        )


async def _acknowledged(settings: Settings, *, yes: bool) -> None:
    from bot.services import doctor_of

    async with doctor_of(settings, timedelta()) as found:
        lost = await found.restoration.look()
        if lost is None:
            output.say(
                "Nothing is held: the database agrees with its newest checkpoint."
                if found.restoration.message == "ok"
                else found.restoration.message
            )
            return
        output.say(lost.sentence)
        if not yes and not sys.stdin.isatty():
            output.fail("There is no terminal to ask at, so effects are still held. Repeat it with --yes.")
        if not yes and not typer.confirm("Have you compared what was approved since? Let effects go on?", err=True):
            output.fail("Effects are still held.")
        moved = await found.restoration.acknowledge(operator())
    output.say(f"Acknowledged and audited. Set aside: {', '.join(map(str, moved))}. Effects go on within seconds.")


async def _examined(
    settings: Settings, young: timedelta, agreed: Callable[[Sequence[Finding]], bool]
) -> tuple[Finding, ...]:
    from bot.services import doctor_of

    async with doctor_of(settings, young) as found:
        findings = await found.examine()
        return await found.heal(findings, operator()) if findings and agreed(findings) else findings


def _asked(found: Sequence[Finding], output_as: Format) -> bool:
    if output_as is Format.TABLE:
        _print(found, output_as)
    return typer.confirm("Heal what can be healed?", err=True)


def _print(found: Sequence[Finding], output_as: Format) -> None:
    if not found and output_as is Format.TABLE:
        output.say("All is well: engine, database and cards agree, and every decision is answered.")
        return
    lines = [
        {
            "ill": each.kind.value,
            "id": each.instance_id,
            "what_is_wrong": each.sentence,
            "healing": each.healing,
            "healed": STATES[each.healed],
        }
        for each in found
    ]
    whole = [{"ill": each.kind.value, **each.model_dump(mode="json", exclude={"kind"})} for each in found]
    output.rows(COLUMNS, lines, output_as, whole=whole)
