"""All commands in one table. A command's module is imported when it is called, so that help is quick."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from approvals.verbs import VERBS


class CommandEntry(NamedTuple):
    """A command: its name, its function or group as `module:name` within bot.cli, and what help says of it.

    `verb` is for the verbs that take a reason and nothing else: one function makes a command of each.
    """

    name: str
    where: str
    summary: str
    verb: str = ""


COMMANDS: Final = (
    CommandEntry("demo", "demo:demo", "Show everything in one terminal, or play the story."),
    CommandEntry("init", "init:init", "Ask for what is needed, and write .env and a first policy.yml."),
    CommandEntry("run", "local_commands:run", "Run the app: Slack, REST, dashboard and Dapr worker."),
    CommandEntry("health", "health:health", "Say whether the app on this machine is alive."),
    CommandEntry("migrate", "local_commands:migrate", "Bring the database to what this program needs."),
    CommandEntry("sidecar", "local_commands:sidecar", "Run the local workflow sidecar."),
    CommandEntry("ask", "asking:ask", "Ask people for a yes of any kind, and wait for it."),
    CommandEntry("receipt", "receipt_commands:app", "Receipts of approvals: fetch one, verify one."),
    CommandEntry("mcp", "mcp_command:mcp", "Serve tools for agents that ask people (MCP)."),
    CommandEntry("webhooks", "webhook_commands:app", "What other systems were told: the log, redrive, a test."),
    CommandEntry("order", "order_commands:app", "Orders: start one, approve or reject it."),
    CommandEntry("list", "seeing:list_", "List workflows, newest first."),
    CommandEntry("status", "status_command:status", "Show one workflow: its status, and whom it waits for."),
    CommandEntry("history", "seeing:history", "Show what happened to a workflow, oldest first."),
    CommandEntry("why", "seeing:why", "Say why a workflow does not go on, and what to do next."),
    CommandEntry("watch", "watching:watch", "Follow a workflow until it is over."),
    CommandEntry("stats", "seeing:stats", "Show what waits now and how decisions went."),
    CommandEntry("withdraw", "managing:withdraw", "Take back what you asked for, before it is decided."),
    CommandEntry("raise-event", "managing:raise_event", "Raise an event at a workflow, or decide an order."),
    *(
        CommandEntry(verb.name, "managing:plain", verb.summary, verb.name)
        for verb in VERBS.values()
        if verb.plain and not verb.danger
    ),
    CommandEntry("suspend", "managing:plain", "The same as pause.", "pause"),
    CommandEntry("terminate", "managing:terminate", "End a workflow, or all that are stuck, for good."),
    CommandEntry("purge", "managing:purge", "Forget the history of finished workflows; the audit stays."),
    CommandEntry("rerun", "managing:rerun", "Run a finished workflow again from one of its events."),
    CommandEntry("workflow", "workflow_commands:app", "The commands of `dapr workflow`, with its options."),
    CommandEntry("bulk", "bulk:app", "Operations on many workflows: see one, go on with one."),
    CommandEntry("policy", "policy_commands:app", "The policy file: check it, and ask it."),
    CommandEntry("keys", "key_commands:app", "API keys: whose they are, what they may do, until when."),
    CommandEntry("audit", "audit_commands:app", "The audit: verify, export and show it, sign checkpoints."),
    CommandEntry("doctor", "doctor_commands:doctor", "Find what is wedged, orphaned or diverged, and heal it."),
    CommandEntry("config", "local_commands:config", "The settings: what is missing, wrong or unreachable."),
    CommandEntry("manifest", "local_commands:manifest", "Print the Slack app's manifest."),
)


STAND_INS: Final = frozenset({"demo", "sidecar"})
"""Commands of a checkout: the wheel carries no local/."""


class CommandGroup(TyperGroup):
    """Knows every command's name and summary, and puts the command itself in its place when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is called; `wf` is `workflow`, as of `dapr`."""
        args = ["workflow", *args[1:]] if args[:1] == ["wf"] else args
        entry = next((each for each in COMMANDS if args and each.name == args[0]), None)
        if entry is not None:
            self.commands[entry.name] = loaded(entry)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Call the command; an option's error is told without pydantic's words before it."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from approvals.mistakes import plain

            error.message = f"{plain(error.message)}."
            raise


def loaded(entry: CommandEntry) -> Any:
    """Return a command of the table, ready to be called."""
    if entry.name in STAND_INS and not _is_there("local"):
        from bot.cli import output

        output.fail(
            f"`countersign {entry.name}` needs the local stand-ins for Dapr and Slack, which are not installed in "
            "production. Run it from a checkout, for example with `make demo`."
        )
    module, _, name = entry.where.partition(":")
    found = getattr(import_module(f"bot.cli.{module}"), name)
    if entry.verb:
        found = found(VERBS[entry.verb])
    around = typer.Typer(rich_markup_mode=None, add_completion=False)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=entry.name)
    else:
        around.command(entry.name)(found)
    around.callback()(_nothing)
    made: Any = typer.main.get_command(around)
    return made.commands[entry.name]


def _say_version(wanted: bool) -> None:  # noqa: FBT001 Typer's callback
    if wanted:
        typer.echo(f"countersign {version('countersign')}")
        raise typer.Exit


def _root(
    *,
    version_: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None:
    """Human approval for automated processes: on Dapr Workflow, decided in Slack."""


def _is_there(package: str) -> bool:
    return find_spec(package) is not None


def _nothing() -> None:
    """Keep a single command from becoming the whole group."""


def _placeholder(entry: CommandEntry) -> Callable[[], None]:
    def never_called() -> None:
        raise NotImplementedError(entry.name)

    return never_called


def build() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(
        name="countersign",
        cls=CommandGroup,
        help="Human approval for automated processes: on Dapr Workflow, decided in Slack.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    for entry in COMMANDS:
        app.command(entry.name, help=entry.summary)(_placeholder(entry))
    return app


def main() -> None:
    """Run the command line."""
    build()()
