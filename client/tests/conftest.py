"""The plugin is imported rather than installed, so that these tests run from a checkout too."""

from countersign.testing import countersign_fake

__all__ = ["countersign_fake"]
