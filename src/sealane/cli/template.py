"""A small evaluator of Go templates, as far as people use them with ``--format``. Pure.

Understood: fields and chains, methods with arguments, variables, pipelines, parentheses, literals, ``if`` with
``else if`` and ``else``, ``range`` (with ``else``, ``break``, ``continue``), ``with``, comments, trimming (``{{-`` and
``-}}``), and the functions of :mod:`template_functions`. Out of scope: ``define``, ``template``, ``block``, complex
numbers.

Contract: :func:`compile` raises TemplateError for a bad template; :meth:`Template.render` raises it when the data do
not fit. The messages have the form of Go's. Nodes are tuples whose first item names their kind.
"""

from __future__ import annotations

import re

from sealane.cli.go_values import TemplateError, child, go_type, lookup, to_text, truth, wants
from sealane.cli.template_functions import FUNCTIONS, HEADING_FUNCTIONS, LAZY_FUNCTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Final, TypeAlias

    Node: TypeAlias = tuple[Any, ...]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<raw>`[^`]*`)|(?P<char>'(?:\\.|[^'\\])')
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))
    |(?P<field>\.[^\W\d]\w*)|(?P<variable>\$\w*)|(?P<dot>\.)|(?P<word>[^\W\d]\w*)|(?P<mark>:=|=|\||\(|\)|,)""",
    re.VERBOSE,
)
_ACTION: Final = re.compile(
    r"\{\{(- )?(?:\s*/\*.*?\*/\s*|(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^\"`])*?)( -)?\}\}", re.DOTALL
)


class Template:
    """A compiled template."""

    __slots__ = ("_body", "_name")

    def __init__(self, body: list[Node], name: str) -> None:
        self._body = body
        self._name = name

    def render(self, data: object, *, headings: bool = False) -> str:
        """The text for *data*. *headings*: functions that change a text leave it as it is."""
        run = _Run(data, HEADING_FUNCTIONS if headings else FUNCTIONS)
        try:
            run.body(self._body, data)
        except TemplateError as error:
            raise _named(error, self._name) from None
        return "".join(run.out)


def _named(error: TemplateError, name: str) -> TemplateError:
    """The same error about a template that has a name."""
    text = error.message.replace("template: :", f"template: {name}:", 1)
    return TemplateError(text.replace('executing ""', f'executing "{name}"', 1))


def compile(source: str, *, name: str = "") -> Template:
    """Compile *source*; *name* is what messages call the template."""
    try:
        body, end = _Parser(_split(source)).body()
        if end:
            raise TemplateError(f"template: :1: unexpected {{{{{end}}}}}")
    except TemplateError as error:
        raise _named(error, name) from None
    return Template(body, name)


def _split(source: str) -> list[Node]:
    """The source as ("text", text) and ("action", inner text, offset) parts, trimmed."""
    parts: list[Node] = []
    at, trim = 0, False
    while (start := source.find("{{", at)) >= 0:
        match = _ACTION.match(source, start)
        if match is None:
            raise TemplateError(f"template: :1: {_why_unclosed(source[start:])}")
        text = source[at:start]
        text = text.lstrip() if trim else text
        parts.append(("text", text.rstrip() if match.group(1) else text))
        inner = match.end(1) if match.group(1) else start + 2
        stop = match.start(2) if match.group(2) else match.end() - 2
        if not source[inner:stop].strip().startswith("/*"):
            parts.append(("action", source[inner:stop], inner))
        at, trim = match.end(), bool(match.group(2))
    tail = source[at:]
    parts.append(("text", tail.lstrip() if trim else tail))
    return parts


def _why_unclosed(text: str) -> str:
    open_mark = ""
    for letter in text:
        if not open_mark and letter in "\"`'":
            open_mark = letter
        elif letter == open_mark:
            open_mark = ""
    names = {
        '"': "unterminated quoted string",
        "`": "unterminated raw quoted string",
        "'": "unterminated character constant",
    }
    return names.get(open_mark, "unclosed action")


def _tokens(text: str, offset: int) -> list[Node]:
    """(kind, text, offset, whether white space stands before) of each token of an action."""
    out: list[Node] = []
    at, spaced = 0, True
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise TemplateError(f"template: :1: unexpected {text[at]!r} in operand")
        if match.lastgroup != "space":
            out.append((match.lastgroup, match.group(), offset + at, spaced))
        spaced = match.lastgroup == "space"
        at = match.end()
    return out


