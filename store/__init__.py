"""TimescaleDB: migrations, named SQL, the pool, typed queries."""
