"""Rulesets as the text that nft reads. Pure; the only place that knows how our tables are spelt.

Golden files under tests/unit/wiring/golden hold what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable

from sealane.network.ruleset import (
    Chain,
    Element,
    Field,
    Jump,
    Match,
    NatMap,
    Rule,
    Ruleset,
    Set,
    SetRef,
    Table,
    Type,
    by_set,
    elements_command,
)


def render(ruleset: Ruleset, elements: Iterable[Element] = ()) -> str:
    """*ruleset* with *elements* in its sets, for a listing or for loading where the tables do not exist yet."""
    members = by_set(elements)
    return "\n".join(
        _table(table, {group.name: found for group, found in members.items() if group.family is table.family})
        for table in ruleset.tables
    )


def replace_tables(ruleset: Ruleset, elements: Iterable[Element], surplus: Iterable[Table] = ()) -> str:
    """One transaction that puts *ruleset* in place of whatever our tables hold now; *surplus* tables only go.

    Adding a table before deleting it makes the text valid whether or not the table exists.
    """
    lines = []
    for table in (*ruleset.tables, *surplus):
        lines += [f"add table {table.family.value} {table.name}", f"delete table {table.family.value} {table.name}"]
    return "\n".join((*lines, render(ruleset, elements)))


def add_elements(table: str, elements: Iterable[Element]) -> str:
    """The transaction that adds *elements*; it fails as a whole when a map holds another value for a key."""
    return "\n".join(elements_command("add", table, group, members) for group, members in by_set(elements).items())


def del_elements(table: str, elements: Iterable[Element]) -> str:
    """The transaction that deletes *elements*; it fails as a whole when one is not there."""
    return "\n".join(elements_command("delete", table, group, members) for group, members in by_set(elements).items())


def _table(table: Table, members: dict[str, list[Element]]) -> str:
    parts = [_set(item, members.get(item.name, [])) for item in table.sets]
    parts += [_chain(chain) for chain in table.chains]
    return f"table {table.family.value} {table.name} {{\n" + "\n".join(parts) + "}\n"


def _set(item: Set, members: list[Element]) -> str:
    what = "map" if item.data else "set"
    kind = _types(item.key) + (f" : {_types(item.data)}" if item.data else "")
    lines = [f"\t{what} {item.name} {{", f"\t\ttype {kind}"]
    if item.interval:
        lines.append("\t\tflags interval")
    if item.counter:
        lines.append("\t\tcounter")
    if members:
        lines.append(f"\t\telements = {{ {', '.join(map(str, members))} }}")
    return "\n".join((*lines, "\t}", ""))


def _types(types: tuple[Type, ...]) -> str:
    return " . ".join(item.value for item in types)


def _chain(chain: Chain) -> str:
    lines = [f"\tchain {chain.name} {{"]
    if chain.hook is not None:
        hook = chain.hook
        lines.append(f"\t\ttype {hook.type} hook {hook.hook} priority {hook.priority}; policy accept;")
    lines += [f"\t\t{_rule(rule)}" for rule in chain.rules]
    return "\n".join((*lines, "\t}", ""))


def _rule(rule: Rule) -> str:
    parts = [_match(match) for match in rule.matches]
    action = rule.action
    if isinstance(action, Jump):
        parts.append(f"jump {action.chain}")
    elif isinstance(action, NatMap):
        family = "ip" if action.version == 4 else "ip6"
        parts.append(f"{action.nat} {family} to {_fields(action.fields)} map @{action.map}")
    else:
        parts.append(action.value)
    if rule.comment:
        parts.append(f'comment "{rule.comment}"')
    return " ".join(parts)


def _match(match: Match) -> str:
    right = f"@{match.right.name}" if isinstance(match.right, SetRef) else match.right
    operator = "!= " if match.negate else "== " if match.fields == (Field.ETHER_GROUP,) else ""
    return f"{_fields(match.fields)} {operator}{right}"


def _fields(fields: tuple[Field, ...]) -> str:
    return " . ".join(field.value for field in fields)
