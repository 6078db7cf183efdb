"""``import --change``: what Docker Engine 26.1 answered to the same instructions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.image.changes import apply_changes


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("CMD [a", {"Cmd": ["/bin/sh", "-c", "[a"]}),
        ("CMD", {"Cmd": ["/bin/sh", "-c"]}),
        ('CMD ["/bin/sh"]', {"Cmd": ["/bin/sh"]}),
        ("CMD []", {}),
        ("ENTRYPOINT", {}),
        ("ENTRYPOINT []", {}),
        ("entrypoint foo bar", {"Entrypoint": ["/bin/sh", "-c", "foo bar"]}),
        ("ENV A b c", {"Env": ["A=b c"]}),
        ("ENV A=", {"Env": ["A="]}),
        ("ENV A='b c' D=\"e$A f\" G=h\\ i", {"Env": ["A=b c", "D=e f", "G=h i"]}),
        ('LABEL "a b"="c d" e=f', {"Labels": {"a b": "c d", "e": "f"}}),
        ("EXPOSE 80-82/tcp 90", {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}, "82/tcp": {}, "90/tcp": {}}}),
        ("WORKDIR a/b", {"WorkingDir": "/a/b"}),
        ('VOLUME ["/a","/b"]', {"Volumes": {"/a": {}, "/b": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ("USER a b", {"User": "a b"}),
        (
            'HEALTHCHECK --interval=5s --retries=2 CMD ["x","y"]',
            {"Healthcheck": {"Test": ["CMD", "x", "y"], "Interval": 5_000_000_000, "Retries": 2}},
        ),
        ("HEALTHCHECK CMD true", {"Healthcheck": {"Test": ["CMD-SHELL", "true"]}}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        ("ENV A=1\nENV A=2 B=$A", {"Env": ["A=2", "B=1"]}),
    ],
)
def test_changes(change: str, wanted: dict[str, Any]) -> None:
    assert apply_changes([change]) == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("FOO bar", "FOO is not a valid change command"),
        ("RUN x", "RUN is not a valid change command"),
        ("FROM a", "FROM is not a valid change command"),
        ('SHELL ["/x"]', "SHELL is not a valid change command"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("EXPOSE 70000", "Invalid containerPort: 70000"),
        ("EXPOSE 80/foo", "Invalid proto: foo"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV", "ENV requires at least one argument"),
        ("LABEL", "LABEL requires at least one argument"),
        ("LABEL a", "LABEL must have two arguments"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK foo", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("STOPSIGNAL foo", "invalid signal: foo"),
        ('CMD ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only"),
        ("# c", "file with no instructions"),
        ("STOPSIGNAL ²", "invalid signal: ²"),
        pytest.param("STOPSIGNAL " + "9" * 5000, "invalid signal: " + "9" * 5000, id="long signal"),
        pytest.param("EXPOSE " + "9" * 5000, "Invalid containerPort: " + "9" * 5000, id="long port"),
        ("HEALTHCHECK --retries=² NONE", "--retries must be at least 1 (not ²)"),
        ("HEALTHCHECK --interval=9999999h NONE", 'invalid duration of --interval: "9999999h"'),
    ],
)
def test_refusals(change: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        apply_changes([change])

    assert caught.value.message == words


def test_later_changes_build_on_earlier_ones() -> None:
    found = apply_changes(["WORKDIR /a", "WORKDIR b", "ENV P=/x", "ENV Q=${P}/y R=${S:-d}", "EXPOSE 80", "EXPOSE 81"])

    assert found == {
        "WorkingDir": "/a/b",
        "Env": ["P=/x", "Q=/x/y", "R=d"],
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
    }


def test_an_array_nested_too_deep_is_no_array() -> None:
    deep = "[" * 100_000

    assert apply_changes([f"CMD {deep}"]) == {"Cmd": ["/bin/sh", "-c", deep]}


@given(
    st.sampled_from(["CMD", "ENV", "LABEL", "EXPOSE", "VOLUME", "HEALTHCHECK", "STOPSIGNAL", "WORKDIR", "ONBUILD", ""]),
    st.text(max_size=40),
)
def test_any_text_is_taken_or_refused(word: str, rest: str) -> None:
    try:
        apply_changes([f"{word} {rest}"])
    except InvalidArgument:
        pass
