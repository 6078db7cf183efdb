"""When an ended container is started again, and after how long. Pure; the rules are Docker's (``restartmanager``)."""

from __future__ import annotations

from typing import Final

from sealane.engine.model import RestartPolicy

_FIRST_DELAY_NS: Final = 100_000_000
_LONGEST_DELAY_NS: Final = 60_000_000_000
#: A run at least this long starts the delays anew.
_STEADY_NS: Final = 10_000_000_000


def wants_restart(policy: RestartPolicy, exit_code: int, restart_count: int, stopped_by_user: bool) -> bool:
    """Whether a container that has just ended is to be started again."""
    if stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    if policy.name == "on-failure" and exit_code != 0:
        return policy.maximum_retries == 0 or restart_count < policy.maximum_retries
    return False


def wants_start_at_boot(policy: RestartPolicy, would_restart: bool) -> bool:
    """Whether a container whose process is gone when the engine comes up is to be started.

    *would_restart*: it was running, and an engine would have started it again. ``always`` means even one that somebody
    has stopped.
    """
    return policy.name == "always" or would_restart


def next_delay_ns(previous_ns: int, ran_ns: int) -> int:
    """100 ms, doubled with each quick end, at most a minute."""
    if not previous_ns or ran_ns >= _STEADY_NS:
        return _FIRST_DELAY_NS
    return min(previous_ns * 2, _LONGEST_DELAY_NS)
