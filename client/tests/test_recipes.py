"""The recipes of docs/how-to/ask-from-an-agent.md that need no framework."""

import re
from pathlib import Path
from typing import Any

import countersign
import pytest
from countersign.testing import Fake

PAGE = Path(__file__).parents[2] / "docs/how-to/ask-from-an-agent.md"


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
