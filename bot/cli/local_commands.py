"""Commands that need nothing but this machine: run, sidecar, manifest, config."""

import asyncio
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from approvals.mistakes import clause
from bot.cli import output
from bot.cli.output import Format, Output
from bot.process.secret_files import SecretFileError
from bot.process.settings import Settings

config = typer.Typer(help="The settings: what is missing, wrong or unreachable.", no_args_is_help=True)


def settings_or_exit() -> Settings:
    """Return the settings, or end with a message for each that is unusable; no value is shown."""
    try:
        return Settings()
    except ValidationError as error:
        found = "\n".join(f"{_name(each['loc'])}: {clause(each)}" for each in error.errors(include_input=False))
        output.fail(f"The settings are not usable.\n{found}", output.MISUSED)
    except SecretFileError as error:
        output.fail(f"The settings are not usable.\n{error}", output.MISUSED)
    except UnicodeDecodeError:
        output.fail(output.UNREADABLE_FILE, output.MISUSED)


def _name(where: tuple[int | str, ...]) -> str:
    field = str(where[0]) if where else "settings"
    return field if field.isupper() else f"COUNTERSIGN_{field.upper()}"


class ProcessRole(StrEnum):
    """What one process does where two share the work."""

    WEB = "web"
    WORKER = "worker"


def run(
    host: Annotated[
        str | None, typer.Option(help="address to listen on; default COUNTERSIGN_HOST or 127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="default COUNTERSIGN_PORT or 8000; 0 chooses a free one")] = None,
    only: Annotated[
        ProcessRole | None,
        typer.Option(help="web takes clicks and calls, worker does activities and background jobs; default: both"),
    ] = None,
) -> None:
    """Run the app: Slack, REST, dashboard, deliverer and Dapr worker in one process.

    Example: countersign run --port 8000
    """
    from bot.app import MissingSettingsError, create_app
    from bot.cli.serving import Leaving, leave, serve
    from bot.engine.extensions import ExtensionError
    from bot.process import logs

    settings = settings_or_exit()
    if only is not None:
        settings = settings.model_copy(update={"only": only.value})
    logs.configure(settings.log_level)
    try:
        app = create_app(settings)
    except (MissingSettingsError, ExtensionError) as error:
        output.fail(f"Countersign does not start.\n{error}", output.MISUSED)
    _demand_policy(settings)

    def begin() -> None:
        app.state.services.leave()

    def close() -> None:
        app.state.services.following.end()

    leaving = Leaving(begin, close, settings.drain_seconds)
    started = serve(app, host or settings.host, settings.port if port is None else port, leaving)
    leave(0 if started else output.FAILED)


def _demand_policy(settings: Settings) -> None:
    """Exit with the line and the reason if the policy is invalid: it would refuse every order (law: fail closed)."""
    from activities.policies import PolicyFile
    from approvals.policy.routing import PolicyError

    try:
        PolicyFile(settings.policy).read()
    except PolicyError as error:
        output.fail(f"Countersign does not start.\n{error}", output.MISUSED)


def sidecar(
    db: Annotated[Path, typer.Option(help="the SQLite file; made if it is not there")] = Path("sidecar.db"),
    port: Annotated[int, typer.Option(help="port of the gRPC service")] = 50001,
    host: Annotated[str, typer.Option(help="anything but loopback needs DAPR_API_TOKEN")] = "127.0.0.1",
) -> None:
    """Run the local workflow sidecar: development and demo without Dapr installed.

    Example: countersign sidecar --db sidecar.db --port 50001
    """
    from local.sidecar import run as serve

    raise typer.Exit(serve(db, port, host))


def migrate() -> None:
    """Bring the database to what this program needs, before the program is started or upgraded; the start does it too.

    Example: countersign migrate
    """
    from bot.cli.database_session import with_database

    revision = with_database(settings_or_exit(), lambda database: database.revision(), make=True)
    output.say(f"The database is ready: its schema is {revision}.")


def manifest(
    *,
    socket_mode: Annotated[bool, typer.Option("--socket-mode", help="the form that needs no public address")] = False,
    url: Annotated[str | None, typer.Option(help="this app's public https address")] = None,
) -> None:
    """Print the Slack app's manifest, to be imported at Slack.

    Example: countersign manifest --url https://approvals.example.com
    """
    from bot.slack.manifest import PLACEHOLDER, ManifestError, as_yaml

    if not socket_mode and url is None:
        output.note(f"This names {PLACEHOLDER}, an example: give your own address with --url before you import it.")
    try:
        output.say(as_yaml(socket_mode=socket_mode, url=url))
    except ManifestError as error:
        output.fail(str(error))


@config.command()
def check(
    *,
    send_test: Annotated[
        bool,
        typer.Option(
            "--send-test", help="post a message to each channel of the policy, a test to COUNTERSIGN_PROCESS_ORDER_URL"
        ),
    ] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="only: can every request that waits go on with this program? Reads only")
    ] = False,
    output_as: Output = Format.TABLE,
) -> None:
    """Say what is missing, wrong or unreachable, before anything starts. Exit code 1 when something is.

    Example: countersign config check --replay
    """
    from bot.cli.checks import findings
    from bot.cli.replay_check import replayed

    settings = settings_or_exit()
    found = asyncio.run(replayed(settings) if replay else findings(settings, send_test=send_test))
    output.rows(("CHECK", "STATE", "WHAT TO DO"), [each.model_dump() for each in found], output_as)
    if any(each.state == "wrong" for each in found):
        raise typer.Exit(output.FAILED)


@config.command()
def show(output_as: Output = Format.TABLE) -> None:
    """Print the settings in force. Secrets are shown as set or missing, never by their value.

    Example: countersign config show
    """
    from bot.cli.checks import shown

    output.rows(("SETTING", "VALUE"), shown(settings_or_exit(), os.environ), output_as)
