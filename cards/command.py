"""The answers of /approval: help, status, lists, history, statistics, diagnosis. Only the asker sees them."""

import difflib
from dataclasses import dataclass

from approvals.percents import whole_percents
from approvals.verbs import IN_SLACK
from cards import parts
from cards.details_modal import history_blocks
from cards.lines import in_words, line, meaning
from cards.moments import in_utc, span
from cards.paging import PAGE_SIZE, PageTarget, page_buttons
from cards.surface import Block, Message
from cards.values import Diagnosis, HistoryLine, InstanceLine, LinePage, StatisticsShown

COMMAND = "/approval"
NOTHING = {
    "waiting": "Nothing waits for you.",
    "mine": "You have asked for nothing yet.",
    "decided": "Nothing is decided yet.",
    "all": f"There is nothing to show. {COMMAND} decided lists what is over.",
    "running": f"Nothing is open. {COMMAND} decided lists what is over.",
}
"""The lists by name, each with what to say if it is empty."""

_LONGEST_TABLE = 10
_BUTTONS = ("approve", "reject", "approved", "rejected", "deny", "yes", "no")


@dataclass(frozen=True)
class Word:
    """One word of the command. `operator` ones need the operator role in policy.yml."""

    name: str
    usage: str
    meaning: str
    operator: bool = False


WORDS = (
    Word("help", "help", "this list"),
    Word("status", "status ID", "the status of a request, and whom it waits for"),
    Word("list", "list", "what waits for you, what you asked for, and all that you may see"),
    Word("mine", "mine", "what you asked for"),
    Word("decided", "decided", "what is over, and how it ended"),
    Word("history", "history ID [engine]", "what happened to a request; with engine, each step of the workflow engine"),
    Word("why", "why ID", "why a request does not go on, and what to do"),
    Word("bulk", "bulk", "what was done to many workflows at once, and how far it is"),
    Word("withdraw", "withdraw ID reason", "take back what you asked for, before it is decided"),
    Word("stats", "stats", "how many wait, how long decisions take, how they end"),
    *(
        Word(verb.name, verb.usage, verb.summary[:1].lower() + verb.summary[1:].rstrip("."), operator=True)
        for verb in IN_SLACK.values()
    ),
)


def help_text(hidden: frozenset[str] = frozenset()) -> Message:
    """Return the list of verbs without those that the asker may not use. ID is an instance id or an order id."""
    words = [verb for verb in WORDS if verb.name not in hidden]
    blocks = [parts.header("What /approval can do"), *map(_verb, words)]
    blocks.append(parts.sentence("ID is an order's id (42) or an instance id (order-42-workflow)."))
    names = ", ".join(verb.name for verb in words)
    return Message(text=f"{COMMAND} knows these verbs: {names}.", blocks=tuple(blocks))


def _verb(verb: Word) -> Block:
    operators = " (operators; asks to confirm)" if verb.operator else ""
    return parts.rich(parts.words(f"{COMMAND} {verb.usage}", code=True), parts.words(f"  {verb.meaning}{operators}"))


def nearest(name: str) -> str | None:
    """Return the verb that was most likely meant, or None."""
    typed, known = name.lower()[:40], [verb.name for verb in WORDS]
    swapped = [verb for verb in known if sorted(verb) == sorted(typed)]  # two letters in the other order
    found = swapped or difflib.get_close_matches(typed, known, n=1, cutoff=0.6)
    return found[0] if found else None


def _guess(name: str) -> str:
    """Name the nearest verb, or the buttons: "approve" must not lead to "purge"."""
    near = nearest(name)
    if difflib.get_close_matches(name.lower()[:40], _BUTTONS, n=1, cutoff=0.7):
        return " To approve or reject, use the buttons on the request's card."
    return f" Did you mean {COMMAND} {near}?" if near else ""


def unknown_verb(name: str) -> Message:
    """Return what to say to a verb that does not exist: the nearest one, and where the list is."""
    done = f"There is no {COMMAND} {parts.typed(name, 60)}, so nothing was done."
    return _sentence(f"{done}{_guess(name)} See {COMMAND} help.")


def usage(name: str, problem: str) -> Message:
    """Return what to say if a verb's arguments are missing or wrong."""
    known = next((verb.usage for verb in WORDS if verb.name == name), "help")
    return _sentence(f"{problem} Nothing was done. Type: {COMMAND} {known}")


def status(one: InstanceLine) -> Message:
    """Return one instance: status with its message, stage, whom it waits for, deadline, link."""
    blocks = [line(one), parts.sentence(meaning(one))]
    if one.for_operators and one.custom_status.strip():
        blocks.append(parts.sentence(f"Engine status: {one.status}, {parts.typed(one.custom_status, 500)}"))
    return Message(text=parts.fallback(*in_words(one)), blocks=tuple(blocks))


def listing(title: str, name: str, page: LinePage) -> Message:
    """Return one page of a list by its name (see LISTS), with which lines these are and of how many."""
    if not page.lines:
        return _sentence(NOTHING[name])
    blocks = _list(title, name, page)
    return Message(text=parts.fallback(*_spoken_list(title, page)), blocks=tuple(blocks))


