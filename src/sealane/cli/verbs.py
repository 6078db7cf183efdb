"""The table of verbs: where each command lives, and how it is loaded. Importing this module imports no command.

A value is ``module:ATTRIBUTE`` below ``sealane.cli.commands``, where the attribute is a :class:`grammar.Command`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from sealane.cli.grammar import Command

_CONTAINER: Final = {
    "attach": "attach:ATTACH",
    "cp": "cp:CP",
    "create": "create:CREATE",
    "diff": "diff:DIFF",
    "exec": "exec:EXEC",
    "export": "export:EXPORT",
    "kill": "lifecycle:KILL",
    "logs": "logs:LOGS",
    "pause": "lifecycle:PAUSE",
    "port": "port:PORT",
    "rename": "lifecycle:RENAME",
    "restart": "lifecycle:RESTART",
    "rm": "rm:RM",
    "run": "run:RUN",
    "start": "start:START",
    "stats": "stats:STATS",
    "stop": "lifecycle:STOP",
    "top": "top:TOP",
    "unpause": "lifecycle:UNPAUSE",
    "update": "update:UPDATE",
    "wait": "lifecycle:WAIT",
}
_IMAGE: Final = {
    "history": "history:HISTORY",
    "import": "load:IMPORT",
    "load": "load:LOAD",
    "pull": "pull:PULL",
    "save": "save:SAVE",
    "tag": "tag:TAG",
}

#: What each verb of one word does, or what group it is.
VERBS: Final[Mapping[str, str]] = {
    **_CONTAINER,
    **_IMAGE,
    "compose": "compose:COMPOSE",
    "completion": "completion:COMPLETION",
    "events": "events:EVENTS",
    "images": "images:IMAGES",
    "info": "info:INFO",
    "inspect": "inspect:INSPECT",
    "ps": "ps:PS",
    "rmi": "rmi:RMI",
    "version": "version:VERSION",
}

#: Verbs of two words, by group; the names that Docker also takes are in ALIASES.
GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "container": {
        **_CONTAINER,
        "inspect": "inspect:CONTAINER_INSPECT",
        "ls": "ps:PS",
        "prune": "prune:CONTAINER_PRUNE",
    },
    "image": {
        **_IMAGE,
        "inspect": "inspect:IMAGE_INSPECT",
        "ls": "images:IMAGES",
        "prune": "prune:IMAGE_PRUNE",
        "rm": "rmi:RMI",
    },
    "network": {
        "connect": "network:CONNECT",
        "create": "network_create:CREATE",
        "disconnect": "network:DISCONNECT",
        "inspect": "network_inspect:INSPECT",
        "ls": "network_ls:LS",
        "prune": "prune:NETWORK_PRUNE",
        "rm": "network:RM",
    },
    "volume": {
        "create": "volume:CREATE",
        "inspect": "inspect:VOLUME_INSPECT",
        "ls": "volume:LS",
        "prune": "prune:VOLUME_PRUNE",
        "rm": "volume:RM",
    },
    "system": {
        "df": "df:DF",
        "events": "events:EVENTS",
        "info": "info:INFO",
        "prune": "prune:SYSTEM_PRUNE",
        "start": "system:START",
        "status": "system:STATUS",
        "stop": "system:STOP",
    },
}

GROUP_HELP: Final[Mapping[str, str]] = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "volume": "Manage volumes",
    "system": "Manage the engine",
}

ALIASES: Final[Mapping[str, str]] = {
    "container list": "container ls",
    "container ps": "container ls",
    "container remove": "container rm",
    "image list": "image ls",
    "image remove": "image rm",
    "network list": "network ls",
    "network remove": "network rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
}

#: Verbs of Docker that come later; each is refused by name.
LATER: Final = ("build", "commit", "login", "logout", "push", "search", "buildx", "swarm", "stack", "service", "node")


def find(words: list[str]) -> tuple[str, str]:
    """(target, name) of the verb at the head of *words*; the name is as typed, with aliases resolved.

    The target is empty for a lone group, and for an unknown verb.
    """
    group = GROUPS.get(words[0])
    if group is None:
        return VERBS.get(words[0], ""), words[0]
    if len(words) == 1 or words[1].startswith("-"):
        return "", words[0]
    name = f"{words[0]} {words[1]}"
    name = ALIASES.get(name, name)
    return group.get(name.partition(" ")[2], ""), name


def load(target: str) -> Command:
    """Import the command that a ``module:ATTRIBUTE`` of the table names."""
    module, _, attribute = target.partition(":")
    # importlib.import_module would do the same, and importing importlib costs half a millisecond.
    command: Command = getattr(__import__(f"sealane.cli.commands.{module}", fromlist=[attribute]), attribute)
    return command
