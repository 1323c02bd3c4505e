"""How a request ended and who said so, in one line: for every command that waits for an end."""

from collections.abc import Iterable, Mapping
from typing import Any

from approvals.ends import End


def in_words(end: End, decided_by: Iterable[Mapping[str, Any]]) -> str:
    """Return `Approved by Mina Manager; Otto Vogel: within the budget`."""
    yes = [_who(each) for each in decided_by if each["approved"]]
    no = [_who(each) for each in decided_by if not each["approved"]]
    by = no if end.code == "rejected" else yes if end.exit_code == 0 else []
    said = f"{end.shown} by {'; '.join(by)}" if by else end.shown
    return f"{said} (approved before by {'; '.join(yes)})" if yes and end.exit_code else said


def _who(each: Mapping[str, Any]) -> str:
    return f"{each['name'] or each['person']}{': ' + each['reason'] if each['reason'] else ''}"
