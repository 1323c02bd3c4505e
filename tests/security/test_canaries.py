"""Secrets never leave: canaries in every setting, every surface driven, and then a search of all that was written."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.access.authenticating import KEY_ID_END
from bot.process import logs
from bot.process.settings import Settings
from local.sidecar import Sidecar
from local.slack import LocalSlack
from tests.end_to_end.system import ROOT, AppServer, System, eventually, settings_for

CANARIES = {
    "bot_token": "xoxb-canary-bot-token-5b1f",
    "signing_secret": "canary-signing-secret-77aa",
    "app_token": "xapp-canary-app-token-9c3e",
    "api_token": "canary-dapr-api-token-1d2c",
    "secret_key": "canary-secret-key-" + "k" * 40,
    "client_secret": "canary-oidc-client-secret-aa01",
    "order_password": "canary-order-password-e5f6",
}
URL = f"http://orders:{CANARIES['order_password']}@127.0.0.1:9/orders"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Drive everything and give all that was written, by where it was found."""
    folder = tmp_path_factory.mktemp("canaries")
    found: dict[str, str] = {}
    log = folder / "log.txt"
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure("DEBUG")
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    logging.getLogger().handlers = [handler]
    try:
        token = _drive(folder, found)
    finally:
        logging.getLogger().handlers = before
        logging.getLogger().setLevel(level)
        handler.close()
    found["log"] = log.read_text(errors="replace")
    _command_line(folder, found)
    for path in folder.rglob("*"):
        if path.is_file() and path != log:
            found[path.name] = path.read_bytes().decode("latin-1")
    return found | {"the API key": token}


def _drive(folder: Path, found: dict[str, str]) -> str:
    with (
        Sidecar(folder / "sidecar.db", token=CANARIES["api_token"]) as sidecar,
        LocalSlack(
            manifest=ROOT / "manifest.yml",
            bot_token=CANARIES["bot_token"],
            signing_secret=CANARIES["signing_secret"],
            client_secret=CANARIES["client_secret"],
        ) as slack,
    ):
        settings = settings_for(
            folder,
            slack,
            sidecar.address,
            dapr_api_token=CANARIES["api_token"],
            secret_key=CANARIES["secret_key"],
            slack_client_secret=CANARIES["client_secret"],
            process_order_url=URL,
            checkpoint_dir=folder / "checkpoints",
            log_level="DEBUG",
            dapr_api_timeout_seconds=2,
        )
        found["settings"] = f"{settings!r} {settings} {settings.keys!r}"
        with AppServer(settings) as url:
            slack.deliver_to = f"{url}/slack/events"
            system = System(slack, url, settings, sidecar.address)
            system.http.event_hooks["response"] = [lambda answer: _keep(answer, found)]
            eventually(lambda: system.http.get("/readyz").status_code == 200)
            _use(system)
            token = system.token("operator@example.com", "operator", "auditor", "admin")
            sidecar.stop()
            system.http.get("/readyz")
            system.post("/orders/no-sidecar/start", {"amount": 900})
    return token


def _use(system: System) -> None:
    """Use every surface, with failures of every part."""
    operator = {"Authorization": f"Bearer {system.token('operator@example.com', 'operator', 'auditor', 'admin')}"}
    order = system.order("canary")
    order.card()
    order.click("U0GUEST")
    system.slack.fault(method="*", kind="error", error="fatal_error", count=3)
    order.click("U0MANAGER")
    eventually(lambda: "request.accepted" in order.actions())  # and the order system is out of reach
    system.slack.fault(method="chat.postMessage", kind="http_500", count=2)
    system.order("canary-2", "20")
    for path in ("/docs", "/redoc", "/openapi.json", "/metrics", "/readyz", "/livez", "/no-such-route"):
        system.http.get(path)
    for path in ("", f"/{order.instance_id}", f"/{order.instance_id}/history", f"/{order.instance_id}/why"):
        system.http.get(f"/workflows{path}", headers=operator)
    system.http.get("/workflows", headers={"Authorization": "Bearer cs_0123456789ab_" + "A" * 43})
    system.http.post("/slack/events", content=b"payload=%7B%7D")
    system.http.post("/orders/x/start", content=b"{", headers=operator)
    system.act(system.slack.act_as("U0OPERATOR").slash("/approval", f"status {order.id}", "approvals"))
    system.act(system.slack.act_as("U0OPERATOR").open_home())


def _keep(answer: httpx.Response, found: dict[str, str]) -> None:
    answer.read()
    key = f"{answer.request.method} {answer.request.url.path}"
    found[key] = found.get(key, "") + answer.text + json.dumps(dict(answer.headers))


