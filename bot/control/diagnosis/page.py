"""The page "Event troubleshooting", made from the table of situations: `python -m bot.control.diagnosis.page`.

With `--write PATH` it writes the file, without it prints the page. A test holds the file against this.
"""

import sys
from pathlib import Path

from bot.control.diagnosis.situations import SITUATIONS, Situation

INTRODUCTION = """# Event troubleshooting

<!-- Made by `python -m bot.control.diagnosis.page`: change bot/control/diagnosis/situations.py instead. -->

A workflow does not go on, or an event seems to get lost. Ask why:

    countersign why 42
    curl -H "Authorization: Bearer $COUNTERSIGN_API_KEY" http://127.0.0.1:8000/workflows/42/diagnosis

or type `/approval why 42` in Slack. Each answer is a sentence, the evidence it rests on, and the next step. These are
all the answers there are, in the order in which they are given, with examples filled in.
"""


def page() -> str:
    """Return the page as Markdown."""
    contents = "\n".join(f"- [{each.title}](#{_anchor(each.title)})" for each in SITUATIONS)
    return "\n".join([INTRODUCTION, contents, *(_section(each) for each in SITUATIONS)])


def _section(situation: Situation) -> str:
    example = situation.diagnosis(situation.example)
    return (
        f"\n## {situation.title}\n\n> {example.sentence}\n\n- **Evidence:** {example.evidence}\n"
        f"- **Next step:** {example.next_step}"
    )


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")


def main(arguments: list[str]) -> None:
    """Print the page, or write it."""
    if arguments[:1] == ["--write"] and len(arguments) > 1:
        Path(arguments[1]).write_text(page() + "\n", encoding="utf-8")
    else:
        sys.stdout.write(page() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
