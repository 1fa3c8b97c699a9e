"""A directory in which a whole demonstration may live, with the components already there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.stack.components import Components

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def var(components: Components) -> Iterator[Path]:
    """A var directory that every account can reach, its components shared with the checkout's."""
    assert components is not None
    directory = Path(tempfile.mkdtemp(prefix="greenpark-e2e-"))
    directory.chmod(0o755)
    (directory / "components").symlink_to(ROOT / "var" / "components")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
