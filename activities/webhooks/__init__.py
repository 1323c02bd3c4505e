"""Telling other systems of ends: which addresses are reached, one attempt, and the loop that makes them."""