class _Parser:
    """Turns the parts into a tree, recursively by block."""

    __slots__ = ("_at", "_parts", "_tokens", "_where")

    def __init__(self, parts: list[Node]) -> None:
        self._parts = parts
        self._where = 0
        self._tokens: list[Node] = []
        self._at = 0

    def body(self) -> tuple[list[Node], str]:
        """Nodes up to the end of the block, and the word that ended it: ``end``, ``else``, or nothing at the end."""
        nodes: list[Node] = []
        while self._where < len(self._parts):
            part = self._parts[self._where]
            self._where += 1
            if part[0] == "text":
                if part[1]:
                    nodes.append(part)
                continue
            self._tokens, self._at = _tokens(part[1], part[2]), 0
            if not self._tokens:
                raise TemplateError("template: :1: missing value for command")
            word = self._tokens[0][1] if self._tokens[0][0] == "word" else ""
            if word in ("end", "else"):
                self._at = 1
                return nodes, word
            nodes.append(self._action(word))
        return nodes, ""

    def _action(self, word: str) -> Node:
        if word in ("if", "with", "range"):
            self._at = 1
            return self._block(word)
        if word in ("break", "continue"):
            return (word,)
        if word in ("define", "template", "block"):
            raise TemplateError(f"template: :1: {word} is not supported")
        return ("print", self._whole_pipeline())

    def _block(self, word: str) -> Node:
        if len(self._tokens) == self._at:
            raise TemplateError(f"template: :1: missing value for {word}")
        pipe = self._whole_pipeline()
        body, end = self.body()
        other: list[Node] = []
        if end == "else":
            following = self._peek()
            if following is not None and following[1] in ("if", "with") and word == following[1]:
                self._at += 1
                return (word, pipe, body, [self._block(word)])
            if following is not None:
                raise TemplateError(f"template: :1: unexpected {following[1]!r} in else")
            other, end = self.body()
        if end != "end":
            raise TemplateError("template: :1: unexpected EOF")
        return (word, pipe, body, other)

    def _peek(self) -> Node | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next_is(self, *texts: str) -> bool:
        token = self._peek()
        return token is not None and token[0] == "mark" and token[1] in texts

    def _whole_pipeline(self) -> Node:
        pipe = self._pipeline()
        token = self._peek()
        if token is not None:
            raise TemplateError(f"template: :1: unexpected {token[1]!r} in command")
        return pipe

    def _pipeline(self) -> Node:
        """("pipe", names of variables, "" | ":=" | "=", commands)"""
        names, how = self._declaration()
        commands = [self._command()]
        while self._next_is("|"):
            self._at += 1
            commands.append(self._command())
        return ("pipe", names, how, commands)

    def _declaration(self) -> tuple[list[str], str]:
        start, names = self._at, []
        while (token := self._peek()) is not None and token[0] == "variable":
            names.append(token[1])
            self._at += 1
            if self._next_is(":=", "="):
                how = self._tokens[self._at][1]
                self._at += 1
                return names, how
            if not self._next_is(","):
                break
            self._at += 1
        self._at = start
        return [], ""

    def _command(self) -> list[Node]:
        operands: list[Node] = []
        start = self._at
        while (token := self._peek()) is not None and not self._next_is("|", ")"):
            operands.append(self._operand(token))
        if not operands:
            raise TemplateError("template: :1: missing value for command")
        if operands[0][0] == "function":  # messages show the whole call
            text = "".join(f" {token[1]}" if token[3] else token[1] for token in self._tokens[start : self._at])
            operands[0] = (*operands[0][:3], text.strip())
        return operands

    def _operand(self, token: Node) -> Node:
        self._at += 1
        kind, text, offset, _ = token
        if kind == "field":
            return ("field", ("dot",), [(text[1:], offset), *self._chain()], offset)
        if kind == "mark":
            if text != "(":
                raise TemplateError(f"template: :1: unexpected {text!r} in operand")
            inner = self._pipeline()
            if not self._next_is(")"):
                raise TemplateError("template: :1: unclosed left paren")
            self._at += 1
            return self._with_chain(inner, offset)
        if kind == "variable":
            return self._with_chain(("variable", text), offset)
        if kind == "dot":
            return ("dot",)
        return _literal(kind, text, offset)

    def _with_chain(self, node: Node, offset: int) -> Node:
        chain = self._chain()
        return ("field", node, chain, offset) if chain else node

    def _chain(self) -> list[tuple[str, int]]:
        names = []
        while (token := self._peek()) is not None and token[0] == "field" and not token[3]:
            names.append((token[1][1:], token[2]))
            self._at += 1
        return names


