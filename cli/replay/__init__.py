"""Replay of files: a CSV of meter data goes the very way that live readings go."""
