"""The page "Event troubleshooting", made from the table of situations."""

from bot.control.diagnosis.situations import SITUATIONS, Situation

INTRODUCTION = """# Event troubleshooting

<!-- Made by `python -m tools.docs`: change bot/control/diagnosis/situations.py instead. -->

A workflow does not go on, or an event seems to get lost. Ask why:

    countersign why 42
    curl -H "Authorization: Bearer $COUNTERSIGN_API_KEY" http://127.0.0.1:8000/workflows/42/diagnosis

or type `/approval why 42` in Slack. Each answer says what is the matter, on which evidence, and what to do next. These
are all answers, in the order in which they are given, with examples filled in.
"""


def page() -> str:
    """Return the page as Markdown."""
    contents = "\n".join(f"- [{each.title}](#{_anchor(each.title)})" for each in SITUATIONS)
    return "\n".join([INTRODUCTION, contents, *(_section(each) for each in SITUATIONS)]) + "\n"


def _section(situation: Situation) -> str:
    example = situation.diagnosis(situation.example)
    return (
        f"\n## {situation.title}\n\n> {example.sentence}\n\n- **Evidence:** {example.evidence}\n"
        f"- **Next step:** {example.next_step}"
    )


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")
