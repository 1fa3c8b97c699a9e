"""Grafana as code, provisioning, and the checker that runs every query."""
