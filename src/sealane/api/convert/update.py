"""``POST /containers/{id}/update``: what is zero in the body stays as it was. Pure."""

from __future__ import annotations

import msgspec

from sealane.api.convert.container_view import asked_of
from sealane.api.convert.limits import resources, restart_policy
from sealane.api.schema.container import Resources as WireResources
from sealane.api.schema.container import RestartPolicy as WirePolicy
from sealane.api.schema.container import UpdateBody
from sealane.engine.model import ContainerView, Resources, RestartPolicy


def update(view: ContainerView, body: UpdateBody, cpus: int) -> tuple[Resources, RestartPolicy | None, bytes]:
    """The container's limits and policy after the update, and its asked configuration. Raises InvalidArgument."""
    asked = asked_of(view)
    changes = {name: value for name in WireResources.__struct_fields__ if (value := getattr(body, name))}
    for name in ("MemorySwappiness", "OomKillDisable", "PidsLimit"):  # zero means something here, nil is "not said"
        if getattr(body, name) is not None:
            changes[name] = getattr(body, name)
    host = msgspec.structs.replace(asked.HostConfig, **changes)
    policy = None
    if body.RestartPolicy is not None and body.RestartPolicy.Name:
        policy = restart_policy(body.RestartPolicy)
        host = msgspec.structs.replace(host, RestartPolicy=WirePolicy(policy.name, policy.maximum_retries))
    settled = resources(host, cpus)
    shown = msgspec.structs.replace(asked, HostConfig=host)
    return settled, policy, msgspec.json.encode(shown, order="deterministic")
