"""Liveness and readiness. Neither needs a token, neither tells anything of the park."""

from fastapi import APIRouter, Request

from api.errors import ProblemError
from api.models import Health
from api.openapi import errors
from store.browse import TooSlowError, check_ready
from store.errors import SchemaError, StoreError, UnsuitableError

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="get_liveness", summary="Is the process alive?")
async def get_liveness() -> Health:
    """Answer as soon as requests are served; touches nothing else."""
    return Health(status="ok")


@router.get(
    "/readyz", operation_id="get_readiness", summary="Can it answer?", responses=errors("unavailable", "internal")
)
async def get_readiness(request: Request) -> Health:
    """Answer when the database answers, has TimescaleDB, and has this program's schema."""
    try:
        await check_ready(request.app.state.pool)
    except (SchemaError, UnsuitableError) as error:
        raise ProblemError("unavailable", str(error)) from error
    except (StoreError, TooSlowError) as error:
        detail = "the database does not answer; check that it runs and that the address in the settings is right"
        raise ProblemError("unavailable", detail) from error
    return Health(status="ok")
