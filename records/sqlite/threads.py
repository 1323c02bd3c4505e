"""A thread for one blocking call after the other, made for calls of a fraction of a millisecond.

An executor of one thread does the same: its futures, locks and copies cost a click as much as half its fsync.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Call(NamedTuple):
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    result: "asyncio.Future[Any]"


class CallThread:
    """Runs calls in their order. It does not keep the program from ending."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call | Callable[[], object]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run the function in the thread and return its result. Cancelling ends the wait, not the call."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._calls.put(_Call(function, arguments, loop, result))
        return await result

    def end(self, last: Callable[[], object] = bool) -> None:
        """End the thread after all calls so far, and after `last`. Waits for nothing."""
        self._calls.put(last)

    def _run(self) -> None:
        while isinstance(call := self._calls.get(), _Call):
            _make(call)
            del call  # or what it holds lives until the next one comes
        call()


def _make(call: _Call) -> None:
    value, error = None, None
    try:
        value = call.function(*call.arguments)
    except BaseException as caught:  # noqa: BLE001 it belongs to the caller that waits
        error = caught
    with suppress(RuntimeError):  # the loop was closed: nobody waits any more
        call.loop.call_soon_threadsafe(_settle, call.result, value, error)
    value = error = None  # else an error would hold this frame, and the frame the error


def _settle(result: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
    if result.done():  # given up
        return
    if error is None:
        result.set_result(value)
    else:
        result.set_exception(error)
