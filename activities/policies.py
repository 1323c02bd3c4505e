"""The policy file as it stands now. If it cannot be read or parsed, nobody may approve (law: fail closed)."""

import asyncio
from datetime import datetime
from pathlib import Path

from approvals.policy.routing import Policy, PolicyError, Problem, parse_policy

MAX_BYTES = 1024 * 1024


class PolicyFile:
    """Reads the file again whenever it has changed on disk; an operator edits it without a restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._policy: Policy | None = None
        self.text = ""

    async def current(self) -> Policy:
        """Return the policy. Raises: PolicyError, with the line of each mistake."""
        return await asyncio.to_thread(self.read)

    def read(self) -> Policy:
        """Return the policy, without an event loop. Raises: PolicyError."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._policy is None or seen != self._seen:
                text = self.path.read_bytes()[: MAX_BYTES + 1].decode("utf-8")
                self._policy, self._seen, self.text = parse_policy(text, self.path.name), seen, text
        except (OSError, UnicodeDecodeError) as error:
            self._policy = None
            raise PolicyError(
                self.path.name, (Problem(line=0, reason=f"the file cannot be read: {_why(error)}"),)
            ) from error
        except PolicyError:
            self._policy = None
            raise
        return self._policy

    @property
    def changed_at(self) -> datetime | None:
        """Return when the file was last changed, None if there is none."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime).astimezone()
        except OSError:
            return None


def _why(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unknown" if isinstance(error, OSError) else "it is not UTF-8 text"
