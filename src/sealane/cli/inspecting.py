"""Inspecting: fetch objects by name and print them as JSON or through a template."""

from __future__ import annotations

from sealane.cli.failures import Failure, describe
from sealane.client.errors import ApiError, Unreachable
from sealane.client.jsons import dumps, pretty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sealane.cli.app import App
    from sealane.client.types import Json


class Missing(Exception):
    """No object of that name; the text is what to tell."""


def inspect(app: App, names: list[str], fetch: Callable[[str], Json], form: str) -> int:
    """Print each object; names that are missing are told after what was found, with exit code 1."""
    found, problems = [], []
    for name in names:
        try:
            found.append(fetch(name))
        except Missing as error:
            problems.append(str(error))
        except (ApiError, Unreachable) as error:
            problems.append(describe(error))
    text, broken = _render(found, form)
    app.write(text)
    if broken:
        problems.append(broken)
    for problem in problems:
        app.complain(problem)
    return 1 if problems else 0


def _render(found: list[Json], form: str) -> tuple[str, str]:
    """(what to print, what is wrong with the template)"""
    if not form:
        return pretty(found) + "\n", ""
    if form == "json":
        return dumps(found, ascii=False) + "\n", ""
    from sealane.cli.go_values import GoStruct, TemplateError
    from sealane.cli.template import compile as compile_template

    try:
        template = compile_template(form)
    except TemplateError as error:
        raise Failure(f"template parsing error: {error.message}", 64) from None
    lines = []
    try:
        for item in found:
            try:
                lines.append(template.render(GoStruct(item, exact=True)))
            except TemplateError:
                lines.append(template.render(item))  # it may fit the JSON; if not, that is what is told
    except TemplateError as error:
        return "".join(line + "\n" for line in lines) or "\n", f"template parsing error: {error.message}"
    return "".join(line + "\n" for line in lines) or "\n", ""
