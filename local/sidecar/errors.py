"""The sidecar's refusals: codes and texts of the real runtime (docs/explanation/dapr.md#what-each-call-answers)."""

import grpc


class SidecarError(Exception):
    """The sidecar can't start or go on; its text names the file or address and says what to do."""


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of the program
    """A call that is answered with a gRPC status instead of a result."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def within(self, context: str) -> "Refused":
        """Give the same refusal as the runtime words it when a call wraps an actor's error."""
        return Refused(self.code, f"{context}: {self.text}")


class Stalled(Refused):
    """The instance waits for a worker that can go on with it."""


class UnusableReply(Exception):  # noqa: N818 - as above
    """A worker's answer to a turn that can't be applied; the turn is handed out again."""


class StoreUnavailable(Exception):  # noqa: N818 - as above
    """The database took nothing of the call: the disk is full, or the file can't be read or written."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


_RPC_CODES = {
    grpc.StatusCode.ALREADY_EXISTS: "AlreadyExists",
    grpc.StatusCode.UNKNOWN: "Unknown",
}

CREATE = "failed to create workflow instance"
TERMINATE = "failed to submit termination request"
PURGE = "failed to purge workflow state"
LOOKUP = "failed to lookup actor: api error: code = FailedPrecondition desc = "


def from_actor(code: grpc.StatusCode, text: str) -> Refused:
    """Make a refusal that reaches the caller as a nested gRPC error, the way the runtime's router passes it on."""
    return Refused(code, f"rpc error: code = {_RPC_CODES[code]} desc = {text}")


def no_such_instance() -> Refused:
    """Say that the instance isn't known."""
    return Refused(grpc.StatusCode.UNKNOWN, "no such instance exists")


def stalled(instance_id: str, call: str = "method") -> Stalled:
    """Say that the instance waits for a worker that can go on with it."""
    return Stalled(grpc.StatusCode.UNKNOWN, f"failed to invoke {call} for workflow '{instance_id}': actor is stalled")


def not_completed() -> Refused:
    """Only what has ended can be purged without force."""
    return Refused(grpc.StatusCode.UNKNOWN, "orchestration has not yet completed")


def already_active(instance_id: str) -> Refused:
    """Say that an instance of that id has not ended yet."""
    text = f"an active workflow with ID '{instance_id}' already exists"
    return from_actor(grpc.StatusCode.ALREADY_EXISTS, text).within(CREATE)


def children_active(instance_id: str, child_id: str) -> Refused:
    """Say that an id is free again only when every descendant of its last run has ended."""
    text = f"cannot recreate workflow with ID '{instance_id}': child workflow '{child_id}': {not_completed().text}"
    return from_actor(grpc.StatusCode.ALREADY_EXISTS, text).within(CREATE)


def invalid_job_name(quoted: str, reason: str) -> Refused:
    """Say that the runtime's scheduler takes no job of that name; the instance id is part of it."""
    return from_actor(grpc.StatusCode.UNKNOWN, f"job name is invalid {quoted}: {reason}").within(CREATE)


def invalid_key(key: str) -> Refused:
    """Say that a listing met an id with `||`, which the runtime can't take out of the state store's key again."""
    return Refused(grpc.StatusCode.UNKNOWN, f"invalid key format: {key}")


def no_worker(actor: str) -> Refused:
    """No worker is connected, so the runtime knows no actor of that type."""
    return Refused(grpc.StatusCode.FAILED_PRECONDITION, f"did not find address for actor '{actor}'")


def history_not_found(instance_id: str) -> Refused:
    """No history of that id."""
    return Refused(grpc.StatusCode.NOT_FOUND, f"workflow instance '{instance_id}' not found")


def rerun_unknown(instance_id: str) -> Refused:
    """Nothing to rerun."""
    return Refused(grpc.StatusCode.NOT_FOUND, f"workflow instance does not exist with ID '{instance_id}'")


def rerun_same_id() -> Refused:
    """Say that a rerun needs an id of its own."""
    text = "rerun workflow instance ID must be different from the original instance ID"
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, text)


def rerun_active(instance_id: str) -> Refused:
    """Only what has ended can be rerun."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, f"'{instance_id}' is not in a terminal state")


def rerun_child(instance_id: str) -> Refused:
    """Say that a child is rerun through its parent."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, f"'{instance_id}': cannot rerun from child-workflows")


def already_created(instance_id: str) -> Refused:
    """Say that a rerun's id is taken."""
    return Refused(grpc.StatusCode.ALREADY_EXISTS, f"workflow '{instance_id}' has already been created")


def rerun_no_event(event_id: int) -> Refused:
    """No event of that id."""
    return Refused(grpc.StatusCode.NOT_FOUND, f"does not have history event with ID '{event_id}'")


def rerun_wrong_event(kind: str, event_id: int) -> Refused:
    """Only scheduled tasks, timers and children can be rerun."""
    name = f"*protos.HistoryEvent_{kind[:1].upper()}{kind[1:]}"
    text = f"target event '{name}' with ID '{event_id}' is not an event that can be rerun"
    return Refused(grpc.StatusCode.NOT_FOUND, text)


def rerun_bad_request(what: str, kind: str, event_id: int) -> Refused:
    """Say that the request asks for a change that this kind of event has no place for."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, f"cannot {what} {kind} event '{event_id}'")


def stopping() -> Refused:
    """Say that the sidecar is on its way out; the call may be tried again."""
    return Refused(grpc.StatusCode.UNAVAILABLE, "the sidecar is stopping: try again when it is back")


def unauthenticated(text: str) -> Refused:
    """Say that the caller has not shown DAPR_API_TOKEN."""
    return Refused(grpc.StatusCode.UNAUTHENTICATED, text)
