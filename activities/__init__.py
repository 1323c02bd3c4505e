"""Effects that workflows ask for: posting cards, judging decisions, recording, announcing, processing."""

from activities.approval import Activities

__all__ = ["Activities"]