def _command_line(folder: Path, found: dict[str, str]) -> None:
    """Ask the command line about settings that work, and about some that do not."""
    environment = {
        "PATH": os.environ["PATH"],
        "SLACK_BOT_TOKEN": CANARIES["bot_token"],
        "SLACK_SIGNING_SECRET": CANARIES["signing_secret"],
        "SLACK_APP_TOKEN": CANARIES["app_token"],
        "SLACK_CLIENT_SECRET": CANARIES["client_secret"],
        "SLACK_API_URL": "http://127.0.0.1:9/api/",
        "DAPR_API_TOKEN": CANARIES["api_token"],
        "DAPR_GRPC_PORT": "9",
        "COUNTERSIGN_SECRET_KEY": CANARIES["secret_key"],
        "COUNTERSIGN_PROCESS_ORDER_URL": URL,
        "COUNTERSIGN_DATABASE_URL": f"sqlite:///{folder / 'cli.db'}",
        "COUNTERSIGN_POLICY": str(ROOT / "policy.yml"),
    }
    postgres = {"COUNTERSIGN_DATABASE_URL": "postgresql://me:canary-database-password-0b@127.0.0.1:9/x"}
    broken = {"COUNTERSIGN_SECRET_KEY": "canary-short-key", "COUNTERSIGN_PORT": "canary-no-port-000"}
    calls: list[tuple[str, list[str], dict[str, str]]] = [
        ("show", ["config", "show"], {}),
        ("check", ["config", "check"], {}),
        ("check with a database that is away", ["config", "check"], postgres),
        ("show with a database that is away", ["config", "show", "-o", "json"], postgres),
        ("run with bad settings", ["run"], broken),
        ("keys without a database", ["keys", "list"], postgres),
    ]

    def call(arguments: list[str], changes: dict[str, str]) -> str:
        command = [sys.executable, "-m", "bot.cli", *arguments]
        done = subprocess.run(
            command, env=environment | changes, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda each: call(each[1], each[2]), calls)
        found.update(zip([each[0] for each in calls], said, strict=True))


ALL = (*CANARIES.values(), "canary-database-password-0b", "canary-short-key", "canary-no-port-000")


def test_no_secret_is_written_anywhere(written: dict[str, str]) -> None:
    token = written.pop("the API key")
    secrets = (*ALL, token, token[KEY_ID_END + 1 :])  # the secret itself may hold an underscore
    found = [(where, secret) for where, text in written.items() for secret in secrets if secret in text]
    assert found == []


def test_the_search_has_searched_something(written: dict[str, str]) -> None:
    for where in ("countersign.db", "sidecar.db", "log", "GET /docs", "GET /readyz", "show", "check"):
        assert len(written[where]) > 20, where


STRONG = "a-key-of-this-test-that-nobody-tries-first"
MISSING: list[tuple[str, dict[str, Any], str]] = [
    ("no bot token", {"slack_bot_token": ""}, "SLACK_BOT_TOKEN"),
    ("a bot token of spaces", {"slack_bot_token": " \t "}, "SLACK_BOT_TOKEN"),
    ("no signing secret", {"slack_signing_secret": ""}, "SLACK_SIGNING_SECRET"),
    ("a signing secret of spaces", {"slack_signing_secret": "\n"}, "SLACK_SIGNING_SECRET"),
    ("no secret key", {"secret_key": ""}, "COUNTERSIGN_SECRET_KEY"),
    ("a secret key of spaces", {"secret_key": " " * 64}, "COUNTERSIGN_SECRET_KEY"),
    ("a short secret key", {"secret_key": "short"}, "COUNTERSIGN_SECRET_KEY"),
    ("a blank second key", {"secret_key": f"a:{STRONG},b:   "}, "COUNTERSIGN_SECRET_KEY"),
    ("a far sidecar without a token", {"dapr_grpc_host": "192.0.2.1"}, "DAPR_API_TOKEN"),
    ("a far sidecar by address", {"dapr_grpc_endpoint": "https://dapr.example.com"}, "DAPR_API_TOKEN"),
    ("an issuer without an audience", {"oidc_issuer": "https://login.example.com"}, "COUNTERSIGN_OIDC_AUDIENCE"),
    ("an issuer over http", {"oidc_issuer": "http://login.example.com", "oidc_audience": "c"}, "OIDC_ISSUER"),
    (
        "an algorithm with a shared secret",
        {"oidc_issuer": "https://login.example.com", "oidc_audience": "c", "oidc_algorithms": "HS256"},
        "OIDC_ALGORITHMS",
    ),
]


@pytest.mark.parametrize(("description", "changes", "named"), MISSING, ids=[row[0] for row in MISSING])
def test_what_would_open_a_door_refuses_the_start_and_names_the_setting(
    description: str, changes: dict[str, Any], named: str
) -> None:
    good = {"slack_bot_token": "xoxb-1", "slack_signing_secret": "0123456789abcdeffedc", "secret_key": STRONG}
    assert Settings(_env_file=None, **good).missing() == ()
    sentences = Settings(_env_file=None, **(good | changes)).missing()
    assert [named in each for each in sentences] == [True], description