def _literal(kind: str, text: str, offset: int) -> Node:
    if kind == "number":
        try:
            return (
                "literal",
                int(text, 0) if not text.lstrip("+-").startswith("0") or "x" in text.lower() else int(text),
            )
        except ValueError:
            return ("literal", float(text))
    if kind == "raw":
        return ("literal", text[1:-1])
    if kind in ("string", "char"):
        value = text[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
        return ("literal", ord(value) if kind == "char" else value)
    if text in ("true", "false", "nil"):
        return ("literal", {"true": True, "false": False, "nil": None}[text])
    if text not in FUNCTIONS and text not in LAZY_FUNCTIONS:
        raise TemplateError(f'template: :1: function "{text}" not defined')
    return ("function", text, offset, text)


_NIL_LITERAL: Final = ("literal", None)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Run:
    """One rendering: the output so far and the variables in view (innermost last)."""

    __slots__ = ("_functions", "_variables", "out")

    def __init__(self, data: object, functions: Mapping[str, Callable[..., object]]) -> None:
        self.out: list[str] = []
        self._functions = functions
        self._variables: list[tuple[str, object]] = [("$", data)]

    def body(self, nodes: Iterable[Node], dot: object) -> None:
        seen = len(self._variables)
        for node in nodes:
            self._node(node, dot)
        del self._variables[seen:]

    def _node(self, node: Node, dot: object) -> None:
        kind = node[0]
        if kind == "text":
            self.out.append(node[1])
        elif kind == "print":
            value = self._pipe(node[1], dot)
            if not node[1][1]:
                self.out.append(to_text(value))
        elif kind == "range":
            self._range(node, dot)
        elif kind in ("if", "with"):
            seen = len(self._variables)
            value = self._pipe(node[1], dot)
            if truth(value):
                self.body(node[2], value if kind == "with" else dot)
            else:
                self.body(node[3], dot)
            del self._variables[seen:]
        else:
            raise _Break if kind == "break" else _Continue

    def _range(self, node: Node, dot: object) -> None:
        _, pipe, body, other = node
        seen = len(self._variables)
        items = _items(self._pipe(("pipe", [], "", pipe[3]), dot))
        if not items:
            self.body(other, dot)
        try:
            for key, value in items:
                names = pipe[1]
                pairs = [(names[-1], value)] if len(names) == 1 else list(zip(names, (key, value), strict=False))
                self._variables += pairs
                try:
                    self.body(body, value)
                except _Continue:
                    pass
                finally:
                    del self._variables[seen:]
        except _Break:
            del self._variables[seen:]

    def _pipe(self, pipe: Node, dot: object) -> object:
        _, names, how, commands = pipe
        value: object = None
        for at, command in enumerate(commands):
            value = self._command(command, dot, [value] if at else [])
        if how == ":=":
            self._variables.append((names[0], value))
        elif how == "=":
            self._assign(names[0], value)
        return value

    def _command(self, operands: list[Node], dot: object, piped: list[object]) -> object:
        head, rest = operands[0], operands[1:]
        if head[0] == "function":
            return self._call(head, rest, dot, piped)
        if head[0] == "field":
            args = [self._value(operand, dot) for operand in rest] + piped
            return self._field(head, dot, args)
        if head == _NIL_LITERAL and not rest and not piped:
            raise TemplateError('template: :1:2: executing "" at <nil>: nil is not a command')
        if rest or piped:
            raise TemplateError(f"template: :1: can't give argument to non-function {to_text(self._value(head, dot))}")
        return self._value(head, dot)

    def _call(self, head: Node, rest: list[Node], dot: object, piped: list[object]) -> object:
        _, name, offset, context = head
        if name in LAZY_FUNCTIONS:
            return self._lazy(name, rest, dot, piped)
        args = [self._value(operand, dot) for operand in rest] + piped
        where = f'template: :1:{offset}: executing "" at <{context}>'
        try:
            return self._functions[name](*args)
        except TemplateError as error:
            raise TemplateError(f"{where}: {error}") from None
        except TypeError:
            wanted = f"wrong number of args for {name}: want {wants(self._functions[name])} got {len(args)}"
            raise TemplateError(f"{where}: {wanted}") from None
        except ValueError as error:
            raise TemplateError(f"{where}: error calling {name}: {error}") from None

    def _lazy(self, name: str, rest: list[Node], dot: object, piped: list[object]) -> object:
        value: object = None
        for operand in rest:
            value = self._value(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return piped[0] if piped else value

    def _value(self, operand: Node, dot: object) -> object:
        kind = operand[0]
        if kind == "dot":
            return dot
        if kind == "literal":
            return operand[1]
        if kind == "variable":
            for name, value in reversed(self._variables):
                if name == operand[1]:
                    return value
            raise TemplateError(f'template: :1: undefined variable "{operand[1]}"')
        if kind == "pipe":
            return self._pipe(operand, dot)
        if kind == "function":
            return self._call(operand, [], dot, [])
        return self._field(operand, dot, [])

    def _field(self, node: Node, dot: object, args: list[object]) -> object:
        _, base, names, _ = node
        value = self._value(base, dot)
        for at, (name, _) in enumerate(names):
            last = at == len(names) - 1
            try:
                value = lookup(value, name, args if last else [])
            except TemplateError as error:
                # Go takes a chain for one node that stands where its second field does.
                where = names[min(1, len(names) - 1)][1]
                path = "".join(f".{part}" for part, _ in names)
                raise TemplateError(f'template: :1:{where}: executing "" at <{path}>: {error}') from None
        return value

    def _assign(self, name: str, value: object) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        raise TemplateError(f'template: :1: undefined variable "{name}"')


def _items(value: object) -> list[tuple[object, object]]:
    """What range walks over: (index, item) of a list, (key, value) of a map in the order of its keys."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [(key, child(value, value[key])) for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [(at, child(value, item)) for at, item in enumerate(value)]
    if isinstance(value, int) and not isinstance(value, bool):
        return [(at, at) for at in range(value)]
    raise TemplateError(f"range can't iterate over {go_type(value)}")
