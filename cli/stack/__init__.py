"""The one-machine stack: bring, start, watch and stop the real components.

PostgreSQL with TimescaleDB and mosquitto run on private loopback ports, with their data below one
directory (``./var`` by default), as an unprivileged user when we are root.
"""
