"""What changes something goes the same way with ``sealane`` and with the real ``docker``.

Each story is played twice on an engine that was tidied in between, once by each program, and the two transcripts are
held against each other. The exit codes stand in the stories, so that two programs that fail alike do not pass.
"""

from __future__ import annotations

import io
import shlex
import tarfile
from pathlib import Path

import pytest

from support.drawing import Cli
from support.engine import Engine
from support.transcripts import bare

STORIES = Path(__file__).parent / "command_lines" / "stories.txt"


def stories() -> list[tuple[str, list[tuple[int, str]]]]:
    """(title, steps) of the file: a title begins with ``#``, a step with its exit code."""
    found: list[tuple[str, list[tuple[int, str]]]] = []
    for line in filter(None, STORIES.read_text().splitlines()):
        if line.startswith("#"):
            found.append((line.strip("# "), []))
        else:
            code, _, step = line.partition(" ")
            found[-1][1].append((int(code), step))
    return found


def play(cli: Cli, steps: list[tuple[int, str]]) -> list[tuple[int, str, str]]:
    """The transcript; ``<<< text`` at the end of a step is its standard input."""
    transcript = []
    for code, step in steps:
        line, _, text = step.partition(" <<< ")
        result = cli(*shlex.split(line), check=False, input=f"{text}\n" if text else None)
        assert result.code == code, str(result)
        transcript.append(bare(result))
    return transcript


@pytest.mark.parametrize(("title", "steps"), stories(), ids=[title.replace(" ", "-") for title, _ in stories()])
def test_story(engine: Engine, title: str, steps: list[tuple[int, str]]) -> None:
    docker = play(Cli(engine, "docker"), steps)
    engine.tidy()
    sealane = play(Cli(engine, "sealane"), steps)

    assert sealane == docker


@pytest.fixture
def box(engine: Engine) -> str:
    """A container that idles."""
    engine.cli("run", "-d", "--name", "box", "busybox", "sleep", "100000")
    return "box"


