"""The facts on which a diagnosis rests. Pure."""

from approvals.statuses import Status
from approvals.values import Moment, Value
from bot.engine.history import HistoryFacts, Raised, Wait
from records.instances import Phase, RequestProgress


class Elsewhere(Value):
    """The awaited event, raised at another instance's id. `unknown` if there is no such instance."""

    instance_id: str
    name: str
    at: Moment
    unknown: bool = False


class Refusal(Value):
    """A decision that did not count, with the message its sender was told."""

    at: Moment
    who: str
    sentence: str


class Unposted(Value):
    """The card that Slack does not take: in which channel, and since when."""

    channel: str
    since: Moment


class Facts(Value):
    """The facts about an instance. `status` is None if the engine knows none; `phase` if no row is kept.

    Of a request, `what` is `order 42`, `outcome` the code of its end and `progress` its accepted decisions.
    """

    instance_id: str
    now: Moment
    status: Status | None = None
    phase: Phase | None = None
    name: str = ""
    names: tuple[str, ...] = ()
    worker_connected: bool = True
    asked_to_start_at: Moment | None = None
    starts: str = ""
    ended_at: Moment | None = None
    failure: str = ""
    history: HistoryFacts = HistoryFacts()
    deadline: Moment | None = None
    waiting_on: tuple[str, ...] = ()
    what: str = ""
    outcome: str | None = None
    progress: RequestProgress | None = None
    refused: Refusal | None = None
    unposted: Unposted | None = None
    undelivered_since: Moment | None = None
    late: tuple[Raised, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    near: tuple[str, ...] = ()

    @property
    def open_waits(self) -> tuple[Wait, ...]:
        """The waits that are open."""
        return tuple(wait for wait in self.history.waits if wait.open)
