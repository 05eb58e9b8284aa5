"""Deciding and doing: what a person may ask for, and one pass at a time towards it."""
