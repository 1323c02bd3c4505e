"""An app of which a test holds calls to the engine or activities: the step that they do is under way meanwhile."""

import asyncio
from functools import cached_property
from typing import Any

from dapr.ext.workflow import WorkflowActivityContext

from activities import Activities, turns
from activities.inputs import Judged, JudgeInput, ProcessInput, RecordInput, Routed, RouteInput
from bot.control.observing import Observer
from bot.engine.client import Engine
from bot.process.settings import Settings
from bot.services import Services


class HeldActivities(Activities):
    """Activities of which some are held: the step that they do is under way for as long as that."""

    held: set[str]

    async def route_request(self, ctx: WorkflowActivityContext, asked: RouteInput) -> Routed:
        """Find the route, later."""
        await _let_go(self.held, "route_request")
        return await super().route_request(ctx, asked)

    async def record(self, ctx: WorkflowActivityContext, what: RecordInput) -> None:
        """Record, later."""
        await _let_go(self.held, "record")
        await super().record(ctx, what)

    async def judge_decision(self, ctx: WorkflowActivityContext, facts: JudgeInput) -> Judged:
        """Judge, later."""
        await _let_go(self.held, "judge_decision")
        return await super().judge_decision(ctx, facts)

    async def process_order(self, ctx: WorkflowActivityContext, approved: ProcessInput) -> dict[str, Any]:
        """Process, later."""
        await _let_go(self.held, "process_order")
        return await super().process_order(ctx, approved)


class HeldEngine(Engine):
    """An engine that is told of a start or of a decision later, when the door has taken it in."""

    held: set[str]

    async def schedule(self, *asked: Any) -> None:
        """Start, later."""
        await _let_go(self.held, "schedule")
        await super().schedule(*asked)

    async def raise_event(self, *asked: Any) -> None:
        """Raise, later."""
        await _let_go(self.held, "raise_event")
        await super().raise_event(*asked)


async def _let_go(held: set[str], name: str) -> None:
    async with turns.outside():  # more orders are held at once than there are turns
        while name in held:  # noqa: ASYNC110  the test lets go from another thread
            await asyncio.sleep(0.02)


class Held(Services):
    """An app of which a test holds what it names."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.held: set[str] = set()

    @cached_property
    def engine(self) -> HeldEngine:
        """The engine that can be held."""
        made = HeldEngine(self.settings.sidecar_address, timeout=self.settings.dapr_api_timeout_seconds)
        made.held = self.held
        return made

    @cached_property
    def activities(self) -> HeldActivities:
        """The activities that can be held."""
        made = HeldActivities(
            database=self.database,
            slack=self.slack,
            directory=self.directory,
            policies=self.policies,
            judge=self.judge,
            processing=self.processing,
            prover=self.prover,
            observer=Observer(self.states, self.answers, self.notifier, self.card_repair),
            clock=self.clock,
        )
        made.held = self.held
        return made


MADE: list[Held] = []
"""The parts of the apps that tests have started, the newest last."""


def held(settings: Settings) -> Held:
    """Make the parts of an app that can be held."""
    MADE.append(Held(settings))
    return MADE[-1]
