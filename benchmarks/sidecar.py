"""How fast the sidecar is, through the SDK: schedule/s, raise/s, workflows/s, raise to completed, and cost of waiting.

    python benchmarks/sidecar.py                        the local sidecar, in a process of its own
    python benchmarks/sidecar.py --real 127.0.0.1:50001 the same against a real runtime in the same run, interleaved

The last line is one JSON object with all figures.
"""

import argparse
import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dapr.ext.workflow as wf
from dapr.ext.workflow.logger.options import LoggerOptions

CLIENTS = 16  # threads


def activity(_ctx: Any, data: Any) -> Any:
    return data


def approval(ctx: wf.DaprWorkflowContext, data: Any) -> Any:
    yield ctx.call_activity("bench_activity", input=data)
    decision = yield ctx.wait_for_external_event("decision")
    return decision


def waiting(ctx: wf.DaprWorkflowContext, _data: Any) -> Any:
    decision = yield ctx.wait_for_external_event("decision")
    return decision


def quiet() -> LoggerOptions:
    return LoggerOptions(log_level=logging.ERROR)


def worker(address: str, mark: str) -> None:
    """Be the worker, in a process of its own, until stdin closes."""
    logging.disable(logging.WARNING)
    host, port = address.rsplit(":", 1)
    runtime = wf.WorkflowRuntime(host=host, port=port, logger_options=quiet())
    runtime.register_activity(activity, name="bench_activity")
    runtime.register_workflow(approval, name=f"approval_{mark}")
    runtime.register_workflow(waiting, name=f"waiting_{mark}")
    runtime.start()
    print("ready", flush=True)
    sys.stdin.read()
    runtime.shutdown()


class Engine:
    """One runtime under test, with its worker process and a client."""

    def __init__(self, label: str, address: str, mark: str) -> None:
        self.label, self.address, self.mark = label, address, mark
        command = [sys.executable, __file__, "--worker", address, "--mark", mark]
        self.worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.worker.stdout is not None  # noqa: S101 - a pipe was asked for
        self.worker.stdout.readline()
        host, port = address.rsplit(":", 1)
        self.client = wf.DaprWorkflowClient(host=host, port=port, logger_options=quiet())

    def close(self) -> None:
        """End the worker and the client."""
        self.client.close()
        self.worker.communicate(timeout=30)

    def ids(self, count: int) -> list[str]:
        """Make fresh instance ids."""
        return [f"bench-{uuid.uuid4().hex}" for _ in range(count)]

    def schedule(self, instance: str, what: str = "waiting") -> None:
        """Start an instance."""
        self.client.schedule_new_workflow(f"{what}_{self.mark}", input={"n": 1}, instance_id=instance)

    def decide(self, instance: str) -> None:
        """Raise the decision."""
        self.client.raise_workflow_event(instance, "decision", data={"approved": True})

    def finish(self, instance: str) -> None:
        """Wait for the end."""
        self.client.wait_for_workflow_completion(instance, timeout_in_seconds=120)


def in_threads(items: list[str], work: Callable[[str], None]) -> float:
    """Run the work over the items in all client threads; give the seconds it took."""
    places = iter(items)
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                item = next(places, None)
            if item is None:
                return
            work(item)

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def throughput(engine: Engine, count: int) -> dict[str, float]:
    ids = engine.ids(count)
    scheduled = in_threads(ids, engine.schedule)
    raised = in_threads(ids, engine.decide)
    in_threads(ids, engine.finish)

    def whole(instance: str) -> None:
        engine.schedule(instance, "approval")
        engine.decide(instance)
        engine.finish(instance)

    return {
        "schedule_per_s": count / scheduled,
        "raise_per_s": count / raised,
        "workflows_per_s": count / in_threads(engine.ids(count), whole),
    }


def latency(engine: Engine, count: int) -> dict[str, float]:
    """Measure one raise alone, and from raise to completed, in milliseconds."""
    alone, through = [], []
    for instance in engine.ids(count):
        engine.schedule(instance)
        began = time.perf_counter()
        engine.decide(instance)
        alone.append((time.perf_counter() - began) * 1000)
        engine.finish(instance)
        through.append((time.perf_counter() - began) * 1000)
    centiles = statistics.quantiles(through, n=100)
    return {
        "raise_p50_ms": statistics.median(alone),
        "raise_to_completed_p50_ms": centiles[49],
        "raise_to_completed_p99_ms": centiles[98],
    }


def memory(pid: int) -> int:
    """Give a process's resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def size(database: Path) -> int:
    return sum(part.stat().st_size for part in database.parent.glob(f"{database.name}*"))


def cost_of_waiting(engine: Engine, pid: int, database: Path, counts: list[int], rounds: int) -> dict[str, Any]:
    """Fill the sidecar with waiting instances and measure again at each count."""
    figures: dict[str, Any] = {}
    there, first = 0, (memory(pid), size(database))
    for count in counts:
        took = in_threads(engine.ids(count - there), engine.schedule)
        print(f"  {count} waiting ({(count - there) / took:.0f}/s to get there)", flush=True)
        there = count
        time.sleep(1)
        found = latency(engine, rounds)
        figures[f"p50_ms_with_{count}_waiting"] = found["raise_to_completed_p50_ms"]
        figures[f"p99_ms_with_{count}_waiting"] = found["raise_to_completed_p99_ms"]
    figures["memory_bytes_per_waiting"] = (memory(pid) - first[0]) / there
    figures["disk_bytes_per_waiting"] = (size(database) - first[1]) / there
    return figures


def start_sidecar(database: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "local.sidecar", "--db", str(database), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    return process, process.stdout.readline().split(" on ")[1].split(",")[0]


def interleaved(engines: list[Engine], count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Measure every engine in every round; give each figure's median over the rounds."""
    found: dict[str, list[dict[str, float]]] = {engine.label: [] for engine in engines}
    for turn in range(rounds):
        for engine in engines:
            figures = {**throughput(engine, count), **latency(engine, count)}
            found[engine.label].append(figures)
            print(f"round {turn + 1} {engine.label}: " + ", ".join(f"{k} {v:.1f}" for k, v in figures.items()))
    return {
        label: {name: statistics.median(one[name] for one in runs) for name in runs[0]} for label, runs in found.items()
    }


def measure(given: argparse.Namespace) -> dict[str, Any]:
    mark = uuid.uuid4().hex[:6]
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "workflows.db"
        process, address = start_sidecar(database)
        engines = [Engine("local", address, mark)]
        if given.real:
            engines.append(Engine("real", given.real, mark))
        try:
            figures: dict[str, Any] = dict(interleaved(engines, given.count, given.rounds))
            if given.real:
                local, real = figures["local"], figures["real"]
                figures["local_to_real"] = {name: round(local[name] / real[name], 2) for name in local}
            figures["waiting"] = cost_of_waiting(engines[0], process.pid, database, given.waiting, given.count)
        finally:
            for engine in engines:
                engine.close()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", help="HOST:PORT of a real runtime to measure in the same run")
    parser.add_argument("--count", type=int, default=400, help="instances in one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, nargs="*", default=[1_000, 100_000], help="counts of waiting instances")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--mark", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    if given.worker:
        worker(given.worker, given.mark)
        return
    print(json.dumps(measure(given)))


if __name__ == "__main__":
    main()
