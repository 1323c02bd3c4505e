"""Bounded, seeded torture of the whole: each program prints its figures and fails where something was lost."""