def overview(sections: tuple[tuple[str, str, LinePage], ...]) -> Message:
    """Return several lists one below the other, each (title, name, page) with its own way on."""
    blocks: list[Block] = []
    spoken: list[str | Block] = []
    for title, name, page in sections:
        blocks += [parts.divider()] if blocks else []
        if page.lines:
            blocks += _list(title, name, page)
        else:
            blocks += [parts.header(title), parts.sentence(NOTHING[name])]
        spoken += _spoken_list(title, page) if page.lines else [f"{title}: nothing. "]
    return Message(text=parts.fallback(*spoken), blocks=tuple(blocks))


def _spoken_list(title: str, page: LinePage) -> list[str | Block]:
    return [f"{title}: {page.place}. The first: ", *in_words(page.lines[0]), " "]


def _list(title: str, name: str, page: LinePage) -> list[Block]:
    before = PageTarget(verb="list", argument=name, cursor=page.previous) if page.previous else None
    after = PageTarget(verb="list", argument=name, cursor=page.following) if page.following else None
    heading = f"{title} ({page.place})" if page.place else title
    return [parts.header(heading), *(line(one) for one in page.lines[:PAGE_SIZE]), *page_buttons(before, after, name)]


def history(
    instance_id: str,
    lines: tuple[HistoryLine, ...],
    previous: PageTarget | None = None,
    following: PageTarget | None = None,
) -> Message:
    """Return one page of an instance's time line, oldest first."""
    name = parts.typed(instance_id, 100)
    if not lines:
        return _sentence(f"Nothing is written down about {name}. {COMMAND} status {name} says whether it exists.")
    shown = history_blocks(lines[:PAGE_SIZE])
    blocks = [parts.header(f"History of {name}"), *shown, *_left_out(len(lines)), *page_buttons(previous, following)]
    newest = lines[:PAGE_SIZE][-1]
    text = f"History of {name}; the last on this page: {newest.what} at {in_utc(newest.at)}."
    return Message(text=parts.fallback(text), blocks=tuple(blocks))


def _left_out(total: int) -> list[Block]:
    more = total - PAGE_SIZE
    return [parts.sentence(f"{more} more do not fit on this page.")] if more > 0 else []


def why(instance_id: str, answers: tuple[Diagnosis, ...]) -> Message:
    """Return why an instance does not go on: each answer a message, the evidence and the next step."""
    name = parts.typed(instance_id, 100)
    if not answers:
        return _sentence(
            f"Nothing keeps {name} from going on, as far as can be seen. {COMMAND} status shows where it is."
        )
    blocks = [parts.header(f"Status of {name}, and why"), *(_answer(one) for one in answers[:PAGE_SIZE])]
    first = answers[0]
    text = f"{name}: {parts.typed(first.sentence, 600)} {parts.typed(first.next_step, 600)}"
    return Message(text=parts.fallback(text), blocks=(*blocks, *_left_out(len(answers))))


def _answer(one: Diagnosis) -> Block:
    elements = parts.dated(parts.typed(one.sentence, 700), bold=True)
    elements += parts.dated(f"\nSeen: {parts.typed(one.evidence, 700)}") if one.evidence.strip() else []
    elements += parts.dated(f"\nNext: {parts.typed(one.next_step, 700)}") if one.next_step.strip() else []
    return parts.rich(*elements)


def statistics(numbers: StatisticsShown) -> Message:
    """Return how approvals go: what waits, how fast decisions are, how requests end."""
    ended = sum(count for _, count in numbers.outcomes)
    times = f"median {span(numbers.median)}" if numbers.median is not None else "no decision yet"
    times += f", 9 of 10 within {span(numbers.p90)}" if numbers.p90 is not None else ""
    summary = f"{numbers.waiting} wait now. Time to a decision: {times}. {ended} ended, {numbers.timeouts} unanswered."
    blocks = [parts.header("How approvals go"), parts.sentence(summary)]
    blocks += _table("Waiting by rule", numbers.waiting_by_rule)
    blocks += _table("Waiting by approver", numbers.waiting_by_approver)
    blocks += _table("How requests ended", numbers.outcomes, shares=True)
    blocks += _table("Decided per day (UTC)", numbers.decided_per_day[-_LONGEST_TABLE:])
    blocks.append(parts.sentence(f"Refused decisions: {numbers.refusals}. Counted since {in_utc(numbers.since)}."))
    if numbers.oldest:
        blocks += [parts.rich(parts.words("The oldest that waits", bold=True)), line(numbers.oldest)]
    return Message(text=parts.fallback(summary), blocks=tuple(blocks))


def _table(title: str, rows: tuple[tuple[str, int], ...], *, shares: bool = False) -> list[Block]:
    elements = [parts.words(title, bold=True)]
    percents = whole_percents(dict(rows)) if shares else {}
    for name, count in rows[:_LONGEST_TABLE]:
        share = f" ({percents[name]} %)" if shares else ""
        elements.append(parts.words(f"\n{parts.typed(name)}: {count}{share}"))
    more = len(rows) - _LONGEST_TABLE
    elements += [parts.words(f"\n{more} more")] if more > 0 else []
    return [parts.rich(*elements)] if rows else []


def _sentence(text: str) -> Message:
    return Message(text=parts.fallback(text), blocks=(parts.sentence(text),))
