"""Names for the nameless: always valid, and seldom the same."""

from __future__ import annotations

from random import Random

from sealane.engine.namegen import random_name
from sealane.engine.prepare import check_name


def test_every_name_can_be_a_containers() -> None:
    random = Random(1)

    for _ in range(2000):
        name = random_name(random)
        assert check_name(name) == name


def test_two_thousand_hardly_clash() -> None:
    random = Random(1)

    assert len({random_name(random) for _ in range(2000)}) > 1980
