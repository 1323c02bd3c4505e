"""Workflows and activities of other packages: found by their entry points, registered in this program's worker.

A package declares them under `countersign.workflows` and `countersign.activities`; the name of an entry point is the
name under which it is registered (docs/tutorial/your-own-process.md). One that cannot be loaded stops the start: a
worker that lacks a workflow would leave its instances behind.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Final, NamedTuple

WORKFLOWS: Final = "countersign.workflows"
ACTIVITIES: Final = "countersign.activities"
NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_.-]{0,99}")

Function = Callable[..., Any]


class ExtensionError(Exception):
    """An entry point that cannot be used. The text names its package."""


class Extensions(NamedTuple):
    """The functions of other packages, by the names under which they are registered."""

    workflows: Mapping[str, Function] = MappingProxyType({})
    activities: Mapping[str, Function] = MappingProxyType({})


NONE: Final = Extensions()


def load(ours: Iterable[str]) -> Extensions:
    """Return what installed packages declare. `ours` are reserved names. Raises: ExtensionError."""
    taken = {name.casefold() for name in ours}
    return Extensions(_group(WORKFLOWS, taken), _group(ACTIVITIES, taken))


def _group(group: str, taken: set[str]) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for entry in sorted(entry_points(group=group), key=lambda each: each.name):
        if not NAME.fullmatch(entry.name):
            raise ExtensionError(f"{_where(entry)}: a name has letters, digits, '_', '-' and '.', and 100 at most.")
        if entry.name.casefold() in taken:
            raise ExtensionError(f"{_where(entry)}: Countersign has this name itself. Give yours another.")
        if entry.name in found:
            raise ExtensionError(f"{_where(entry)}: another package declares this name too. Uninstall one of them.")
        found[entry.name] = _loaded(entry)
    return found


def _loaded(entry: EntryPoint) -> Function:
    """Return an entry point's function, and let the SDK find its name when it is called by reference."""
    try:
        function = entry.load()
    except Exception as error:  # another package's code: whatever it raises, the start ends with its name
        raise ExtensionError(f"{_where(entry)}: it cannot be loaded ({type(error).__name__}: {error}).") from error
    if not inspect.isfunction(function):
        raise ExtensionError(f"{_where(entry)}: {entry.value} is no function.")
    function.__dict__["_dapr_alternate_name"] = entry.name
    return function


def _where(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "a package"
    return f"The entry point {entry.name!r} of {package} (group {entry.group})"


def fresh(function: Function) -> Function:
    """Return a function that can be registered: the SDK marks those that were, and takes none of them again."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call(*args: Any, **more: Any) -> Any:
            return await function(*args, **more)
    else:

        @functools.wraps(function)
        def call(*args: Any, **more: Any) -> Any:
            return function(*args, **more)

    for mark in ("_dapr_alternate_name", "_workflow_registered", "_activity_registered"):
        call.__dict__.pop(mark, None)
    return call
