"""The manifest asks for exactly what the code uses: scopes, the command, events; and every button has a listener.

The code is read as syntax trees: Web API methods by the SDK's names for them (`chat_postMessage`, also when only
referred to) and by Slack's (`"chat.postMessage"`), listeners by the ids they are registered with.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import manifest
from bot.slack.shapes import CHANGES
from tests.cards import gallery

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("activities", "workflows", "bot")
SDK_SOURCE = Path(inspect.getfile(AsyncWebClient)).read_text(encoding="utf-8")
SDK_METHODS = {name.replace(".", "_"): name for name in re.findall(r"api_call\(\s*\"([\w.]+)\"", SDK_SOURCE)}
SLACK_NAMES = set(SDK_METHODS.values())
LISTENERS = {"command", "action", "view", "event", "shortcut", "options"}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path != Path(manifest.__file__):
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def methods_in(tree: ast.Module) -> Iterator[str]:
    """Name the Web API methods a module uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SDK_METHODS:
            yield SDK_METHODS[node.attr]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in SLACK_NAMES:
            yield node.value


def imported(tree: ast.Module) -> dict[str, Any]:
    """Return what a module's names from `cards` stand for, so that `request_card.APPROVE` can be looked up."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cards":
            for alias in node.names:
                found[alias.asname or alias.name] = looked_up(str(node.module), alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "cards":
                    importlib.import_module(alias.name)
                    found["cards"] = importlib.import_module("cards")
    return found | constants(tree, found)


def looked_up(module: str, name: str) -> Any:
    source = importlib.import_module(module)
    return getattr(source, name) if hasattr(source, name) else importlib.import_module(f"{module}.{name}")


def constants(tree: ast.Module, names: dict[str, Any]) -> dict[str, Any]:
    """Return the module's own constants, such as `COMMAND = "/approval"`."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
    return {node.targets[0].id: value_of(node.value, names) for node in assigned}  # type: ignore[attr-defined]


def value_of(node: ast.expr, names: dict[str, Any]) -> Any:
    """Return the string or pattern an expression stands for; None where it is neither."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=inner, attr=attr):
            return getattr(value_of(inner, names), attr, None)
        case ast.Call(func=ast.Attribute(attr="compile"), args=[ast.Constant(value=str() as pattern), *_]):
            return re.compile(pattern)
        case _:
            return None


def listeners_in(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Name the listeners a module registers, as pairs such as ("action", "approval_approve").

    Typer has `command` too: only a value with a slash is Slack's.
    """
    names = imported(tree)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LISTENERS
            and node.args
        ):
            value = value_of(node.args[0], names)
            if isinstance(value, str | re.Pattern) and (node.func.attr != "command" or str(value).startswith("/")):
                yield node.func.attr, value


def used_methods() -> set[str]:
    return {method for _, tree in sources() for method in methods_in(tree)}


def listeners(kind: str) -> list[Any]:
    return [value for _, tree in sources() for found, value in listeners_in(tree) if found == kind]


def answers(listener: Any, identifier: str) -> bool:
    return bool(listener.match(identifier)) if isinstance(listener, re.Pattern) else listener == identifier


