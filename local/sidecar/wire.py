"""The protobuf messages and gRPC stubs that ship inside the Dapr SDK, and the few numbers both sides agree on.

The only module that knows where the SDK keeps them. It holds no behaviour beyond naming values.
"""

from typing import Any, Final

from dapr.ext.workflow._durabletask.internal import orchestrator_service_pb2_grpc as _stubs
from dapr.ext.workflow._durabletask.internal import protos as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

__all__ = ["ENDED", "MAX_MESSAGE", "StringValue", "Timestamp", "moment", "pb", "stubs"]

stubs: Final[Any] = _stubs  # generated without types

RUNNING: Final = int(pb.ORCHESTRATION_STATUS_RUNNING)
PENDING: Final = int(pb.ORCHESTRATION_STATUS_PENDING)
SUSPENDED: Final = int(pb.ORCHESTRATION_STATUS_SUSPENDED)
STALLED: Final = int(pb.ORCHESTRATION_STATUS_STALLED)
COMPLETED: Final = int(pb.ORCHESTRATION_STATUS_COMPLETED)
FAILED: Final = int(pb.ORCHESTRATION_STATUS_FAILED)
TERMINATED: Final = int(pb.ORCHESTRATION_STATUS_TERMINATED)
CONTINUED: Final = int(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)
ENDED: Final = frozenset({COMPLETED, FAILED, TERMINATED, int(pb.ORCHESTRATION_STATUS_CANCELED)})

MAX_MESSAGE: Final = 4 * 1024 * 1024  # bytes; the runtime's default --max-body-size


def moment(nanoseconds: int) -> Timestamp:
    """Give the protobuf timestamp of so many nanoseconds after 1970 UTC."""
    stamp = Timestamp()
    stamp.FromNanoseconds(nanoseconds)
    return stamp
