-- Bookkeeping of migrations. The table stands in public: the schema greenpark is made by migration 1 itself.

-- name: prepare
CREATE TABLE IF NOT EXISTS public.greenpark_migration (
    number   int PRIMARY KEY,
    name     text NOT NULL,
    checksum text NOT NULL,
    applied  timestamptz NOT NULL DEFAULT clock_timestamp()
)

-- name: extension
CREATE EXTENSION IF NOT EXISTS timescaledb

-- name: lock
SELECT pg_advisory_lock(7236112091)

-- name: unlock
SELECT pg_advisory_unlock(7236112091)

-- name: applied
SELECT number, checksum FROM public.greenpark_migration ORDER BY number

-- name: record
INSERT INTO public.greenpark_migration (number, name, checksum) VALUES ($1, $2, $3)

-- name: newest
SELECT coalesce(max(number), 0) FROM public.greenpark_migration
