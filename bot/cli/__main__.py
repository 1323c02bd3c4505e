"""`python -m bot.cli` is `countersign`."""

from bot.cli.main import main

main()
