"""Rules, episodes, routing, delivery."""
