"""`countersign keys`: API keys are made, listed and revoked at the machine that has the database and the secret."""

import difflib
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from activities.callbacks import allowed_host
from approvals.audit_actions import AuditAction
from approvals.authority import Action, Role
from approvals.policy.reading import EMAIL
from approvals.signing import Purpose
from bot.cli import output
from bot.cli.database_session import key_ring_or_exit, missing_file_of, operator, with_database
from bot.cli.known_people import demand_known
from bot.cli.local_commands import settings_or_exit
from bot.cli.moments import moment
from bot.cli.output import Format, Output
from bot.process.correlation import correlation_id
from records import audit, keys
from records.database import Database

app = typer.Typer(help="API keys: whose they are, what they may do, until when.", no_args_is_help=True)

NEVER = "never"
COLUMNS = ("ID", "NAME", "PERSON", "ROLES", "SCOPES", "STATE", "EXPIRES", "LAST USED")


Known = TypeVar("Known", Role, Action)


def _known(text: str, what: str, among: type[Known]) -> Known:
    written = text.strip().casefold().replace("-", "_")
    try:
        return among(written)
    except ValueError:
        near = difflib.get_close_matches(written, list(among), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        output.fail(f"There is no {what} {text[:60]!r}.{hint} The {what}s are: {', '.join(among)}.", output.MISUSED)


def _person(text: str) -> str:
    if not EMAIL.fullmatch(text.strip()):
        output.fail(
            f"{text[:60]!r} is no e-mail address. A key belongs to a person: give the address that Slack has of them.",
            output.MISUSED,
        )
    return text.strip().lower()


def _host(text: str) -> str:
    try:
        return allowed_host(text)
    except ValueError as error:
        output.fail(f"--callback-host: {error}.", output.MISUSED)


def _until(text: str, now: datetime) -> datetime | None:
    until = None if text.strip().casefold() == NEVER else moment(text, now, ahead=True)
    if until is not None and until <= now:
        output.fail(f"{text} has passed: a key expires in the future.", output.MISUSED)
    return until


@app.command()
def create(  # noqa: PLR0913, PLR0917 options of a command
    name: Annotated[str, typer.Argument(help="what the key is for, for example 'order system'")],
    person: Annotated[str, typer.Option(help="e-mail of the person it belongs to, as Slack knows it")],
    role: Annotated[
        list[str],
        typer.Option(
            metavar="ROLE",
            help="requester, approver, operator, auditor, admin; requests:ask for a program; more than once",
        ),
    ],
    expires: Annotated[str, typer.Option(help="a duration, a date, or 'never'")] = "90d",
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="ACTION", help="only this of what the roles give, such as start_order; more than once"),
    ] = None,
    callback_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST[:PORT]", help="a host that its requests' callbacks may name; more than once"),
    ] = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Make a key. Its token is printed once, alone on standard output, and cannot be had again.

    Example: countersign keys create "order system" --person requester@example.com --role requester --expires 90d
    """
    settings = settings_or_exit()
    ring = key_ring_or_exit(settings)
    now = datetime.now(UTC)
    wanted: dict[str, Any] = {
        "name": name,
        "person": _person(person),
        "roles": tuple(dict.fromkeys(_known(each, "role", Role).value for each in role)),
        "created_by": operator(),
        "expires_at": _until(expires, now),
        "scopes": tuple(dict.fromkeys(_known(each, "action", Action).value for each in scope)) if scope else None,
        "callback_hosts": tuple(dict.fromkeys(map(_host, callback_host))) if callback_host else None,
    }
    demand_known(settings, wanted["person"])

    async def make(database: Database) -> tuple[keys.ApiKey, str]:
        async with database.write() as connection:
            made, token = await keys.create(connection, ring.subkey(Purpose.API_KEY), now, **wanted)
            await audit.append(connection, _entry(AuditAction.KEY_CREATED, made, now))
        return made, token

    new_file = missing_file_of(settings)
    made, token = with_database(settings, make, make=True)
    if new_file is not None:
        output.note(f"There was no database yet: a new one was made at {new_file} (COUNTERSIGN_DATABASE_URL).")
    if output_as is Format.JSON:
        output.print_json(made.model_dump(mode="json") | {"token": token})
        return
    end = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "without an end"
    only = f", only for {', '.join(made.scopes)}" if made.scopes else ""
    output.note(f"Key {made.id} for {made.person} as {', '.join(made.roles)}{only}, {end}. Its token, shown once:")
    output.say(token)


@app.command("list")
def list_(output_as: Output = Format.TABLE) -> None:
    """List the keys: whose, with which roles, until when, last used when (right to a minute).

    Example: countersign keys list
    """
    now = datetime.now(UTC)
    found = with_database(settings_or_exit(), _all)
    whole = [key.model_dump(mode="json") | {"state": _state(key, now)} for key in found]
    none = "There is no key. `countersign keys create` makes one."
    output.rows(COLUMNS, [_line(key, now) for key in found], output_as, whole=whole, none=none)


async def _all(database: Database) -> list[keys.ApiKey]:
    found: list[keys.ApiKey] = []
    while True:
        async with database.read() as connection:
            page = await keys.page(connection, after=found[-1].id if found else "")
        if not page:
            return found
        found += page


def _state(key: keys.ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "good"


def _line(key: keys.ApiKey, now: datetime) -> dict[str, Any]:
    return {
        **key.model_dump(include={"id", "name", "person", "roles"}),
        "scopes": key.scopes if key.scopes is not None else "all",
        "state": _state(key, now),
        "expires": _day(key.expires_at) or NEVER,
        "last_used": _day(key.last_used_at) or NEVER,
    }


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""


Hosts = Annotated[list[str] | None, typer.Option(metavar="HOST[:PORT]", help="more than once")]


@app.command("callback-hosts")
def callback_hosts(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="the key's id, as `keys list` shows it")],
    add: Hosts = None,
    remove: Hosts = None,
) -> None:
    """Print the hosts that a key's callbacks may name, one a line, after adding and removing some.

    What was asked for already keeps its callback.

    Example: countersign keys callback-hosts 4f1d2c3b5a69 --add orders.example
    """
    wanted, less = tuple(map(_host, add or ())), frozenset(map(_host, remove or ()))
    now = datetime.now(UTC)

    async def change(database: Database) -> keys.ApiKey | None:
        async with database.write() as connection:
            found = await keys.get(connection, key_id)
            if found is None or not (wanted or less):
                return found
            hosts = tuple(each for each in dict.fromkeys((*(found.callback_hosts or ()), *wanted)) if each not in less)
            await keys.set_callback_hosts(connection, key_id, hosts or None)
            changed = found.model_copy(update={"callback_hosts": hosts or None})
            await audit.append(connection, _entry(AuditAction.KEY_CHANGED, changed, now))
        return changed

    found = with_database(settings_or_exit(), change)
    if found is None:
        output.fail(f"There is no key {key_id[:60]}. `countersign keys list` shows the ids.", output.NOT_FOUND)
    for host in found.callback_hosts or ():
        output.say(host)
    if not found.callback_hosts:
        output.note(f"The callbacks of key {found.id} may name no host but those of COUNTERSIGN_CALLBACK_HOSTS.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="the key's id, as `keys list` shows it")],
    reason: Annotated[str, typer.Option(help="why; kept in the audit")] = "",
) -> None:
    """Revoke a key. From the next call on it is worth nothing.

    Example: countersign keys revoke 4f1d2c3b5a69 --reason "it was in a log"
    """
    now = datetime.now(UTC)

    async def end(database: Database) -> tuple[keys.ApiKey | None, bool]:
        async with database.write() as connection:
            done = await keys.revoke(connection, key_id, now)
            found = await keys.get(connection, key_id)
            if done and found is not None:
                await audit.append(connection, _entry(AuditAction.KEY_REVOKED, found, now, reason))
        return found, done

    found, done = with_database(settings_or_exit(), end)
    if found is None:
        output.fail(f"There is no key {key_id[:60]}. `countersign keys list` shows the ids.", output.NOT_FOUND)
    what = "is revoked" if done else "was revoked before, so nothing was done"
    output.say(f"Key {found.id} ({found.name}, {found.person}) {what}.")


def _entry(action: AuditAction, key: keys.ApiKey, now: datetime, reason: str = "") -> audit.Entry:
    told = {"id", "name", "person", "roles", "scopes", "expires_at", "callback_hosts"}
    about = key.model_dump(mode="json", include=told)
    return audit.Entry(
        at=now,
        actor=operator(),
        action=action,
        through="cli",
        reason=reason,
        correlation_id=correlation_id(),
        data={"key": about},
    )
