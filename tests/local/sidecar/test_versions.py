"""Changed workflows: patches and named versions, the same on the real runtime (COUNTERSIGN_TEST_SIDECAR=HOST:PORT)."""

import json
from typing import Any

import pytest


@pytest.fixture
def deploy(house: Any) -> Any:
    """Give a way to start an instance whose code can be changed while it waits."""
    instance = house.new_id("changing")

    def deploy(*steps: str) -> str:
        """Run these steps from the next turn on: an event's name is waited for, a patch's name is noted."""

        def code(ctx: Any) -> Any:
            noted = []
            for step in steps:
                if step.startswith("patch"):
                    way = "new" if ctx.is_patched(step) else "old"
                    note = yield ctx.call_activity(house.cast.name("gentle"), input=f"{step} {way}")
                    noted.append(note["got"])
                else:
                    yield ctx.wait_for_external_event(step)
            return noted

        house.cast.codes[instance] = code
        if house.state(instance) is None:
            house.schedule("changing", {"code": instance}, instance)
        return instance

    return deploy


def noted(house: Any, instance: str) -> Any:
    state = house.finish(instance)
    assert state.runtime_status.name == "COMPLETED", state.failure_details
    return json.loads(state.serialized_output)


def test_a_new_instance_takes_the_patched_branch(house: Any, deploy: Any) -> None:
    assert noted(house, deploy("patch1")) == ["patch1 new"]


def test_what_passed_a_place_before_its_patch_keeps_the_old_branch(house: Any, deploy: Any) -> None:
    instance = deploy("go")
    deploy("patch1", "go", "patch2")
    house.raise_event(instance, "go", {"a": 1})
    assert noted(house, instance) == ["patch1 old", "patch2 new"]


def test_a_patch_is_remembered_by_the_history(house: Any, deploy: Any, poll: Any) -> None:
    instance = deploy("patch1", "go")
    poll(lambda: "timerCreated" in house.kinds(instance))
    deploy("patch1", "go", "patch2")
    house.raise_event(instance, "go", {"a": 1})
    assert noted(house, instance) == ["patch1 new", "patch2 new"]
    versions = [e.workflowStarted.version for e in house.history(instance) if e.HasField("workflowStarted")]
    assert [list(version.patches) for version in versions if version.patches] == [["patch1"], ["patch2"]]
