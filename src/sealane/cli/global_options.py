"""The options before the verb. Pure data."""

from __future__ import annotations

from sealane.cli.grammar import switch, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.grammar import Option

LOG_LEVELS: Final = ("debug", "info", "warn", "warning", "error", "fatal", "panic", "trace")

GLOBAL_OPTIONS: Final[tuple[Option, ...]] = (
    text("config", "", "Directory of the client's configuration (credentials, formats)"),
    text("context", "c", "Only the context named default exists", default="default"),
    switch("debug", "D", "Show a traceback when something unexpected fails"),
    text("host", "H", "Address of the engine: unix:///path or tcp://host:port"),
    text("log-level", "l", "Accepted and without effect", default="info"),
    switch("tls", "", "Not supported", hidden=True),
    text("tlscacert", "", "Not supported", hidden=True),
    text("tlscert", "", "Not supported", hidden=True),
    text("tlskey", "", "Not supported", hidden=True),
    switch("tlsverify", "", "Not supported", hidden=True),
    switch("version", "v", "Print the version and quit"),
)
