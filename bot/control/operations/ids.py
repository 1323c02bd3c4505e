"""Ids that the workflow engine takes, for instances and for orders."""

import re


def engine_id(longest: int) -> re.Pattern[str]:
    """Return the pattern of an id (docs/explanation/dapr.md#instance-ids), without outer spaces and a final dot.

    It leaves out ' ', '-' and '_' when it looks for two dots in a row.
    """
    return re.compile(rf"(?!.*\.[ _-]*\.)[A-Za-z0-9](?:[A-Za-z0-9 _.-]{{0,{longest - 2}}}[A-Za-z0-9_-])?")


ID_RULE = (
    "letters, digits, spaces, '-', '_' and '.', beginning with a letter or digit and not ending with a space or a dot, "
    "and a letter or digit between two dots. The workflow engine takes no others."
)
ORDER_ID = engine_id(80)
ORDER_ID_SENTENCE = f"An order id has 1 to 80 characters: {ID_RULE}"
INSTANCE_ID = engine_id(128)
INSTANCE_ID_SENTENCE = f"An instance id has 1 to 128 characters: {ID_RULE}"
