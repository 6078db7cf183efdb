"""``sealane completion``: the script that teaches a shell to complete our commands."""

from __future__ import annotations

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

_SHELLS: Final = ("bash", "zsh", "fish")


def run(app: App, args: Args) -> int:
    shell = args.operands[0]
    if shell not in _SHELLS:
        raise Failure(f"cannot complete in {shell!r}: it should be one of {', '.join(_SHELLS)}")
    from sealane.cli.completing import script

    app.write(script(shell))
    return 0


COMPLETION = Command("completion", "bash|zsh|fish", "Print the completion script for a shell", run, least=1, most=1)
