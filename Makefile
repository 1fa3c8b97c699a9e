# GreenPark. `make demo` shows it, `make test` proves it.

.PHONY: demo test check fix bench lock clean always

demo: .venv/.installed  ## one small park, end to end on this machine; ARGS="--seconds 60 --report r.json" runs unattended
	.venv/bin/greenpark demo $(ARGS)

test: .venv/.installed  ## everything, on the real broker and the real TimescaleDB
	.venv/bin/python -m pytest $(ARGS)

check: .venv/.installed  ## format, lint, types, and the import rules between the rooms
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports

fix: .venv/.installed  ## format and mend what can be mended without thinking
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

bench: .venv/.installed  ## the benchmarks; figures and their meaning are in docs/performance.md
	.venv/bin/python -m benchmarks $(ARGS)

lock: .venv/.installed  ## requirements.lock anew from pyproject.toml
	.venv/bin/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-header --quiet --output-file requirements.lock

clean:  ## forget data, logs and components; stop the demo first
	@case "$$(cat var/service-directory 2>/dev/null)" in /var/lib/greenpark-*) rm -rf "$$(cat var/service-directory)";; esac
	rm -rf var

.venv/.installed: always  # does nothing where the environment is this checkout's and up to date
	@scripts/setup
