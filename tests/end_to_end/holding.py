"""An app of which a test holds activities: the step that they do is under way for as long as that."""

import asyncio
from functools import cached_property
from typing import Any

from dapr.ext.workflow import WorkflowActivityContext

from activities import Activities
from activities.inputs import Judged, JudgeInput, ProcessInput, RecordInput, Routed, RouteInput
from bot.control.observing import Observer
from bot.process.settings import Settings
from bot.services import Services


class HeldActivities(Activities):
    """Activities of which some are held: the step that they do is under way for as long as that."""

    held: set[str]

    async def route_request(self, ctx: WorkflowActivityContext, asked: RouteInput) -> Routed:
        """Find the route, later."""
        await self._let_go("route_request")
        return await super().route_request(ctx, asked)

    async def record(self, ctx: WorkflowActivityContext, what: RecordInput) -> None:
        """Record, later."""
        await self._let_go("record")
        await super().record(ctx, what)

    async def judge_decision(self, ctx: WorkflowActivityContext, facts: JudgeInput) -> Judged:
        """Judge, later."""
        await self._let_go("judge_decision")
        return await super().judge_decision(ctx, facts)

    async def process_order(self, ctx: WorkflowActivityContext, approved: ProcessInput) -> dict[str, Any]:
        """Process, later."""
        await self._let_go("process_order")
        return await super().process_order(ctx, approved)

    async def _let_go(self, name: str) -> None:
        while name in self.held:  # noqa: ASYNC110  the test lets go from another thread
            await asyncio.sleep(0.02)


class Held(Services):
    """An app whose routing and recording a test holds."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.held: set[str] = set()

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
"""The parts of the app that runs, last."""


def held(settings: Settings) -> Held:
    MADE.append(Held(settings))
    return MADE[-1]
