"""Text of others in the log: on a terminal and in a file it forges no line and moves no cursor."""

import json
import os
import pty
import subprocess
import sys

TEXTS = (
    "a|b@c..d 'e\"",
    "a\nforged",
    "a\x1b[31mred",
    "\x1b]0;title\x07",
    "\u202ereversed",
    "a\x9b31m",
    "a\rforged",
    "日本",
)
PROGRAM = """
import json, logging, sys, structlog
from bot.process.logs import configure
configure()
for text in json.loads(sys.argv[1]):
    structlog.get_logger("ours").warning("ours", instance_id=text)
    logging.getLogger("library").error("library: %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("ours").exception("failed")
"""
COMMAND = [sys.executable, "-c", PROGRAM, json.dumps(TEXTS)]
OBEYED = set(map(chr, [*range(9), *range(11, 13), *range(14, 27), *range(28, 32), *range(127, 160), 0x202E]))


def on_a_terminal() -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(COMMAND, stderr=theirs, stdin=subprocess.DEVNULL) as program:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # Linux's word for the end of a terminal
                break
            written += piece
        os.close(ours)
        assert program.wait() == 0
    return written.decode().replace("\r\n", "\n")


def test_text_of_others_moves_no_cursor_and_forges_no_line_on_a_terminal() -> None:
    written = on_a_terminal()
    assert not OBEYED & set(written)
    assert "\r" not in written
    assert not [each for each in ("\x1b[31mred", "\x1b]0") if each in written]
    forged = [line for line in written.splitlines() if line.startswith("forged")]
    assert len(forged) == 1  # the second line of the trace's own message
    assert "日本" in written


def test_each_line_of_a_file_is_one_json_object() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["instance_id"] for each in lines if "instance_id" in each] == list(TEXTS)
    assert done.stderr.isascii()
    assert len(lines) == 3 * len(TEXTS)
