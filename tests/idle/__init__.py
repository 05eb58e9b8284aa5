"""Simulated fleets for days: what was stopped in use, and what was left idle."""
