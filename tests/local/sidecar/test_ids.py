"""Which instance ids are taken and refused, the same on the real runtime (COUNTERSIGN_TEST_SIDECAR=HOST:PORT)."""

from typing import Any

import pytest

from local.sidecar.errors import Refused
from local.sidecar.identifiers import check_id
from local.sidecar.wire import Timestamp, pb
from tests.local.sidecar.hand import refused, work

LONG = {"t": 60}
FAR = Timestamp(seconds=4_000_000_000)

TAKEN = [
    "abc{}",
    "A b{}",
    "a-b_{}.c",
    "a--b{}",
    "{}:0001",
    "é{}",
    "日本{}",
    "a|{}",
    "a@{}",
    "a..{}",
    "%{}+,*'{}",
    '"{}"',
]


@pytest.mark.parametrize("form", [*TAKEN, ".", "..", "-", " "])
def test_an_id_may_have_nearly_every_character(house: Any, form: str) -> None:
    instance = form.format(*[house.new_id()] * 2)
    assert house.schedule("nothing", None, instance) == instance
    assert house.finish(instance).runtime_status.name == "COMPLETED"
    assert instance in house.client.iter_workflow_instance_ids()


PATH = "must not contain '/', '\\', '#' or '?'"
CONTROL = "must not contain control characters"
REFUSED = [
    ("a/{}", "a/{}", PATH),
    ("a\\{}", "a\\\\{}", PATH),
    ("a#{}", "a#{}", PATH),
    ("a?{}", "a?{}", PATH),
    ("a\n{}", r"a\n{}", CONTROL),
    ("a\x7f{}", r"a\x7f{}", CONTROL),
    ("a\x85{}", r"a\u0085{}", CONTROL),
]


@pytest.mark.parametrize(("form", "shown", "reason"), REFUSED)
def test_an_id_with_a_path_character_or_a_control_character_is_refused(
    house: Any, form: str, shown: str, reason: str
) -> None:
    new = house.new_id()
    code, text = refused(lambda: house.schedule("nothing", None, form.format(new)))
    context = "failed to create workflow instance: rpc error: code = Unknown desc = job name is invalid"
    assert code == "UNKNOWN"
    assert text.startswith(f'{context} "actorreminder||')
    assert f"||{shown.format(new)}||start-" in text
    assert text.endswith(f'": {reason}')


def test_an_id_of_2000_characters_is_refused_and_one_of_200_is_taken(house: Any) -> None:
    code, text = refused(lambda: house.schedule("nothing", None, house.new_id("x" * 2000)))
    assert (code, text.endswith(": must be at most 512 characters")) == ("UNKNOWN", True)
    instance = house.schedule("nothing", None, house.new_id("x" * 189))
    assert (len(instance), house.finish(instance).runtime_status.name) == (200, "COMPLETED")


def test_the_children_of_any_id_are_named_after_it(house: Any, poll: Any) -> None:
    instance = house.schedule("family", LONG, f"é|@{house.new_id()}")
    poll(lambda: house.status(f"{instance}:0001") == "RUNNING")
    house.client.terminate_workflow(instance)
    poll(lambda: house.status(f"{instance}:0001") == "TERMINATED")


def test_an_empty_id_gets_a_random_one(house: Any) -> None:
    first = house.client.schedule_new_workflow(house.cast.name("nothing"), instance_id="")
    second = house.client.schedule_new_workflow(house.cast.name("nothing"), instance_id="")
    assert first
    assert first != second


@pytest.mark.local_only
def test_an_id_with_the_delimiter_of_keys_is_taken_and_spoils_the_list_of_its_app(empty: Any) -> None:
    stream = work(empty.stub)
    for instance in ("good", "a||b"):
        later = pb.CreateInstanceRequest(instanceId=instance, name="w", scheduledStartTimestamp=FAR)
        assert empty.stub.StartInstance(later, timeout=5).instanceId == instance
    first = empty.stub.ListInstanceIDs(pb.ListInstanceIDsRequest(pageSize=1))
    assert list(first.instanceIds) == ["good"]
    assert refused(lambda: empty.stub.ListInstanceIDs(pb.ListInstanceIDsRequest())) == (
        "UNKNOWN",
        "invalid key format: countersign||dapr.internal.default.countersign.workflow||a||b||metadata",
    )
    assert empty.stub.GetInstance(pb.GetInstanceRequest(instanceId="a||b")).exists
    stream.cancel()


@pytest.mark.parametrize("longest", ["x" * 428, "é" * 214])
def test_an_id_may_be_as_long_as_the_job_name_leaves_room(longest: str) -> None:
    check_id(longest, "countersign")
    with pytest.raises(Refused, match="must be at most 512 characters"):
        check_id(f"{longest}x", "countersign")
