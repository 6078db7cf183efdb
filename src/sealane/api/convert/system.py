"""``/version`` and ``/info``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sealane.api.convert.times import stamp
from sealane.api.schema import system as wire
from sealane.api.versions import MAXIMUM, MINIMUM
from sealane.engine.model import SystemInfo

_GO_ARCH: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


def version(info: SystemInfo) -> wire.Version:
    arch = _GO_ARCH.get(info.architecture, info.architecture)
    details: Mapping[str, str] = {
        "ApiVersion": str(MAXIMUM),
        "MinAPIVersion": str(MINIMUM),
        "Arch": arch,
        "Os": "linux",
        "KernelVersion": info.kernel,
        "Experimental": "false",
    }
    return wire.Version(
        Platform=wire.Platform("Sealane"),
        Components=[
            wire.Component("Engine", info.version, dict(details)),
            wire.Component(info.runtime, info.runtime_version, {"Reason": info.runtime_reason}),
            wire.Component("conmon", info.conmon_version, {}),
        ],
        Version=info.version,
        ApiVersion=str(MAXIMUM),
        MinAPIVersion=str(MINIMUM),
        GitCommit="",
        GoVersion="",
        Os="linux",
        Arch=arch,
        KernelVersion=info.kernel,
        BuildTime="",
    )


def info(view: SystemInfo, listeners: int = 0) -> wire.Info:
    mirrors = list(view.mirrors)
    return wire.Info(
        ID=view.id,
        Containers=view.containers,
        ContainersRunning=view.running,
        ContainersPaused=view.paused,
        ContainersStopped=view.stopped,
        Images=view.images,
        Driver="overlay2",
        DriverStatus=[["Backing Filesystem", "overlayfs"]],
        Plugins=wire.Plugins(["local"], ["bridge", "host", "macvlan", "null"], None, ["json-file", "local", "none"]),
        MemoryLimit=True,
        SwapLimit=True,
        CpuCfsPeriod=True,
        CpuCfsQuota=True,
        CPUShares=True,
        CPUSet=True,
        PidsLimit=True,
        IPv4Forwarding=True,
        BridgeNfIptables=False,
        BridgeNfIp6tables=False,
        Debug=False,
        NFd=0,
        OomKillDisable=view.cgroup_version != "2",
        NGoroutines=0,
        SystemTime=stamp(view.time_ns),
        LoggingDriver="json-file",
        CgroupDriver=view.cgroup_driver,
        CgroupVersion=view.cgroup_version,
        NEventsListener=listeners,
        KernelVersion=view.kernel,
        OperatingSystem=view.os_name,
        OSVersion=view.os_version,
        OSType="linux",
        Architecture=view.architecture,
        IndexServerAddress="https://index.docker.io/v1/",
        RegistryConfig=wire.RegistryConfig(
            InsecureRegistryCIDRs=["127.0.0.0/8"],
            IndexConfigs={
                "docker.io": wire.IndexConfig("docker.io", mirrors, Secure=True, Official=True),
                **{name: wire.IndexConfig(name, [], Secure=False, Official=False) for name in view.insecure_registries},
            },
            Mirrors=mirrors or None,
        ),
        NCPU=view.cpus,
        MemTotal=view.memory,
        GenericResources=None,
        DockerRootDir=str(view.root),
        HttpProxy="",
        HttpsProxy="",
        NoProxy="",
        Name=view.host_name,
        Labels=list(view.labels),
        ExperimentalBuild=False,
        ServerVersion=view.version,
        Runtimes={view.runtime: wire.Runtime(view.runtime)},
        DefaultRuntime=view.runtime,
        Swarm=wire.Swarm(),
        LiveRestoreEnabled=True,
        Isolation="",
        InitBinary="",
        ContainerdCommit=wire.Commit(),
        RuncCommit=wire.Commit(view.runtime_version, view.runtime_version),
        InitCommit=wire.Commit(),
        SecurityOptions=["name=seccomp,profile=builtin"],
        DefaultAddressPools=[wire.AddressPool(base, size) for base, size in view.default_pools],
        CDISpecDirs=[],
        Warnings=list(view.warnings) or None,
        RuntimeVersion=view.runtime_version,
        RuntimeReason=view.runtime_reason,
        ConmonVersion=view.conmon_version,
    )
