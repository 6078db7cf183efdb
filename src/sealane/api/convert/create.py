"""``POST /containers/create``: from the body to the engine's ContainerRequest. Pure.

Everything that can be judged from the request alone is judged here, with Docker's texts; what needs the state of the
engine (names, images, networks, ports) is the engine's.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import msgspec
from msgspec import UNSET

from sealane.api.convert import fields, security
from sealane.api.convert.endpoints import effective_mode, endpoint_requests, network_mode, with_mac
from sealane.api.convert.limits import resources, restart_policy
from sealane.api.convert.mounts import mount_requests, volumes_from
from sealane.api.convert.ports import exposed_ports, port_bindings
from sealane.api.schema.container import (
    CONFIG_FIELDS,
    Asked,
    Config,
    CreateBody,
    HostConfig,
    LogConfig,
    RestartPolicy,
)
from sealane.api.versions import ApiVersion
from sealane.engine.model import ContainerRequest
from sealane.errors import InvalidArgument
from sealane.network.spec import EndpointRequest

SHM_SIZE: Final = 64 * 1024 * 1024
MAC_WARNING: Final = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)
_INTERFACE_SYSCTLS_REFUSED: Final = ApiVersion(1, 48)
_SYSCTL_OPTION: Final = "com.docker.network.endpoint.sysctls"


def container_request(body: CreateBody, name: str, version: ApiVersion, cpus: int) -> ContainerRequest:
    """The engine's view of the request. Raises InvalidArgument for the first thing that is wrong."""
    if not body.Image:
        raise InvalidArgument("config cannot be empty in order to create a container")
    host = body.HostConfig or HostConfig()
    _check_host(host)
    asked_mode = network_mode(host)
    endpoints = endpoint_requests(body, asked_mode)
    mode = effective_mode(asked_mode, endpoints)
    endpoints = with_mac(endpoints, mode, body.MacAddress or "")
    sysctls, endpoints = _sysctls(host, mode, endpoints, version)
    request = ContainerRequest(
        image=body.Image,
        name=fields.container_name(name),
        entrypoint=fields.words(body.Entrypoint),
        command=fields.words(body.Cmd),
        env=fields.check_env(body.Env),
        working_dir=fields.check_working_dir(body.WorkingDir),
        user=body.User,
        tty=body.Tty,
        open_stdin=body.OpenStdin,
        stdin_once=body.StdinOnce,
        attach_stdin=body.AttachStdin,
        attach_stdout=body.AttachStdout,
        attach_stderr=body.AttachStderr,
        hostname=fields.check_hostname(body.Hostname),
        domainname=fields.check_hostname(body.Domainname),
        labels=dict(body.Labels or {}),
        stop_signal=fields.check_signal(body.StopSignal or ""),
        stop_timeout_s=None if body.StopTimeout is UNSET else body.StopTimeout,
        exposed_ports=exposed_ports(body.ExposedPorts or {}),
        health=fields.health_check(body.Healthcheck) if body.Healthcheck else None,
        network_mode=mode,
        endpoints=endpoints,
        port_bindings=port_bindings(host.PortBindings or {}),
        publish_all=host.PublishAllPorts,
        dns=tuple(host.Dns or ()),
        dns_search=tuple(host.DnsSearch or ()),
        dns_options=tuple(host.DnsOptions or ()),
        extra_hosts=fields.extra_hosts(host.ExtraHosts),
        links=fields.links(host.Links),
        mounts=mount_requests(body, host),
        volumes_from=volumes_from(host.VolumesFrom),
        privileged=host.Privileged,
        cap_add=security.capabilities(host.CapAdd, "CapAdd"),
        cap_drop=security.capabilities(host.CapDrop, "CapDrop"),
        devices=security.devices(host),
        device_cgroup_rules=security.device_rules(host),
        security_opt=security.security_options(host.SecurityOpt),
        read_only=host.ReadonlyRootfs,
        ulimits=security.ulimits(host),
        sysctls=sysctls,
        shm_size=host.ShmSize or SHM_SIZE,
        init=None if host.Init is UNSET else host.Init,
        pid_mode=host.PidMode,
        ipc_mode=host.IpcMode,
        uts_mode=host.UTSMode,
        cgroupns_mode=host.CgroupnsMode,
        userns_mode=host.UsernsMode,
        cgroup_parent=host.CgroupParent,
        group_add=tuple(host.GroupAdd or ()),
        oom_score_adj=host.OomScoreAdj,
        masked_paths=None if host.MaskedPaths is None else tuple(host.MaskedPaths),
        readonly_paths=None if host.ReadonlyPaths is None else tuple(host.ReadonlyPaths),
        resources=resources(host, cpus),
        restart=restart_policy(host.RestartPolicy, host.AutoRemove),
        auto_remove=host.AutoRemove,
        log_driver=host.LogConfig.Type or "json-file",
        log_options=dict(host.LogConfig.Config or {}),
        annotations=dict(host.Annotations or {}),
        asked=msgspec.json.encode(_asked(body, host, asked_mode), order="deterministic"),
    )
    _check_conflicts(request)
    return request


