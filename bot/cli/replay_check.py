"""`countersign config check --replay`: can the requests that wait now go on with this program? Reads only."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from bot.cli.checks import CheckResult
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError, UnknownInstanceError
from bot.engine.replaying import HistoryReplay, version_of
from bot.process.settings import Settings
from workflows.versions import APPROVALS, Versions

REPLAYS_AT_ONCE = 16
MOST_DIFFERENCES = 20
"""Requests that are named, of the rest the number is told; and those that may be unreadable by themselves."""

REPLAY_PATIENCE_S = 30.0
"""Seconds that the engine has for one answer: a long history takes a while."""

CHANGED = (
    "{instance_id} waits, and this program would break it off: {problem}. Don't deploy it. Leave the deployed version "
    "of the workflow as it is, and put the change into a new one: docs/how-to/change-a-waiting-workflow.md."
)
REST = "{count} more requests that wait cannot go on with this program, or could not be read."
UNREAD = (
    "{instance_id} could not be read ({problem}), so whether it could go on is not known; the others were looked at. "
    "Look at it with `countersign doctor` before you deploy."
)


async def replayed(settings: Settings, approvals: Versions = APPROVALS) -> list[CheckResult]:
    """Replay every waiting request on the workflows of this program. Returns what is wrong, or how many can go on."""
    engine = Engine(settings.sidecar_address, settings.dapr_api_token.get_secret_value(), REPLAY_PATIENCE_S)
    try:
        return await replayed_of(engine, approvals)
    except (EngineUnavailableError, EngineRefusedError) as error:
        sentence = (
            f"What waits at {settings.sidecar_address} could not be read ({str(error)[:200]}), so nothing is known of "
            "it. Look at the sidecar, and at DAPR_GRPC_PORT and DAPR_API_TOKEN of this terminal, and try again."
        )
        return [CheckResult(check="replay", state="wrong", what_to_do=sentence)]
    finally:
        await engine.close()


async def replayed_of(engine: Engine, approvals: Versions = APPROVALS) -> list[CheckResult]:
    """Replay what waits in an engine. Raises: EngineUnavailableError, EngineRefusedError if it cannot be read."""
    look = _Look(engine, approvals)
    async for ids in _pages(engine):
        await asyncio.gather(*(look.one(each) for each in ids))
    return look.findings()


async def _pages(engine: Engine) -> AsyncIterator[list[str]]:
    token: str | None = None
    while True:
        ids, token = await engine.instance_ids(token)
        yield ids
        if token is None:
            return


class _Look:
    """Counts by version the requests that can continue, and keeps those that cannot."""

    def __init__(self, engine: Engine, approvals: Versions) -> None:
        self._engine = engine
        self._approvals = approvals
        self._replay = HistoryReplay(approvals)
        self._slots = asyncio.Semaphore(REPLAYS_AT_ONCE)
        self._waiting: Counter[str] = Counter()
        self._problems: dict[str, str] = {}
        self._unread = 0

    async def one(self, instance_id: str) -> None:
        """Replay one instance, if it is a request that has not ended. One that cannot be read does not hide the rest.

        Raises: EngineUnavailableError, EngineRefusedError if so many cannot be read that it is the sidecar.
        """
        try:
            await self._replay_of(instance_id)
        except (EngineUnavailableError, EngineRefusedError) as error:
            if self._unread >= MOST_DIFFERENCES:
                raise
            self._unread += 1
            self._problems[instance_id] = UNREAD.format(instance_id=instance_id, problem=str(error)[:200])

    async def _replay_of(self, instance_id: str) -> None:
        async with self._slots:
            state = await self._engine.state(instance_id, payloads=False)
            if state is None or state.finished or state.name != self._approvals.workflow:
                return
            try:
                history = await self._engine.recorded(instance_id)
            except UnknownInstanceError:
                return  # purged meanwhile, or not begun
        if not any(event.HasField("executionStarted") for event in history):
            return
        self._waiting[version_of(history, self._approvals) or self._approvals.latest] += 1
        if problem := self._replay.problem(instance_id, history):
            self._problems[instance_id] = CHANGED.format(instance_id=instance_id, problem=problem)

    def findings(self) -> list[CheckResult]:
        """Return what was found."""
        named = sorted(self._problems.values())[:MOST_DIFFERENCES]
        found = [CheckResult(check="replay", state="wrong", what_to_do=problem) for problem in named]
        if rest := len(self._problems) - len(named):
            found.append(CheckResult(check="replay", state="wrong", what_to_do=REST.format(count=rest)))
        counted = ", ".join(f"{count} on {version}" for version, count in sorted(self._waiting.items())) or "none"
        sentence = f"requests that wait: {counted}"
        return found or [CheckResult(check="replay", state="ok", what_to_do=sentence)]
