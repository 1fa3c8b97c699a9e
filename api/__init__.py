"""FastAPI: people and other systems."""
