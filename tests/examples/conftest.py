"""The examples' tests run on the system of the end-to-end tests."""

from tests.end_to_end.conftest import receiver, settings, system, systems

__all__ = ["receiver", "settings", "system", "systems"]
