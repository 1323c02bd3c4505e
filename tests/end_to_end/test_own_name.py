"""The manager's own name in forty spellings: the manager never approves what is asked in their own name."""

import httpx
import pytest

from tests.approvals.test_requesters import REFUSED, SAME
from tests.end_to_end.system import System, eventually


@pytest.mark.parametrize("number", range(4))
def test_no_way_to_write_a_name_lets_its_owner_approve_their_own_request(system: System, number: int) -> None:
    approved = []
    for index, written in list(enumerate((*SAME, *REFUSED)))[number::4]:
        name = f"own{index}"
        answer = eventually(lambda name=name, written=written: started(system, name, written), 60)  # type: ignore[misc]
        if answer.status_code == 422:
            continue
        path = f"/orders/{system.order_id(name)}/approve"
        said = eventually(lambda path=path: decided(system, path), 60)  # type: ignore[misc]
        if said != "own_request":
            approved.append((written, said))
    assert not approved


def started(system: System, name: str, written: str) -> httpx.Response | None:
    """Start an order, again while a busy machine answers too late."""
    answer = system.start(name, requester=written)
    return answer if answer.status_code in {200, 422} else None


def decided(system: System, path: str) -> str:
    """Return why the manager's approval was refused, or that it was not; empty while nobody has been asked."""
    answer = system.post(path, {"approved": True}, by="manager@example.com")
    return "approved" if answer.status_code == 200 else str(answer.json().get("reason", ""))
