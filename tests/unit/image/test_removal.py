"""``rmi``: who may take what away, in Docker's words."""

from __future__ import annotations

import pytest

from sealane.errors import Conflict
from sealane.image.image import ImageUse
from sealane.image.reference import Reference, parse_reference
from sealane.image.removal import Decision, Holders, decide_by_id, decide_by_name
from sealane.values import ImageId

IMAGE = ImageId("sha256:" + "62d5b01b5503" + "0" * 52)
DIGEST = "sha256:" + "5" * 64
STOPPED = ImageUse("2876bd794e0c" + "1" * 52, running=False)
RUNNING = ImageUse("7461cacb2ead" + "1" * 52, running=True)


def names(*texts: str) -> tuple[Reference, ...]:
    return tuple(sorted((parse_reference(text) for text in texts), key=str))


def held(*texts: str, uses: tuple[ImageUse, ...] = (), children: bool = False) -> Holders:
    return Holders(IMAGE, names(*texts), uses, children)


def by_name(holders: Holders, text: str, force: bool = False) -> Decision:
    return decide_by_name(holders, parse_reference(text), text, force)


def test_one_of_two_names() -> None:
    assert by_name(held("a:1", "a:2", uses=(RUNNING,)), "a:2") == Decision(names("a:2"), delete=False)


def test_the_last_name_takes_the_image() -> None:
    assert by_name(held("a:1"), "a:1") == Decision(names("a:1"), delete=True)


def test_the_last_tag_takes_the_digests_of_its_repository() -> None:
    found = by_name(held("a:1", f"a@{DIGEST}", "b:1"), "a:1")

    assert found == Decision((parse_reference("a:1"), parse_reference(f"a@{DIGEST}")), delete=False)


def test_a_tag_that_is_not_the_last_leaves_the_digests() -> None:
    assert by_name(held("a:1", "a:2", f"a@{DIGEST}"), "a:1") == Decision(names("a:1"), delete=False)


def test_the_last_name_of_a_used_image() -> None:
    for use in (STOPPED, RUNNING):
        with pytest.raises(Conflict) as caught:
            by_name(held("imgp:1", uses=(use,)), "imgp:1")
        assert caught.value.message == (
            'conflict: unable to remove repository reference "imgp:1" (must force) - container '
            f"{use.container[:12]} is using its referenced image 62d5b01b5503"
        )


def test_force_takes_it_from_stopped_containers_but_only_the_name_from_running_ones() -> None:
    assert by_name(held("a:1", uses=(STOPPED,)), "a:1", force=True) == Decision(names("a:1"), delete=True)
    assert by_name(held("a:1", uses=(RUNNING,)), "a:1", force=True) == Decision(names("a:1"), delete=False)


@pytest.mark.parametrize(
    ("holders", "force", "words"),
    [
        (held("a:1", "b:1"), False, "(must be forced) - image is referenced in multiple repositories"),
        (held("a:1", "a:2"), False, "(must be forced) - image is referenced in multiple repositories"),
        (held("a:1", uses=(STOPPED,)), False,
         "(must be forced) - image is being used by stopped container 2876bd794e0c"),
        (held("a:1", uses=(STOPPED, RUNNING)), True,
         "(cannot be forced) - image is being used by running container 7461cacb2ead"),
        (held("a:1", children=True), True, "(cannot be forced) - image has dependent child images"),
    ],
)  # fmt: skip
def test_refusals_by_id(holders: Holders, force: bool, words: str) -> None:
    with pytest.raises(Conflict) as caught:
        decide_by_id(holders, force)

    assert caught.value.message == f"conflict: unable to delete 62d5b01b5503 {words}"


def test_by_id_all_names_go() -> None:
    assert decide_by_id(held("a:1", f"a@{DIGEST}"), False) == Decision(names("a:1", f"a@{DIGEST}"), delete=True)
    assert decide_by_id(held("a:1", "b:1"), True) == Decision(names("a:1", "b:1"), delete=True)
    assert decide_by_id(held(), False) == Decision((), delete=True)
