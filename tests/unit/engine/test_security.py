"""``--security-opt``."""

from __future__ import annotations

import pytest

from sealane.engine.security import SecurityOptions, parse_security
from sealane.errors import InvalidArgument


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ((), SecurityOptions()),
        (("no-new-privileges",), SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges=true",), SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges:true",), SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges=false",), SecurityOptions()),
        (("seccomp=unconfined",), SecurityOptions(unconfined=True)),
        (("seccomp:unconfined",), SecurityOptions(unconfined=True)),
        (("seccomp=builtin",), SecurityOptions()),
        (('seccomp={"defaultAction":"A:B=C"}',), SecurityOptions(profile='{"defaultAction":"A:B=C"}')),
        (("apparmor=mine",), SecurityOptions(apparmor="mine")),
        (("apparmor=unconfined",), SecurityOptions()),
        (("systempaths=unconfined",), SecurityOptions(open_paths=True)),
        (("label=disable", "label:type:svirt_t"), SecurityOptions()),
        (
            ("seccomp=unconfined", "no-new-privileges", "systempaths=unconfined"),
            SecurityOptions(no_new_privileges=True, unconfined=True, open_paths=True),
        ),
    ],
)
def test_what_options_mean(options: tuple[str, ...], meant: SecurityOptions) -> None:
    assert parse_security(options) == meant


@pytest.mark.parametrize("option", ["foo", "foo=bar", "no-new-privileges=maybe", "systempaths=open", ""])
def test_an_unknown_option_is_named(option: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_security((option,))
    assert caught.value.message == f'invalid --security-opt: "{option}"'
