"""The command line, `countersign`. Local commands need this machine's settings; the others ask the app by REST."""

from bot.cli.main import main

__all__ = ["main"]
