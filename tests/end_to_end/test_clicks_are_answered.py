"""Clicks in a burst: each is taken, and the request is decided once."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from local.slack.transport import Envelope
from tests.end_to_end.system import System, eventually
from tests.end_to_end.test_production_postgres import clicked

CLICKS = 120


def test_a_burst_of_clicks_on_one_card_is_taken_and_decides_once(system: System) -> None:
    order = system.order("burst")
    payload = clicked(order, "U0MANAGER")
    clicks = [
        system.slack.workspace.http.signed(Envelope("interactive", payload | {"trigger_id": f"t{number}"}, None))
        for number in range(CLICKS)
    ]

    def send(number: int) -> int:
        headers, body = dict(clicks[number].headers), clicks[number].body
        return httpx.post(f"{system.url}/slack/events", content=body, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(send, range(CLICKS))) == {200}
    order.output()
    eventually(lambda: all(row.verdict for row in order.decisions()), 60)
    assert len(order.processed()) == order.actions().count("request.accepted") == 1
