"""Kills the sidecar and its workers at random instants under load, then counts: nothing lost, nothing doubled.

    python -m tests.torture.sidecar --kills 300 --seed 7

A call that returned counts; a call that failed may count or not. Every instance must reach its end with all accepted
events, each once and in order, and a history in which no action was taken twice. Exits 1 and says what broke.
"""

import argparse
import json
import logging
import multiprocessing
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dapr.ext.workflow as wf
import grpc

from local.sidecar import run
from local.sidecar.wire import ENDED, StringValue, pb, stubs

SENDERS = 6  # threads
DEADLINE = 5.0  # seconds for one call
PATIENCE = 60.0  # seconds that the last instances get after the last kill
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100))


def collect(ctx: wf.DaprWorkflowContext, _data: Any) -> Any:
    """Gather numbers, one activity for each and now and then a timer, until the last."""
    seen = []
    while True:
        number = yield ctx.wait_for_external_event("number")
        if number["n"] < 0:
            return seen
        noted = yield ctx.call_activity("note", input=number)
        seen.append(noted["n"])
        if number["n"] % 3 == 0:
            yield ctx.create_timer(ctx.current_utc_datetime)


def note(_ctx: Any, number: Any) -> Any:
    """Hand the number back, a little later."""
    time.sleep(0.01)
    return number


def be_sidecar(database: str, port: int) -> None:
    sys.stdout = open("/dev/null", "w", encoding="ascii")  # noqa: SIM115, PTH123 - for the rest of the process
    run(Path(database), port)


def be_worker(port: int) -> None:
    logging.disable(logging.CRITICAL)
    runtime = wf.WorkflowRuntime(host="127.0.0.1", port=str(port))
    runtime.register_workflow(collect, name="collect")
    runtime.register_activity(note, name="note")
    runtime.start()
    signal.pause()


class Parts:
    """The processes under test: forked from a warm one, so that they are back within a moment."""

    def __init__(self, folder: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["local.sidecar", "dapr.ext.workflow"])
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port = held.getsockname()[1]
        self._database = str(folder / "workflows.db")
        self.sidecar = self._start_sidecar()
        self.workers = [self._start_worker() for _ in range(2)]

    def _start(self, target: Any, *args: Any) -> BaseProcess:
        process = self._context.Process(target=target, args=args, daemon=True)
        process.start()
        return process

    def _start_sidecar(self) -> BaseProcess:
        return self._start(be_sidecar, self._database, self.port)

    def _start_worker(self) -> BaseProcess:
        return self._start(be_worker, self.port)

    def kill_sidecar(self) -> None:
        """Kill it; one worker is replaced, the other must find the new sidecar by itself."""
        _kill(self.sidecar)
        self.sidecar = self._start_sidecar()
        self.kill_worker()

    def kill_worker(self) -> None:
        _kill(self.workers.pop(0))
        self.workers.append(self._start_worker())

    def close(self) -> None:
        for process in (*self.workers, self.sidecar):
            _kill(process)


def _kill(process: BaseProcess) -> None:
    process.kill()
    process.join()


@dataclass
class Ledger:
    """What one instance was sent."""

    instance: str
    accepted: list[int] = field(default_factory=list)
    unsure: set[int] = field(default_factory=set)


class Load:
    """Threads that schedule instances and raise events, remembering which calls returned."""

    def __init__(self, port: int, seed: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_RECONNECT)
        self.stub = stubs.TaskHubSidecarServiceStub(self.channel)
        self.ledgers: list[Ledger] = []
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(seed, n)) for n in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, seed: int, sender: int) -> None:
        chance = random.Random(f"{seed}-{sender}")
        count = 0
        while not self.stop.is_set():
            count += 1
            ledger = Ledger(f"torture-{sender}-{count}")
            if not self._schedule(ledger.instance):
                continue
            self.ledgers.append(ledger)
            for number in range(chance.randint(1, 6)):
                time.sleep(chance.uniform(0, 0.05))
                if self._raise(ledger.instance, number):
                    ledger.accepted.append(number)
                else:
                    ledger.unsure.add(number)

    def _schedule(self, instance: str) -> bool:
        """Try until the instance is there: what failed may have counted."""
        request = pb.CreateInstanceRequest(instanceId=instance, name="collect")
        while not self.stop.is_set():
            try:
                self.stub.StartInstance(request, timeout=DEADLINE)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.ALREADY_EXISTS:
                    return True
                time.sleep(0.05)
            else:
                return True
        return False

    def _raise(self, instance: str, number: int) -> bool:
        data = StringValue(value=json.dumps({"n": number}))
        try:
            self.stub.RaiseEvent(pb.RaiseEventRequest(instanceId=instance, name="number", input=data), timeout=DEADLINE)
        except grpc.RpcError:
            return False
        return True

    def finish(self) -> list[str]:
        """Send every instance its last number until it has ended; give those that never do."""
        deadline = time.monotonic() + PATIENCE
        left = [ledger.instance for ledger in self.ledgers]
        while left and time.monotonic() < deadline:
            for instance in left:
                self._raise(instance, -1)
            time.sleep(1)
            left = [instance for instance in left if not self._ended(instance)]
        return left

    def _ended(self, instance: str) -> bool:
        try:
            answer = self.stub.GetInstance(pb.GetInstanceRequest(instanceId=instance), timeout=DEADLINE)
        except grpc.RpcError:
            return False
        return answer.workflowState.workflowStatus in ENDED


def examine(load: Load) -> list[str]:
    """Say what is wrong with any instance."""
    wrong = []
    for ledger in load.ledgers:
        request = pb.GetInstanceRequest(instanceId=ledger.instance, getInputsAndOutputs=True)
        state = load.stub.GetInstance(request, timeout=DEADLINE).workflowState
        if state.workflowStatus != pb.ORCHESTRATION_STATUS_COMPLETED:
            wrong.append(f"{ledger.instance} ended with status {state.workflowStatus}: {state.failureDetails}")
            continue
        seen = json.loads(state.output.value)
        wrong += [f"{ledger.instance} lost {n}: {seen}" for n in ledger.accepted if n not in seen]
        wrong += [f"{ledger.instance} counted {n} {times} times" for n, times in Counter(seen).items() if times > 1]
        if seen != sorted(seen) or set(seen) - set(ledger.accepted) - ledger.unsure:
            wrong.append(f"{ledger.instance} saw {seen}, was sent {ledger.accepted} and perhaps {ledger.unsure}")
        history = load.stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId=ledger.instance)).events
        twice = [n for n, times in Counter(e.eventId for e in history if e.eventId > 0).items() if times > 1]
        wrong += [f"{ledger.instance} took action {n} twice" for n in twice]
    return wrong


def torture(kills: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Kill so many times; give the number of instances and all that is wrong with them."""
    chance = random.Random(seed)
    parts = Parts(folder)
    load = Load(parts.port, seed)
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 0.9))
            if chance.random() < 0.6:
                parts.kill_sidecar()
            else:
                parts.kill_worker()
        load.close()
        never = load.finish()
        if never:
            return len(load.ledgers), [f"{instance} never ended" for instance in never]
        return len(load.ledgers), examine(load)
    finally:
        load.close()
        load.channel.close()
        parts.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    sys.stdout.flush()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        instances, wrong = torture(given.kills, given.seed, Path(folder))
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    figures = {"kills": given.kills, "seed": given.seed, "instances": instances, "wrong": len(wrong)}
    figures["seconds"] = round(time.monotonic() - began)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if wrong or not instances else 0


if __name__ == "__main__":
    sys.exit(main())
