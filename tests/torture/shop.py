"""A stranger's app with an app-id of its own: its workflow asks by the child workflow, and refunds in an activity.

DAPR_GRPC_PORT=… python -m tests.torture.shop LEDGER
"""

import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import dapr.ext.workflow as wf

from tests.torture.paying import pay

LEDGER = Path(sys.argv[1])


def refund_workflow(ctx: wf.DaprWorkflowContext, order: dict[str, str]) -> Generator[Any, Any, None]:
    """Ask, wait, and write down the end."""
    asked = {
        "contract": 1,
        "kind": "refund",
        "subject": f"Refund order {order['id']}",
        "amount": "250",
        "currency": "EUR",
        "requester": "requester@example.com",
    }
    answer = yield ctx.call_child_workflow("request_approval_workflow", input=asked, app_id="countersign")
    yield ctx.call_activity(end, input={"id": order["id"], "status": answer["status"]})


def end(_: wf.WorkflowActivityContext, given: dict[str, str]) -> None:
    """Pay an approved refund; it may run more than once."""
    if given["status"] == "approved":
        pay(LEDGER, given["id"])
    else:
        (LEDGER / f"{given['id']}.end").write_text(given["status"])


if __name__ == "__main__":
    runtime = wf.WorkflowRuntime()
    runtime.register_workflow(refund_workflow)
    runtime.register_activity(end)
    runtime.start()
    threading.Event().wait()
