"""What every test may use: the recorder of guarantees."""

from __future__ import annotations

from support.guarantees.plugin import (
    guarantee_fixture,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_logreport,
    pytest_sessionfinish,
)

__all__ = [
    "guarantee_fixture",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_logreport",
    "pytest_sessionfinish",
]
