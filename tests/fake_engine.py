"""A workflow engine in a dictionary: what the services ask of Dapr, without Dapr. No turn is ever run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from bot.engine.client import AlreadyExistsError, EngineRefusedError, Instance, UnknownInstanceError
from bot.engine.history import RecordedHistory

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


class FakeEngine:
    """Instances by id, with what was raised at them. `failing` is raised by the next call that changes something."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.raised: list[tuple[str, str, Any]] = []
        self.failing: Exception | None = None

    def put(self, instance_id: str, status: str, name: str = "approval_workflow") -> None:
        self.instances[instance_id] = Instance(
            instance_id=instance_id, name=name, status=status, created_at=AT, updated_at=AT
        )

    @asynccontextmanager
    async def alone(self, instance_id: str) -> AsyncIterator[None]:
        yield

    async def state(self, instance_id: str, *, payloads: bool = True) -> Instance | None:
        return self.instances.get(instance_id)

    async def history(self, instance_id: str) -> RecordedHistory:
        self._found(instance_id)
        return RecordedHistory()

    async def schedule(self, name: str, instance_id: str, value: Any, start_at: datetime | None = None) -> None:
        self._may_fail()
        if instance_id in self.instances and not self.instances[instance_id].finished:
            raise AlreadyExistsError(instance_id)
        self.put(instance_id, "RUNNING" if start_at is None else "PENDING", name)

    async def raise_event(self, instance_id: str, name: str, payload: dict[str, Any]) -> None:
        self._may_fail()
        self._found(instance_id)
        self.raised.append((instance_id, name, payload))

    async def pause(self, instance_id: str) -> None:
        self._move(instance_id, "SUSPENDED")

    async def resume(self, instance_id: str) -> None:
        self._move(instance_id, "RUNNING")

    async def terminate(self, instance_id: str, output: dict[str, Any]) -> None:
        self._move(instance_id, "TERMINATED")

    async def purge(self, instance_id: str, *, force: bool = False) -> int:
        self._may_fail()
        if not self._found(instance_id).finished and not force:
            raise EngineRefusedError(f"{instance_id} is not over")
        del self.instances[instance_id]
        return 1

    async def rerun(self, instance_id: str, event_id: int, new_id: str | None = None) -> str:
        self._may_fail()
        made = new_id or f"{instance_id}-again"
        if made in self.instances:
            raise AlreadyExistsError(made)
        self.put(made, "RUNNING", self._found(instance_id).name)
        return made

    def _move(self, instance_id: str, status: str) -> None:
        self._may_fail()
        self.put(instance_id, status, self._found(instance_id).name)

    def _found(self, instance_id: str) -> Instance:
        if instance_id not in self.instances:
            raise UnknownInstanceError(instance_id)
        return self.instances[instance_id]

    def _may_fail(self) -> None:
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing
