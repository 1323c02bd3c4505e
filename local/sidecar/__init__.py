"""A Dapr Workflow sidecar on one SQLite file, for development, demo and tests. See README.md beside this file."""

from local.sidecar.errors import SidecarError
from local.sidecar.server import Sidecar, run

__all__ = ["Sidecar", "SidecarError", "run"]
