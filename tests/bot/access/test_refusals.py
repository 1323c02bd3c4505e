"""One error model, and one map from it for each face."""

import grpc
import pytest

from activities.bulk import ItemResult
from approvals.authority import Action, Actor, authorize
from approvals.decision import Reason, Verdict
from bot.access.denials import denial
from bot.access.refusals import KIND_OF, Kind, Refused, as_refusal, message_of, refused, unknown
from bot.control.operations.bulk_items import result_of
from bot.engine.client import EngineRefusedError, EngineUnavailableError, _failure
from bot.web.answers import STATUS, headers_of
from records.errors import BadCursorError, DatabaseUnavailableError


def test_every_kind_has_a_status_and_none_of_them_is_a_success() -> None:
    assert set(STATUS) == set(Kind)
    assert {status for status in STATUS.values() if status < 400} == set()


@pytest.mark.parametrize(
    ("error", "reading", "kind", "said", "retry_after"),
    [
        (unknown("42"), False, Kind.NOT_FOUND, "No workflow is known as 42.", None),
        (BadCursorError("The cursor is of another list."), False, Kind.INVALID, "The cursor is of another list.", None),
        (EngineRefusedError("wrong token"), False, Kind.CONFLICT, "refused: wrong token. Nothing was done.", None),
        (EngineUnavailableError("down"), True, Kind.UNAVAILABLE, "cannot be shown now", 5),
        (EngineUnavailableError("down"), False, Kind.UNAVAILABLE, "took effect is not known", 5),
        (DatabaseUnavailableError("at /srv/db", "The disk is full."), False, Kind.UNAVAILABLE, "The disk is full.", 5),
    ],
)
def test_what_services_raise_becomes_one_refusal(
    error: Exception, *, reading: bool, kind: Kind, said: str, retry_after: float | None
) -> None:
    refusal = as_refusal(error, reading=reading)
    assert refusal is not None
    assert (refusal.kind, refusal.retry_after) == (kind, retry_after)
    assert said in refusal.message


@pytest.mark.parametrize(
    "text",
    [
        "failed to create workflow instance: failed to connect to `user=postgres database=dapr`: connection refused",
        "failed to begin transaction: failed to connect to `user=postgres database=dapr`",
        "failed to load workflow metadata: unexpected EOF",
    ],
)
def test_a_database_of_the_engine_that_is_away_is_no_refusal_and_where_it_is_is_not_told(text: str) -> None:
    refusal = as_refusal(_failure(grpc.StatusCode.UNKNOWN, text))
    assert refusal is not None
    assert refusal.kind is Kind.UNAVAILABLE
    assert "postgres" not in refusal.message


@pytest.mark.parametrize(
    "text",
    [
        'failed to create workflow instance: rpc error: code = Unknown desc = job name is invalid "a/b"',
        "failed to purge workflow state: orchestration has not yet completed",
        "failed to invoke method for workflow 'x': actor is stalled",
        "no such instance exists",
    ],
)
def test_what_the_engine_says_no_with_is_a_refusal(text: str) -> None:
    assert isinstance(_failure(grpc.StatusCode.UNKNOWN, text), EngineRefusedError)


def test_a_fault_is_no_refusal() -> None:
    assert as_refusal(KeyError("row")) is None
    assert message_of(ValueError("as it is")) == "as it is"


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.ALLOWED])
def test_a_verdict_is_refused_by_its_reason(reason: Reason) -> None:
    refusal = refused(Verdict(allowed=False, reason=reason, rule="here"))
    assert refusal.kind is KIND_OF.get(reason, Kind.NOT_ALLOWED)
    assert refusal.fields == {"reason": reason.value, "rule": "here"}


def test_a_caller_reads_how_to_try_again() -> None:
    assert headers_of(Refused(Kind.RATE_LIMITED, "Wait.", retry_after=1.2)) == {"Retry-After": "2"}
    assert headers_of(Refused(Kind.NOT_SIGNED_IN, "Send a key.")) == {"WWW-Authenticate": "Bearer"}
    assert headers_of(Refused(Kind.CONFLICT, "It is over.")) == {}


@pytest.mark.parametrize(
    ("refusal", "result"),
    [
        (unknown("gone"), ItemResult(state="skipped", result="It is not known any more, so nothing was done.")),
        (Refused(Kind.BUSY, "Another call."), ItemResult(state="pending", result="Another call.")),
        (Refused(Kind.CONFLICT, "It is over."), ItemResult(state="skipped", result="It is over.")),
    ],
)
def test_a_bulk_operation_keeps_a_refusal_as_a_result(refusal: Refused, result: ItemResult) -> None:
    assert result_of(refusal) == result


@pytest.mark.parametrize(
    ("actor", "action", "said"),
    [
        (Actor(through="rest"), Action.PAUSE, "It takes the role operator."),
        (Actor(through="rest"), Action.DECIDE, "It takes the role approver if the request asks you."),
        (
            Actor(through="rest"),
            Action.SEE_HISTORY,
            "or requester if the request is your own; or approver if the request is your own or asks",
        ),
        (Actor(through="rest", scopes=frozenset({Action.LIST})), Action.PAUSE, "Use a key with the scope pause"),
        (Actor(through="slack"), Action.AUDIT_READ, "Use the command line or REST"),
    ],
)
def test_a_denial_names_what_it_is_about_and_the_role_that_it_takes(actor: Actor, action: Action, said: str) -> None:
    text = denial(authorize(actor, action), action, "order 42")
    assert text.startswith("order 42: Nothing was done because")
    assert said in text


def test_a_guest_hears_no_name_so_that_known_and_unknown_ids_sound_alike() -> None:
    verdict = Verdict(allowed=False, reason=Reason.MEMBERS_ONLY, rule="access")
    assert "42" not in denial(verdict, Action.SEE_REQUEST, "order 42")
