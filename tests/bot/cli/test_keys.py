"""`countersign keys`: made once, shown once, revoked at once, and all of it in the audit."""

import json
from typing import Any

import pytest

from bot.cli.demo import Demo
from tests.bot.cli.calling import Cli, run

PERSON = ("--person", "Manager@Example.com")


def make(local: Cli, *more: str) -> dict[str, Any]:
    made = local("keys", "create", "order system", *PERSON, "--role", "approver", "-o", "json", *more)
    assert made.code == 0, made.err
    return dict(made.json)


def test_the_token_stands_alone_on_standard_output_so_that_a_shell_can_take_it(local: Cli) -> None:
    made = local("keys", "create", "order system", *PERSON, "--role", "requester", "--role", "operator")
    assert made.out.startswith("cs_")
    assert made.out.count("\n") == 1
    assert "manager@example.com as requester, operator, until" in made.err
    assert "shown once" in made.err


def test_a_list_never_shows_a_token(local: Cli) -> None:
    token = make(local)["token"]
    for form in ("table", "json"):
        listed = local("keys", "list", "-o", form)
        assert "manager@example.com" in listed.out
        assert token[16:] not in listed.out
        assert "mac" not in listed.out


def test_a_revoked_key_says_so_in_the_list_and_is_revoked_once(local: Cli) -> None:
    key_id = make(local)["id"]
    assert "is revoked" in local("keys", "revoke", key_id).out
    assert local("keys", "list", "-o", "json").json[0]["state"] == "revoked"
    again = local("keys", "revoke", key_id)
    assert (again.code, "was revoked before" in again.out) == (0, True)


def test_a_key_can_be_for_a_part_of_what_its_roles_give(local: Cli) -> None:
    assert make(local, "--scope", "list", "--scope", "see-request")["scopes"] == ["list", "see_request"]
    assert "list, see_request" in local("keys", "list").out


def test_the_hosts_of_a_keys_callbacks_are_changed_while_its_token_stays(local: Cli) -> None:
    key_id = make(local, "--callback-host", "old.example")["id"]
    changed = local("keys", "callback-hosts", key_id, "--add", "new.example:8443", "--remove", "old.example")
    assert (changed.code, changed.out) == (0, "new.example:8443\n")
    assert local("keys", "callback-hosts", key_id).out == "new.example:8443\n"
    assert local("keys", "list", "-o", "json").json[0]["callback_hosts"] == ["new.example:8443"]
    assert "may name no host" in local("keys", "callback-hosts", key_id, "--remove", "new.example:8443").err
    chain = map(json.loads, local("audit", "export").out.splitlines())
    entries = [each for each in chain if each["action"] == "key.changed"]
    assert [each["data"]["key"]["callback_hosts"] for each in entries] == [["new.example:8443"], None]


@pytest.mark.parametrize(("key", "host", "code"), [("none", "a.example", 3), ("none", "https://a.example", 2)])
def test_hosts_of_an_unknown_key_and_what_is_no_host_are_refused(local: Cli, key: str, host: str, code: int) -> None:
    assert local("keys", "callback-hosts", key, "--add", host).code == code


def test_a_key_can_be_without_an_end(local: Cli) -> None:
    assert make(local, "--expires", "never")["expires_at"] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((*PERSON, "--role", "operatr"), "Did you mean 'operator'?"),
        ((*PERSON, "--role", "king"), "The roles are: requester, approver, operator, auditor, admin, requests:ask"),
        ((*PERSON, "--role", "operator", "--scope", "start_ordr"), "Did you mean 'start_order'?"),
        (("--person", "manager", "--role", "operator"), "is no e-mail address"),
        ((*PERSON, "--role", "operator", "--expires", "soon"), "neither a duration such as"),
        ((*PERSON, "--role", "operator", "--expires", "2020-01-01"), "has passed"),
    ],
)
def test_what_cannot_be_meant_gets_a_sentence_and_makes_nothing(
    local: Cli, words: tuple[str, ...], sentence: str
) -> None:
    refused = local("keys", "create", "x", *words)
    assert (refused.code, refused.out) == (2, "")
    assert sentence in refused.err
    assert local("keys", "list").code == 3, "a refused call makes no database either"


def test_an_unknown_id_is_not_found(local: Cli) -> None:
    make(local)
    unknown = local("keys", "revoke", "000000000000")
    assert unknown.code == 3
    assert "countersign keys list" in unknown.err


def test_without_a_secret_no_key_is_made(local: Cli) -> None:
    refused = local("keys", "create", "x", *PERSON, "--role", "operator", COUNTERSIGN_SECRET_KEY="")
    assert refused.code == 2
    assert "COUNTERSIGN_SECRET_KEY is empty" in refused.err


def test_a_weak_secret_is_refused_without_being_shown(local: Cli) -> None:
    refused = local("keys", "create", "x", *PERSON, "--role", "operator", COUNTERSIGN_SECRET_KEY="hunter2hunter2")
    assert refused.code == 2
    assert "hunter2" not in refused.err


def test_a_database_that_cannot_be_opened_is_a_sentence(local: Cli) -> None:
    refused = local("keys", "list", COUNTERSIGN_DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert refused.code == 3
    assert "There is no database at /nowhere/at/all.db" in refused.err


def test_each_change_of_a_key_is_in_the_audit_without_its_token(local: Cli) -> None:
    made = make(local)
    local("keys", "revoke", made["id"], "--reason", "it was in a log")
    entries = [local("audit", "show", str(number), "-o", "json").json[0] for number in (1, 2)]
    assert [each["action"] for each in entries] == ["key.created", "key.revoked"]
    assert [each["data"]["key"]["id"] for each in entries] == [made["id"]] * 2
    assert (entries[1]["reason"], entries[1]["through"]) == ("it was in a log", "cli")
    assert made["token"] not in str(entries)


def test_a_key_for_nobody_in_slack_is_refused_with_the_nearest_address(parts: Demo) -> None:
    settings = parts.settings
    known = {
        "COUNTERSIGN_DATABASE_URL": settings.database_url,
        "COUNTERSIGN_SECRET_KEY": settings.secret_key.get_secret_value(),
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "SLACK_API_URL": settings.slack_api_url,
    }
    create = ("keys", "create", "audit", "--role", "auditor", "--person")
    refused = run(*create, "managr@example.com", **known)
    assert (refused.code, refused.out) == (2, "")
    assert "Slack knows nobody by the address managr@example.com" in refused.err
    assert "Did you mean manager@example.com" in refused.err
    assert run(*create, "manager@example.com", **known).code == 0
    away = run(*create, "managr@example.com", **known | {"SLACK_API_URL": "http://127.0.0.1:1/api/"})
    assert (away.code, "is not checked" in away.err) == (0, True)
