"""Marks of lab tests."""

from __future__ import annotations

import pytest

#: For what no command line has a share in: once is enough.
ours = pytest.mark.parametrize("cli", ["sealane"], indirect=True)
