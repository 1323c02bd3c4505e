"""What the tests of the control room share: keys by role, orders, and the engine as another program sees it."""

from typing import Any

import httpx
from dapr.ext.workflow import DaprWorkflowClient

from tests.end_to_end.system import System, eventually

Headers = dict[str, str]


def key(system: System, *roles: str, person: str = "") -> Headers:
    """Return a person's API key as headers; without a person, that of one who is called like the first role."""
    return {"Authorization": f"Bearer {system.token(person or f'{roles[0]}@example.com', *roles)}"}


class Room:
    """A running system with a key for each role, and an engine client that is none of the app's."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.requester = key(system, "requester")
        self.operator = key(system, "operator")
        self.auditor = key(system, "auditor")
        host, _, port = system.sidecar.rpartition(":")
        self.engine = DaprWorkflowClient(host=host, port=port)

    @classmethod
    def of(cls, system: System) -> "Room":
        """Return the room of a system, made once: a client keeps a channel open."""
        if system not in ROOMS:
            ROOMS[system] = cls(system)
        return ROOMS[system]

    def get(self, path: str, who: Headers | None = None, **query: Any) -> Any:
        """GET as the operator unless somebody else is named; the answer must be a success."""
        return ok(self.system.http.get(path, headers=who or self.operator, params=query))

    def post(self, path: str, body: Any = None, who: Headers | None = None) -> httpx.Response:
        """POST as the operator unless somebody else is named."""
        return self.system.http.post(path, headers=who or self.operator, json=body)

    def order(self, name: str, amount: int = 2400, **more: Any) -> str:
        """Start an order that asks; returns its instance id once its card stands."""
        order_id = self.system.order_id(name)
        ok(self.post(f"/orders/{order_id}/start", {"amount": amount, **more}, self.requester))
        if amount >= 500:  # the policy's smallest amount that asks somebody
            eventually(lambda: self.card(order_id) is not None)
        return f"order-{order_id}-workflow"

    def card(self, order_id: str) -> Any:
        """Return the card of an order, None while there is none."""
        found = [each for each in self.system.slack.messages("approvals") if f"order {order_id}" in each.text]
        return found[-1] if found else None

    def without_buttons(self, instance_id: str, seconds: float = 15.0) -> Any:
        """Wait until an order's card offers no decision any more; returns it."""
        order_id = instance_id.removeprefix("order-").removesuffix("-workflow")
        eventually(lambda: "approval_approve" not in str(self.card(order_id).blocks), seconds)
        return self.card(order_id)

    def line(self, instance_id: str) -> Any:
        """Return an instance's line as the list has it: what the read model knows."""
        found = self.get("/workflows", q=instance_id, limit=200)["workflows"]
        return next((each for each in found if each["id"] == instance_id), None)


def ok(answer: httpx.Response) -> Any:
    """Return the body of a success."""
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()


ROOMS: dict[System, Room] = {}
