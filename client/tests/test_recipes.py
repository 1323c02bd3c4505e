"""The recipes of docs/how-to/ask-from-an-agent.md. A framework's runs if its package is installed: `make recipes`."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import countersign
import pytest
from countersign.testing import Fake

PAGE = Path(__file__).parents[2] / "docs/how-to/ask-from-an-agent.md"


def recipe(function: str) -> Any:
    """Return a function of the page."""
    block = next(
        each for each in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if f"def {function}(" in each
    )
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 the page's own lines
    return names[function]


def answers(fake: Fake, *, approved: bool) -> None:
    if approved:
        fake.approves()
    else:
        fake.rejects("not on a Friday")


BOTH = pytest.mark.parametrize("approved", [True, False])


@BOTH
def test_a_graph_of_langgraph_goes_on_with_the_answer(countersign_fake: Fake, approved: bool) -> None:  # noqa: FBT001
    graphs, types = pytest.importorskip("langgraph.graph"), pytest.importorskip("langgraph.types")
    saver = pytest.importorskip("langgraph.checkpoint.memory").InMemorySaver()

    def node(_: dict[str, str]) -> dict[str, str]:
        answer = types.interrupt("Deploy 7.1")
        return {"said": "deployed" if answer["approved"] else answer["why"]}

    made = graphs.StateGraph(dict)
    made.add_node("deploy", node)
    made.add_edge(graphs.START, "deploy")
    graph, config = made.compile(checkpointer=saver), {"configurable": {"thread_id": "1"}}
    answers(countersign_fake, approved=approved)
    ended = recipe("resumed")(graph, config, graph.invoke({"said": ""}, config))
    assert ("deployed" if approved else "not on a Friday") in ended["said"]
    assert countersign_fake.asked[0].subject == "Deploy 7.1"


@BOTH
def test_a_tool_of_pydantic_ai_runs_after_a_yes_alone(countersign_fake: Fake, approved: bool) -> None:  # noqa: FBT001
    framework = pytest.importorskip("pydantic_ai")
    model = pytest.importorskip("pydantic_ai.models.test").TestModel()
    agent, ran = framework.Agent(model, output_type=[str, framework.DeferredToolRequests]), []

    @agent.tool_plain(requires_approval=True)  # type: ignore[untyped-decorator, unused-ignore]
    def deploy(version: str) -> str:
        ran.append(version)
        return "deployed"

    async def both() -> str:
        first = await agent.run("deploy 7.1")
        results = await recipe("answered")(first.output)
        return str((await agent.run(message_history=first.all_messages(), deferred_tool_results=results)).output)

    answers(countersign_fake, approved=approved)
    said = asyncio.run(both())
    assert (len(ran), ("deployed" if approved else "not on a Friday") in said) == (int(approved), True)


@BOTH
def test_a_tool_of_openai_agents_runs_after_a_yes_alone(countersign_fake: Fake, approved: bool) -> None:  # noqa: FBT001
    framework = pytest.importorskip("agents")
    interface, kinds = pytest.importorskip("agents.models.interface"), pytest.importorskip("openai.types.responses")
    heard: list[str] = []
    ran: list[str] = []

    class Scripted(interface.Model):  # type: ignore[misc, name-defined, unused-ignore]
        async def get_response(self, **given: Any) -> Any:
            heard.append(str(given["input"]))
            text = kinds.ResponseOutputText(type="output_text", text="over", annotations=[])
            said = kinds.ResponseOutputMessage(
                id="m", type="message", role="assistant", status="completed", content=[text]
            )
            call = kinds.ResponseFunctionToolCall(
                type="function_call", name="deploy", call_id="c1", arguments='{"version": "7.1"}'
            )
            output = [call] if len(heard) == 1 else [said]
            return framework.ModelResponse(output=output, usage=framework.Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    @framework.function_tool(needs_approval=True)  # type: ignore[untyped-decorator, unused-ignore]
    def deploy(version: str) -> str:
        """Deploy."""
        ran.append(version)
        return "deployed"

    async def both() -> None:
        agent = framework.Agent(name="releases", model=Scripted(), tools=[deploy])
        state = await recipe("decided")(await framework.Runner.run(agent, "deploy 7.1"))
        await framework.Runner.run(agent, state)

    framework.set_tracing_disabled(disabled=True)
    answers(countersign_fake, approved=approved)
    asyncio.run(both())
    assert (ran, ("deployed" if approved else "not on a Friday") in heard[-1]) == (["7.1"] if approved else [], True)


@BOTH
def test_a_step_of_dapr_agents_goes_on_with_the_answer(countersign_fake: Fake, approved: bool) -> None:  # noqa: FBT001
    """The agent's own wait runs, with a context and an engine of the test."""
    durable, hooks = pytest.importorskip("dapr_agents.agents.durable"), pytest.importorskip("dapr_agents")
    config = SimpleNamespace(default_timeout_seconds=None, pubsub_name="bus", topic="agent-approval-requests")
    agent = SimpleNamespace(
        execution=SimpleNamespace(approval=config), publish_approval_request=None, _retry_policy=None,
        _activity_name=lambda _: "publish",
    )  # fmt: skip
    published: list[Any] = []
    raised: dict[str, Any] = {}
    context = SimpleNamespace(
        call_activity=lambda _, **given: published.append(given["input"]["event"]),
        wait_for_external_event=lambda name: SimpleNamespace(
            is_complete=False, _parent=None, get_result=lambda: raised[name]
        ),
        create_timer=lambda _: SimpleNamespace(is_complete=False, _parent=None),
    )
    engine = SimpleNamespace(raise_workflow_event=lambda _, name, *, data: raised.update({name: data}))
    call = {"id": "c1", "function": {"name": "deploy", "arguments": '{"version": "7.1"}'}}
    wait = durable.DurableAgent._await_approval(
        agent, context, "agent-1", call, hooks.RequireApproval(timeout_seconds=3600), source="local"
    )
    next(wait)
    answers(countersign_fake, approved=approved)
    recipe("answer_agent")(published[0], engine)
    heard = next(wait).get_tasks()[0]
    with pytest.raises(StopIteration) as ended:
        wait.send(heard)
    assert ended.value.value[0] is approved
    assert (ended.value.value[1] is None) == approved
    assert countersign_fake.asked[0].key == published[0]["approval_request_id"]


def test_a_tool_that_is_a_function_asks_before_it_acts(countersign_fake: Fake) -> None:
    names: dict[str, Any] = {}
    recipe = re.findall(r"```python\n(import countersign.*?)```", PAGE.read_text(), re.DOTALL)[0]
    exec(recipe, names)  # noqa: S102 the page's own lines
    countersign_fake.approves()
    assert names["refund"]("9", amount="250.00") == "refunded 250.00 EUR for order 9"
    assert (countersign_fake.asked[0].key, countersign_fake.asked[0].body["amount"]) == ("refund:9", "250.00")
    countersign_fake.rejects("no")
    with pytest.raises(countersign.Rejected):
        names["refund"]("10", amount="1.00")
