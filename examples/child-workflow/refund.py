"""An app of its own: its workflow asks for a human yes through Countersign, then refunds once.

    dapr run --app-id shop --resources-path ./components -- python refund.py 4711 250.00

Both sidecars need the same actor state store, placement, scheduler and namespace. `COUNTERSIGN_APP_ID` names the app of
Countersign.
"""

import os
import sys
from collections.abc import Generator
from typing import Any

import dapr.ext.workflow as wf

COUNTERSIGN = os.environ.get("COUNTERSIGN_APP_ID", "countersign")


def refund_workflow(ctx: wf.DaprWorkflowContext, order: dict[str, str]) -> Generator[Any, Any, dict[str, Any]]:
    """Ask, wait as long as the policy allows, then do what was approved."""
    answer = yield ctx.call_child_workflow(
        "request_approval_workflow",
        input={
            "contract": 1,
            "kind": "refund",
            "subject": f"order {order['id']}",
            "amount": order["amount"],
            "currency": "EUR",
            "description": "The parcel never arrived",
            "requester": "requester@example.com",
        },
        app_id=COUNTERSIGN,
    )
    if not answer["approved"]:
        return {"status": answer["status"], "reason": answer["reason"]}
    refunded = yield ctx.call_activity(refund, input=order)
    return {"status": "refunded", "refunded": refunded, "by": [each["name"] for each in answer["decided_by"]]}


def refund(ctx: wf.WorkflowActivityContext, order: dict[str, str]) -> str:
    """Pay the money back. It may run more than once: a real one sends the order's id as its idempotency key."""
    return f"{order['amount']} EUR for order {order['id']}"


def main(order_id: str, amount: str) -> None:
    """Start a refund, and print how it ended."""
    runtime = wf.WorkflowRuntime()
    runtime.register_workflow(refund_workflow)
    runtime.register_activity(refund)
    runtime.start()
    client = wf.DaprWorkflowClient()
    instance_id = f"refund-{order_id}"
    if client.get_workflow_state(instance_id) is None:  # started before: go on waiting
        client.schedule_new_workflow(refund_workflow, input={"id": order_id, "amount": amount}, instance_id=instance_id)
    print(f"{instance_id} waits for a human yes", flush=True)
    ended = client.wait_for_workflow_completion(instance_id, timeout_in_seconds=7 * 86400)
    print(ended.serialized_output if ended else "it is gone", flush=True)
    runtime.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:3])
