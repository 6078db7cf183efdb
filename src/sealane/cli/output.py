"""Listings: what ``--format``, ``-q`` and ``--no-trunc`` make of rows. Docker's default tables are a module away.

A listing is a list of :class:`Column`, from which come the table's headings, the fields of templates and the JSON.
"""

from __future__ import annotations

from sealane.cli.failures import Failure
from sealane.cli.grammar import many, text
from sealane.cli.table import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final, TypeAlias

    from sealane.cli.app import App
    from sealane.cli.go_values import Row
    from sealane.cli.grammar import Args, Option
    from sealane.client.types import JsonObject

    #: A template's field → its heading, and how it is read from the source object.
    Columns: TypeAlias = dict[str, tuple[str, Callable[..., object]]]


_WRONG: Final = "template parsing error"


def format_option(short: str = "") -> Option:
    return text("format", short, "Print with a Go template; also: table, 'table TEMPLATE', json")


def inspect_format_option() -> Option:
    return text("format", "f", "Print with a Go template, or json")


def filter_option(short: str = "f") -> Option:
    help = "Show only what matches, for example name=web or label=tier=1"
    return many("filter", short, help, meta="filter", check=_check_filter)


def _check_filter(item: str) -> None:
    if "=" not in item:
        raise ValueError("bad format of filter (expected name=value)")


def parse_filters(items: list[str]) -> dict[str, list[str]]:
    """``["name=a", "label=x"]`` → ``{"name": ["a"], "label": ["x"]}``."""
    filters: dict[str, list[str]] = {}
    for item in items:
        name, _, value = item.partition("=")
        filters.setdefault(name.strip().lower(), []).append(value.strip())
    return filters


def wanted_format(app: App, args: Args, setting: str) -> str:
    """The format asked for, else the one that the user's configuration has under *setting* (not for ``-q``)."""
    if args.given("format") or args.flag("quiet"):
        return args.text("format")
    from sealane.client import user_config

    return user_config.text(app.environ, setting)


class Listing:
    """How rows of one kind are shown.

    *kind* is what Docker calls the type in its messages; *columns* maps a template's field to its heading and to the
    function that reads it from the source object; *table* names the fields of the default table.
    """

    __slots__ = ("columns", "kind", "proven", "raw", "table", "words")

    def __init__(
        self,
        kind: str,
        columns: Columns,
        table: Sequence[str],
        *,
        raw: Sequence[tuple[str, str]] = (),
        words: tuple[str, str] = (_WRONG, _WRONG),
        proven: bool = False,
    ) -> None:
        """*raw*: the lines of ``--format raw``, each a name and a column. *words*: how messages begin about a template
        that cannot be read, and about one that does not fit. *proven*: the template is tried on empty fields first."""
        self.raw = raw
        self.words = words
        self.proven = proven
        self.kind = kind
        self.columns = columns
        self.table = table

    def show(self, sources: Sequence[JsonObject], form: str) -> str:
        """The whole output for *sources* in the form asked for (empty: the default table)."""
        if form in ("", "table"):
            return self._plain_table(sources)
        if form == "raw" and self.raw:
            return self._raw_text(sources)
        if form == "json":
            form = "{{json .}}"
        return self._by_template(sources, form)

    def row(self, source: JsonObject) -> Row:
        """One object with its columns as a template sees it."""
        from sealane.cli.go_values import Row

        return Row(self.kind, {name: read for name, (_, read) in self.columns.items()}, source)

    def _raw_text(self, sources: Sequence[JsonObject]) -> str:
        lines = [
            "".join(f"{name}: {self.columns[column][1](source)}".rstrip() + "\n" for name, column in self.raw)
            for source in sources
        ]
        return "".join(line + "\n" for line in lines)

    def _plain_table(self, sources: Sequence[JsonObject]) -> str:
        columns = [self.columns[name] for name in self.table]
        rows = [[heading for heading, _ in columns]]
        rows += [[str(read(source)) for _, read in columns] for source in sources]
        return align(rows)

    def _by_template(self, sources: Sequence[JsonObject], form: str) -> str:
        from sealane.cli.go_values import Row, TemplateError
        from sealane.cli.table import align_text
        from sealane.cli.template import compile as compile_template

        as_table = form.startswith("table ")
        source_text = form.removeprefix("table ").strip() if as_table else form
        try:
            template = compile_template(source_text.replace("\\t", "\t").replace("\\n", "\n"))
        except TemplateError as error:
            raise Failure(f"{self.words[0]}: {error.message}") from None
        headings = {name: _constant(heading) for name, (heading, _) in self.columns.items()} | {"Label": _label_heading}
        blank = {name: _constant("") for name in self.columns}
        text = ""
        try:
            if self.proven:
                template.render(Row(self.kind, blank, {}))
            if as_table:
                text = template.render(Row(self.kind, headings, {}), headings=True) + "\n"
            text += "".join(template.render(self.row(source)) + "\n" for source in sources)
        except TemplateError as error:
            raise Failure(f"{self.words[1]}: {error.message}") from None
        return align_text(text) if as_table else text


def _label_heading(source: object, name: object) -> str:
    """The heading over ``{{.Label "com.example.my-key"}}``: ``my key``."""
    return str(name).rpartition(".")[2].replace("-", " ").replace("_", " ")


def _constant(value: str) -> Callable[..., object]:
    return lambda source, *args: value


def show_struct(app: App, kind: str, data: JsonObject, form: str, *, name: str = "") -> int:
    """Print one object as JSON or through a template; *kind* is what Docker calls its type. Raises Failure."""
    from sealane.cli.go_values import GoStruct, TemplateError, to_json
    from sealane.cli.template import compile as compile_template

    if form == "json":
        app.say(to_json(data))
        return 0
    try:
        template = compile_template(form, name=name)
    except TemplateError as error:
        raise Failure(f"template parsing error: {error.message}", 64) from None
    try:
        app.say(template.render(GoStruct(data, kind)))
    except TemplateError as error:
        app.say("")
        raise Failure(error.message) from None
    return 0


def labels_text(labels: dict[str, str] | None) -> str:
    """``a=1,b=2`` in the order of the names."""
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items()))


def label_of(labels: dict[str, str] | None, name: object) -> str:
    return (labels or {}).get(str(name), "")


def short_id(identifier: str) -> str:
    """Twelve hex digits of an id, without its ``sha256:``."""
    return identifier.removeprefix("sha256:")[:12]
