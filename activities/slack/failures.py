"""The exceptions of this package."""


class SlackUnavailableError(Exception):
    """Slack did not answer, or asked us to wait longer than we may here. Trying again later is right."""


class SlackRefusedError(Exception):
    """Slack refused, with its code in `error`. A retry is useless until the cause is repaired."""

    def __init__(self, method: str, error: str) -> None:
        super().__init__(f"Slack refused {method}: {error}")
        self.error = error


class NotBegunError(Exception):
    """The call's turn came and it was not wanted any more, so nothing was sent."""


class LookupFailedError(Exception):
    """A profile or a group could not be looked up. That means no (law: fail closed)."""


class NonRetryableError(Exception):
    """Ends a retry policy at once (docs/explanation/dapr.md#an-exceptions-name-ends-a-retry-policy)."""
