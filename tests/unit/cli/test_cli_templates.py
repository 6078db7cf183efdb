"""Go templates as people use them with --format: the outputs were taken from docker 28.2."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.cli.go_values import NIL, GoStruct, Row, TemplateError, to_json
from sealane.cli.template import compile as compile_template

CONTAINER: dict[str, Any] = {
    "Id": "709f8a", "Name": "/srv1", "Path": "sh", "Args": ["-c", "exit 3"], "RestartCount": 0, "ExecIDs": None,
    "State": {"Status": "running", "Running": True, "Pid": 12, "ExitCode": 0, "Error": ""},
    "Config": {
        "Hostname": "h", "Tty": False, "ExposedPorts": {"80/tcp": {}}, "Env": ["FOO=bar", "A=b"], "Cmd": ["sh", "-c"],
        "Image": "busybox", "Volumes": None, "Entrypoint": None, "Labels": {"a": "b", "c": "<d>"},
    },
    "HostConfig": {
        "NanoCpus": 500000000, "Memory": 67108864, "Binds": None, "NetworkMode": "my-net",
        "LogConfig": {"Type": "json-file", "Config": {}}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    },
    "NetworkSettings": {
        "Ports": {"77/tcp": None, "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "39999"}]},
        "Networks": {"my-net": {"IPAddress": "172.18.0.2", "Aliases": None, "DNSNames": ["srv1"]}},
    },
    "Mounts": [
        {"Type": "volume", "Name": "vol", "Source": "/s", "Destination": "/v", "Driver": "local", "Mode": "z",
         "RW": True, "Propagation": ""},
        {"Type": "bind", "Source": "/tmp", "Destination": "/t", "Mode": "ro", "RW": False, "Propagation": "rprivate"},
    ],
}  # fmt: skip


def shown(form: str, data: Any = None) -> str:
    return compile_template(form).render(GoStruct(CONTAINER, exact=True) if data is None else data)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{{.ID}} {{.Name}} {{.State.Status}} {{.State.Running}} {{.State.Pid}}", "709f8a /srv1 running true 12"),
        ("{{.Args}} {{.ExecIDs}} {{.Config.Env}} {{.Config.Entrypoint}}", "[-c exit 3] [] [FOO=bar A=b] []"),
        ("{{.Config.ExposedPorts}} {{.Config.Volumes}} {{.HostConfig.Binds}}", "map[80/tcp:{}] map[] []"),
        ("{{.Config.Labels.a}} {{.Config.Labels.nope}} {{index .Config.Labels \"nope\"}}|", "b <no value> |"),
        ("{{json .Config.Labels}} {{json .Args}} {{json .ExecIDs}}", '{"a":"b","c":"<d>"} ["-c","exit 3"] null'),
        ("{{.NetworkSettings.Ports}}", "map[77/tcp:[] 80/tcp:[{0.0.0.0 39999}]]"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "39999"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}};{{end}}", "my-net=172.18.0.2;"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Aliases}} {{.DNSNames}}{{end}}", "172.18.0.2 [] [srv1]"),
        ("{{.NetworkSettings.Networks.nope.IPAddress}}", "<no value>"),
        ("{{.Mounts}}", "[{volume vol /s /v local z true } {bind  /tmp /t  ro false rprivate}]"),
        ("{{range .Mounts}}{{.Type}} {{.Name}}{{if .RW}} rw{{else}} ro{{end}};{{end}}", "volume vol rw;bind  ro;"),
        ("{{.State.Health}}", "<nil>"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{.HostConfig.NanoCPUs}} {{.HostConfig.RestartPolicy}}", "500000000 {no 0}"),
        ("{{.HostConfig.LogConfig}}", "{json-file map[]}"),
        ("{{len .Config.Env}} {{len .Name}} {{slice .Name 1 3}}", "2 5 sr"),
        ("{{with .State}}{{.Status}}{{end}}{{with .ExecIDs}}x{{else}}y{{end}}", "runningy"),
        ("{{$x := .Name}}{{range .Args}}{{$x}}{{.}}{{end}}", "/srv1-c/srv1exit 3"),
        ("{{range $i, $a := .Args}}{{if $i}}, {{end}}{{$a}}{{end}}", "-c, exit 3"),
        ("{{range .Args}}{{if eq . \"-c\"}}{{continue}}{{end}}{{.}}{{break}}{{end}}", "exit 3"),
        ("a {{- \" b \" -}} c{{/* no */}}", "a b c"),
        ('{{printf "%-8s|%3s|%q|%v|%d|%05.1f|%t|%x" "ab" "c" "d" .Args 5 1.25 true "hi"}}',
         'ab      |  c|"d"|[-c exit 3]|5|001.2|true|6869'),
        ('{{upper "ab"}} {{lower "AB"}} {{title "ab cd"}}', "AB ab Ab Cd"),
        ('{{truncate "abcdef" 3}} {{pad "x" 1 2}}|', "abc  x  |"),
        ('{{join .Args "+"}} {{split "a-b" "-"}} {{index .Args 1}}', "-c+exit 3 [a b] exit 3"),
        ('{{"x" | printf "%s%s" "y"}} {{println 1 "a"}}', "yx 1 a\n"),
        ('{{and 1 0}} {{or 0 "x"}} {{not true}} {{eq 1 2 1}} {{ne 1 2}}', "0 x false true true"),
        ('{{lt 1 2}} {{ge "b" "a"}} {{index "abc" 1}} {{slice "héllo" 1 3}}', "true true 98 é"),
        ('{{html "<a>"}} {{urlquery "a b"}} {{js "it\'s <a>"}}', "&lt;a&gt; a+b it\\'s \\u003Ca\\u003E"),
        ("{{`raw {{`}} {{'a'}} {{0x10}} {{1.5}} {{1e3}} {{.5}}", "raw {{ 97 16 1.5 1000 0.5"),
        ("{{if false}}a{{else if true}}b{{else}}c{{end}}", "b"),
    ],
)  # fmt: skip
def test_what_templates_print(form: str, text: str) -> None:
    assert shown(form) == text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{{", "template: :1: unclosed action"),
        ('{{"a}}', "template: :1: unterminated quoted string"),
        ("{{foo}}", 'template: :1: function "foo" not defined'),
        ("{{.ID | foo}}", 'template: :1: function "foo" not defined'),
        ("{{range}}", "template: :1: missing value for range"),
        ("{{if}}", "template: :1: missing value for if"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if .ID}}", "template: :1: unexpected EOF"),
        ("{{}}", "template: :1: missing value for command"),
    ],
)
def test_what_is_no_template(form: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(form)

    assert caught.value.message == message


ROW = Row("*formatter.ContainerContext", {"ID": lambda source: "709", "Platform": lambda source: NIL}, {})


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{{.Foo}}", '1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type *formatter.ContainerContext'),
        ("{{.ID.Foo}}", '1:5: executing "" at <.ID.Foo>: can\'t evaluate field Foo in type string'),
        ("{{slice .ID 0 9}}", '1:2: executing "" at <slice .ID 0 9>: error calling slice: index out of range: 9'),
        ("{{range .ID}}{{end}}", "range can't iterate over string"),
        ("{{upper}}", '1:2: executing "" at <upper>: wrong number of args for upper: want 1 got 0'),
        ('{{.ID "x"}}', '1:2: executing "" at <.ID>: wrong number of args for ID: want 0 got 1'),
        ("{{nil}}", '1:2: executing "" at <nil>: nil is not a command'),
    ],
)
def test_templates_that_do_not_fit(form: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        shown(form, ROW)

    assert caught.value.message.endswith(message)


def test_a_row_prints_its_null_pointers() -> None:
    assert shown("{{.Platform}} {{json .}}", ROW) == '<nil> {"ID":"709","Platform":null}'


def test_rows_escape_html_and_objects_do_not() -> None:
    row = Row("r", {"Labels": lambda source: "<&>"}, {})

    assert to_json(row) == '{"Labels":"\\u003c\\u0026\\u003e"}'
    assert to_json({"a": "<&>"}) == '{"a":"<&>"}'


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{{.Id}} {{.ID}}", 'map has no entry for key "ID"'),
        ("{{.State.Nope}}", 'map has no entry for key "Nope"'),
        ("{{.State.Health.Status}}", 'map has no entry for key "Health"'),
    ],
)
def test_plain_json_knows_only_the_names_of_the_json(form: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        shown(form, CONTAINER)

    assert caught.value.message.endswith(message)
    assert shown("{{.Id}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy}}", CONTAINER) == (
        "709f8a 500000000 map[MaximumRetryCount:0 Name:no]"
    )


def test_structures_of_other_replies_take_either_spelling() -> None:
    info = GoStruct({"ID": "x", "ServerVersion": "1", "Swarm": {"LocalNodeState": "inactive"}}, "system.dockerInfo")

    assert shown("{{.ID}} {{.Swarm.LocalNodeState}}", info) == "x inactive"
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo in type system\.dockerInfo"):
        shown("{{.Foo}}", info)


def test_a_template_with_a_name_says_it() -> None:
    with pytest.raises(TemplateError, match=r"^template: version:1: unclosed action$"):
        compile_template("{{", name="version")
    with pytest.raises(TemplateError, match=r'^template: version:1:2: executing "version" at <\.Foo>'):
        compile_template("{{.Foo}}", name="version").render(GoStruct({}, "v"))


def test_headings_pass_through_the_functions_that_change_texts() -> None:
    row = Row("r", {"Names": lambda source: "NAMES", "ID": lambda source: "CONTAINER ID"}, {})
    template = compile_template('{{upper .Names}}\t{{truncate .ID 3}}\t{{join (split .Names "-") "+"}}\t{{json .ID}}')

    assert template.render(row, headings=True) == "NAMES\tCONTAINER ID\tNAMES\tCONTAINER ID"


@given(st.text("{}.|$\"`'()-/* \nabrangeifendwth0123456789:=,", max_size=40))
def test_any_text_is_a_template_or_refused_as_one(form: str) -> None:
    try:
        shown(form)
    except TemplateError:
        pass