def ids_shown(key: str) -> set[str]:
    """Return every action_id or callback_id that the gallery's messages and views carry, outside of inputs."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict) and node.get("type") != "input":
            found.update({node[key]} if isinstance(node.get(key), str) else set())
            for value in node.values():
                walk(value)
        for item in node if isinstance(node, list) else ():
            walk(item)

    walk(yaml.safe_load(gallery.as_json()))
    return found


SUBMITTED = {view.callback_id for view in gallery.views().values() if view.submit}


def document() -> dict[str, Any]:
    return manifest.manifest()


def test_every_method_the_code_uses_is_in_the_table_with_its_scope() -> None:
    known = set(manifest.METHODS) | set(manifest.OPTIONAL_METHODS) | set(manifest.APP_TOKEN_METHODS)
    assert used_methods() <= known


def test_every_method_of_the_table_is_used() -> None:
    unused = (set(manifest.METHODS) | set(manifest.OPTIONAL_METHODS)) - used_methods()
    assert unused == set()


def test_the_table_names_methods_that_exist() -> None:
    named = set(manifest.METHODS) | set(manifest.OPTIONAL_METHODS) | set(manifest.APP_TOKEN_METHODS)
    assert named <= SLACK_NAMES


def test_the_manifest_asks_for_exactly_the_scopes_the_code_needs() -> None:
    assert set(document()["oauth_config"]["scopes"]["bot"]) == manifest.scopes()
    assert "user" not in document()["oauth_config"]["scopes"]


def test_the_manifest_has_exactly_the_commands_and_events_the_code_listens_to() -> None:
    commands = {command["command"] for command in document()["features"]["slash_commands"]}
    events = set(document()["settings"]["event_subscriptions"]["bot_events"])
    assert (commands, events) == ({"/approval"}, {"app_home_opened", *CHANGES})
    assert set(listeners("command")) == commands
    assert set(listeners("event")) == events


@pytest.mark.parametrize(("kind", "shown"), [("action", ids_shown("action_id")), ("view", SUBMITTED)])
def test_every_button_and_form_has_a_listener_and_every_listener_something_to_hear(kind: str, shown: set[str]) -> None:
    registered = listeners(kind)
    deaf = {identifier for identifier in shown if not any(answers(each, identifier) for each in registered)}
    idle = [str(each) for each in registered if not any(answers(each, identifier) for identifier in shown)]
    assert (deaf, idle) == (set(), [])


SNIPPETS = [
    ("client.chat_postMessage(channel='C1')", {"chat.postMessage"}),
    ("retry(self.client.views_open)", {"views.open"}),
    ("slack.call('users.info')", {"users.info"}),
    ("client.api_call('admin.users.list')", {"admin.users.list"}),
    ("client.usergroups_users_list()", {"usergroups.users.list"}),
    ("client.api_call; chat_update = 1", set()),
]


@pytest.mark.parametrize(("code", "expected"), SNIPPETS)
def test_the_reader_finds_methods_however_they_are_called(code: str, expected: set[str]) -> None:
    assert set(methods_in(ast.parse(code))) == expected


REGISTRATIONS = [
    ("app.command('/approval')(handler)", [("command", "/approval")]),
    ("@app.event('app_home_opened')\nasync def home(): ...", [("event", "app_home_opened")]),
    ("from cards import request_card\napp.action(request_card.APPROVE)(f)", [("action", "approval_approve")]),
    ("from cards.reject_modal import CALLBACK as X\napp.view(X)(f)", [("view", "approval_reject_reason")]),
    (
        "from cards import paging\napp.action(paging.ACTIONS)(f)",
        [("action", re.compile("^list_page_(next|previous)$"))],
    ),
    ("import cards.command\napp.command(cards.command.COMMAND)(f)", [("command", "/approval")]),
    ("HOME = 'app_home_opened'\napp.event(HOME)(f)", [("event", "app_home_opened")]),
    ("typer_app.command('status')(f)", []),
    ("listens_for(engine, 'connect')", []),
]


@pytest.mark.parametrize(("code", "expected"), REGISTRATIONS)
def test_the_reader_finds_listeners_however_their_ids_are_written(code: str, expected: list[Any]) -> None:
    assert list(listeners_in(ast.parse(code))) == expected


def test_the_http_form_sends_everything_to_one_address() -> None:
    made = manifest.manifest(url="https://approvals.example.org/")
    addresses = {
        made["settings"]["interactivity"]["request_url"],
        made["settings"]["event_subscriptions"]["request_url"],
        *(command["url"] for command in made["features"]["slash_commands"]),
    }
    assert addresses == {"https://approvals.example.org/slack/events"}
    assert made["settings"]["socket_mode_enabled"] is False


def test_the_file_is_the_http_form_as_it_must_be_imported() -> None:
    assert yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8")) == manifest.manifest()


def test_the_socket_mode_form_is_the_same_app_without_any_address() -> None:
    made = manifest.manifest(socket_mode=True)
    assert made["settings"]["socket_mode_enabled"] is True
    assert "https://" not in manifest.as_yaml(socket_mode=True)
    assert made["oauth_config"] == document()["oauth_config"]
    assert made["features"]["app_home"]["home_tab_enabled"] is True


@pytest.mark.parametrize("form", [{"socket_mode": True}, {"url": "https://approvals.example.org"}, {}])
def test_the_yaml_says_what_the_values_say(form: dict[str, Any]) -> None:
    assert yaml.safe_load(manifest.as_yaml(**form)) == manifest.manifest(**form)


@pytest.mark.parametrize("url", ["http://approvals.example.org", "approvals.example.org", "https://", "https://a b"])
def test_an_address_that_slack_would_not_take_is_refused(url: str) -> None:
    with pytest.raises(manifest.ManifestError, match="is no public https address"):
        manifest.manifest(url=url)


def test_the_texts_keep_to_slacks_limits() -> None:
    shown = document()["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 174 <= len(shown["long_description"]) <= 4000
