"""Keeping read model, cards and audit true in the background, and `doctor`."""
