"""An order asked over REST and decided in local Slack, from outside: by the addresses of both."""

from typing import Any

import httpx

from tests.deploy.containers.podman import eventually


class Outside:
    """A requester with a key, and a manager in local Slack."""

    def __init__(self, url: str, slack_url: str) -> None:
        self.url = url
        self._slack_url = slack_url
        self.key = ""

    def ready(self) -> bool:
        """Return whether the app is ready."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=8).status_code == 200
        except httpx.HTTPError:
            return False

    def decide(self, order: str) -> str:
        """Start an order, approve it, and return how it ended."""
        started = httpx.post(f"{self.url}/orders/{order}/start?amount=2400", headers=self._headers, timeout=20)
        assert started.status_code == 200, started.text
        card = eventually(lambda: self._cards(order))[-1]
        act = {"user": "U0MANAGER", "do": "click", "channel": "C0APPROVALS", "action_id": "approval_approve"}
        clicked = httpx.post(f"{self._slack_url}/control/act", json=act | {"ts": card["ts"]}, timeout=20).json()
        assert clicked.get("ok"), clicked
        return str(eventually(lambda: self.ended(order))["custom_status"])

    def ended(self, order: str) -> dict[str, Any] | None:
        """Return the workflow of an order if it is over."""
        answer = httpx.get(f"{self.url}/workflows/{order}", headers=self._headers, timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["workflow"]
        return found if found["status"] == "COMPLETED" else None

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def _cards(self, order: str) -> list[dict[str, Any]]:
        state = httpx.get(f"{self._slack_url}/control/state", params={"user": "U0MANAGER"}, timeout=10).json()
        shown = [message for channel in state["messages"].values() for message in channel]
        return [each for each in shown if order in each["text"]]
