"""The tortures in short: what `make torture` does for minutes, here for seconds. What they find wrong fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.system import REAL_SIDECAR
from tests.torture import app, attacks, frozen, fuzz, rolling, slack_faults, stopping

pytestmark = pytest.mark.skipif(bool(REAL_SIDECAR), reason="a real runtime is not ours to kill")

SHORT: list[tuple[str, Callable[[Path], tuple[dict[str, Any], list[str]]]]] = [
    ("kill -9 of app, worker and sidecar under load", lambda folder: app.torture(5, 11, folder)),
    ("the sidecar frozen and dead", lambda folder: frozen.torture(1.5, folder, ("frozen", "dead"))),
    ("no worker", lambda folder: frozen.torture(1.5, folder, ("no worker",))),
    ("SIGTERM in the middle of posting and telling", lambda folder: stopping.torture(2, 7, folder)),
    (
        "a rolling restart under clicks over two sockets",
        lambda folder: rolling.torture(folder, socket_mode=True, apps=2, rate=5, rounds=1),
    ),
    *[
        (f"{attack}, one order beside it", lambda folder, attack=attack: attacks.torture(attack, 1, 7, folder))
        for attack in ("damage", "stalled", "behind")
    ],
    ("Slack failing one call in five", lambda folder: slack_faults.torture(8, 1, folder)),
    ("800 inputs and 100 forged events", lambda folder: fuzz.torture(800, 100, 5, folder)),
]


@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_three_apps_on_one_database_lose_nothing_when_it_is_behind(tmp_path: Path) -> None:
    figures, wrong = attacks.torture("behind", 1, 7, tmp_path, apps=3)
    assert wrong == [], figures


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("description", "torture"), SHORT, ids=[row[0] for row in SHORT])
def test_nothing_is_lost_doubled_untrue_or_let_in(
    description: str, torture: Callable[[Path], tuple[dict[str, Any], list[str]]], tmp_path: Path
) -> None:
    figures, wrong = torture(tmp_path)
    assert wrong == [], (description, figures)
