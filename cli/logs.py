"""Logging: one structured line per event, as JSON for machines or coloured for people."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from cli.errors import SettingsError

if TYPE_CHECKING:
    from cli.settings import LogSettings


def set_up(settings: LogSettings, **bound: Any) -> None:
    """Send structlog and the standard library's logging to stderr in one form.

    Raises:
        SettingsError: an unknown level or format.
    """
    level = logging.getLevelNamesMapping().get(settings.level.upper())
    if level is None:
        raise SettingsError("[log] level", f"{settings.level!r}; use debug, info, warning or error")
    if settings.format not in {"json", "console"}:
        raise SettingsError("[log] format", f"{settings.format!r}; use json or console")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if settings.format == "json"
        else [  # The plain traceback: the rich one prints local variables, and so secrets.
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=shared + last,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**bound)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