def warnings(body: CreateBody) -> list[str]:
    """What the request alone gives reason to warn of."""
    return [MAC_WARNING] if body.MacAddress else []


def _check_host(host: HostConfig) -> None:
    fields.check_unsupported(host)
    fields.check_dns(host)
    fields.check_logging(host.LogConfig)
    security.check_namespaces(host)


def _sysctls(
    host: HostConfig, mode: str, endpoints: tuple[EndpointRequest, ...], version: ApiVersion
) -> tuple[dict[str, str], tuple[EndpointRequest, ...]]:
    """Old clients set eth0's sysctls container-wide; they belong to the attachment that becomes eth0."""
    asked = fields.check_sysctls(dict(host.Sysctls or {}), interfaces_allowed=version < _INTERFACE_SYSCTLS_REFUSED)
    rest, moved = fields.interface_sysctls(asked)
    if not moved:
        return rest, endpoints
    first = endpoints[0] if endpoints else EndpointRequest(network=mode)
    options = dict(first.driver_opts)
    options[_SYSCTL_OPTION] = ",".join(filter(None, (options.get(_SYSCTL_OPTION, ""), moved)))
    return rest, (dataclasses.replace(first, driver_opts=options), *endpoints[1:])


def _check_conflicts(request: ContainerRequest) -> None:
    """Options that contradict the network mode (Docker's texts)."""
    if request.network_mode == "host" and request.links:
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    if not request.network_mode.startswith("container:"):
        return
    for present, problem in (
        (request.hostname, "hostname and the network mode"),
        (
            request.links,
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (request.dns, "dns and the network mode"),
        (request.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (request.port_bindings or request.publish_all, "port publishing and the container type network mode"),
        (request.exposed_ports, "port exposing and the container type network mode"),
    ):
        if present:
            raise InvalidArgument(f"conflicting options: {problem}")


def _asked(body: CreateBody, host: HostConfig, mode: str) -> Asked:
    """The request as inspect will give it back: with our defaults in the fields that were left empty."""
    config = Config(**{name: getattr(body, name) for name in CONFIG_FIELDS})
    config.Volumes = config.Volumes or None
    shown = msgspec.structs.replace(
        host,
        NetworkMode=mode,
        LogConfig=LogConfig(host.LogConfig.Type or "json-file", host.LogConfig.Config or {}),
        RestartPolicy=RestartPolicy(host.RestartPolicy.Name or "no", host.RestartPolicy.MaximumRetryCount),
        ShmSize=host.ShmSize or SHM_SIZE,
        IpcMode=host.IpcMode or "private",
        Runtime=host.Runtime or "runc",
        OomKillDisable=bool(host.OomKillDisable),
        ConsoleSize=[*host.ConsoleSize, 0, 0][:2],
        PidsLimit=host.PidsLimit if (host.PidsLimit or 0) > 0 else None,
        MemorySwappiness=None if host.MemorySwappiness == -1 else host.MemorySwappiness,
        Tmpfs=host.Tmpfs or UNSET,
        Sysctls=host.Sysctls or UNSET,
        Mounts=host.Mounts or UNSET,
    )
    return Asked(config, shown)