def tree(engine: Engine, box: str, path: str) -> str:
    """Names, modes, owners and sizes below *path* in the container; hard links counted, times left out."""
    script = f"cd {path} && find . | sort | xargs stat -c '%n %A %u:%g %s'"
    return engine.cli("exec", box, "sh", "-c", script).out


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Something to copy: a file, a tree with a link, links to both."""
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "f").write_text("1\n")
    (tmp_path / "d" / "l").symlink_to("f")
    (tmp_path / "ld").symlink_to("d")
    (tmp_path / "lf").symlink_to("d/f")
    (tmp_path / "g").write_text("22\n")
    (tmp_path / "d" / "sub").chmod(0o751)
    return tmp_path


#: Shows names, where links lead, modes and sizes, and makes everything as it was.
RESET = "rm -rf /o /ex /exf /exl; mkdir /ex; echo z > /exf; ln -s ex /exl"
LIST = f"cd /; find o ex exf exl 2>/dev/null | sort | xargs stat -c '%N %A %s'; {RESET}"
MADE = (
    "mkdir -p /c/d/sub; echo 1 > /c/d/f; ln -s f /c/d/l; ln -s d /c/ld; ln -s d/f /c/lf; echo 2 > /c/g; "
    "ln -s /c/d /c/abs"
)
SOURCES = ("g", "d", "d/", "d/.", "ld", "ld/", "ld/.", "lf", "-L ld", "-L lf", "./d", "nope", "g/")
TARGETS = ("/o", "/o/", "/o/x", "/ex", "/ex/", "/exf", "/exl")


@pytest.mark.parametrize("source", SOURCES)
def test_copying_in(engine: Engine, box: str, here: Path, source: str) -> None:
    """Every kind of source to every kind of target: the same files in the same places, the same codes."""
    engine.cli("exec", box, "sh", "-c", RESET)
    seen: dict[str, list[tuple[int, str]]] = {"docker": [], "sealane": []}
    for target in TARGETS:
        for program, results in seen.items():
            done = Cli(engine, program)("cp", *source.split(), f"{box}:{target}", check=False, cwd=str(here))
            results.append((done.code, engine.cli("exec", box, "sh", "-c", LIST).out))

    assert seen["sealane"] == seen["docker"]


@pytest.mark.parametrize("source", ["/c/g", "/c/d", "/c/d/", "/c/ld", "/c/ld/", "/c/lf", "/c/abs", "/c/nope", "/c/g/"])
def test_copying_out(engine: Engine, box: str, tmp_path: Path, source: str) -> None:
    engine.cli("exec", box, "sh", "-c", MADE)
    seen: dict[str, list[object]] = {"docker": [], "sealane": []}
    for target in ("o", "o/", "o/x", "ex", "ex/.", "exf", "exl"):
        for program, results in seen.items():
            place = tmp_path / f"{program}{len(results)}"
            (place / "ex").mkdir(parents=True)
            (place / "exf").write_text("z\n")
            (place / "exl").symlink_to("ex")
            done = Cli(engine, program)("cp", f"{box}:{source}", target, check=False, cwd=str(place))
            results.append((done.code, listed(place)))

    assert seen["sealane"] == seen["docker"]


def listed(place: Path) -> list[tuple[str, str]]:
    """Every path below with what it is."""
    return sorted((str(path.relative_to(place)), what_is(path)) for path in place.rglob("*"))


def what_is(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return path.read_text() if path.is_file() else "/"


def test_contents_of_a_directory_to_a_new_one(engine: Engine, box: str, tmp_path: Path) -> None:
    engine.cli("exec", box, "sh", "-c", "mkdir -p /c/sub; echo 1 > /c/f")
    for program in ("docker", "sealane"):
        Cli(engine, program)("cp", f"{box}:/c/.", str(tmp_path / program))

    assert listed(tmp_path / "sealane") == listed(tmp_path / "docker") == [("f", "1\n"), ("sub", "/")]


def test_archives_through_standard_streams(engine: Engine, box: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("new/file")
        member.size, member.uid, member.mode = 3, 7, 0o640
        tar.addfile(member, io.BytesIO(b"abc"))
    for at, program in enumerate(("docker", "sealane")):
        cli = Cli(engine, program)
        cli("exec", box, "mkdir", f"/in{at}")
        cli("cp", "-a", "-", f"{box}:/in{at}", input=packed.getvalue())

    assert tree(engine, box, "/in1") == tree(engine, box, "/in0")
    assert "./new/file -rw-r----- 7:0 3" in tree(engine, box, "/in1")
    assert engine.cli("cp", f"{box}:/in1", "-").out == engine.docker("cp", f"{box}:/in1", "-").out


def test_an_export_is_the_engine_s_archive(engine: Engine, box: str, tmp_path: Path) -> None:
    engine.cli("export", "-o", str(tmp_path / "a.tar"), box)

    with tarfile.open(tmp_path / "a.tar") as tar:
        assert "bin/busybox" in tar.getnames()


def test_what_one_makes_the_other_removes(engine: Engine) -> None:
    engine.docker("network", "create", "theirs")
    engine.cli("run", "-d", "--name", "ours", "--network", "theirs", "busybox", "sleep", "1000")
    engine.docker("exec", "ours", "true")
    engine.cli("network", "disconnect", "theirs", "ours")
    engine.docker("rm", "-f", "ours")
    engine.cli("network", "rm", "theirs")

    assert engine.docker("ps", "-aq").out == ""


def test_an_id_file(engine: Engine, tmp_path: Path) -> None:
    done = engine.cli("run", "-d", "--cidfile", str(tmp_path / "id"), "busybox", "true")

    assert (tmp_path / "id").read_text() == done.line
    again = engine.cli("run", "--cidfile", str(tmp_path / "id"), "busybox", "true", check=False)
    assert "container ID file found" in again.err


def test_formats_from_the_user_s_configuration(engine: Engine, box: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"psFormat": "{{.Names}}!", "networksFormat": "{{.Name}}?"}')
    for program in ("docker", "sealane"):
        cli = Cli(engine, program)

        assert cli("--config", str(tmp_path), "ps").out == f"{box}!\n"
        assert cli("--config", str(tmp_path), "network", "ls", "-f", "name=none").out == "none?\n"
        assert len(cli("--config", str(tmp_path), "ps", "-q").line) == 12


def test_images_come_and_go(engine: Engine, tmp_path: Path) -> None:
    """Import, tag, save, load, remove; images stay between tests, so each program takes its own away."""
    (tmp_path / "f").write_text("x")
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        tar.add(tmp_path / "f", "f")
    seen = []
    for program in ("docker", "sealane"):
        cli = Cli(engine, program)
        archive = str(tmp_path / f"{program}.tar")
        steps = [
            cli("import", "-m", "hello", "-c", 'CMD ["x"]', str(tmp_path / "root.tar"), "mine:1"),
            cli("tag", "mine:1", "other:2"),
            cli("history", "mine:1", "--format", "{{.CreatedBy}}|{{.Size}}|{{.Comment}}"),
            cli("save", "-o", archive, "mine:1", "other:2"),
            cli("rmi", "mine:1", "other:2"),
            cli("load", "-i", archive),
            cli("load", input=Path(archive).read_bytes()),
            cli("rmi", "mine:1"),
            cli("rmi", "-f", "other:2"),
            cli("rmi", "-f", "other:2", check=False),
        ]
        seen.append([(code, re_digests(out), err) for code, out, err in map(bare, steps)])

    assert seen[1] == seen[0]


def re_digests(text: str) -> str:
    """Lines in the order of the alphabet: the engine removes names and layers in the order of its sets."""
    return "\n".join(sorted(text.splitlines()))
