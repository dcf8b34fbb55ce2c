"""The strict acceptor: what it takes, in which form, and what it says of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vllm_pkg.engine.acceptor import (
    Accepted,
    accept_arguments,
    accept_stored,
    examine_arguments,
)
from vllm_pkg.engine.arguments import split_arguments
from vllm_pkg.engine.options import load_options
from vllm_pkg.engine.reserved import RESERVED_OPTIONS
from vllm_pkg.errors import EngineStartFailed, InvalidArgument
from vllm_pkg.models.presets import load_presets

OPTIONS = load_options()
PATH = ("config", "value", "args")
DATA = Path(__file__).parents[2] / "data"
NO_MODEL = "names no model; begin with it, as org/name or as a folder"
FIXED = "is reserved: the service sets it itself; leave it out"
CODE = "it could load other code into the engine; leave it out"
HTTP = "is reserved: the service needs its HTTP server; leave it out"
UNKNOWN = "is not an option of this vLLM"
NO_JSON = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
NO_OBJECT = "takes no JSON object; write it without the dot"
NO_KEY = "behind each dot one key must stand; correct the name"
MISSING = "needs a value; one that begins with - is written"


def problems(*arguments):
    """Return what is wrong with arguments; nothing when they are accepted."""
    examined = examine_arguments(arguments, OPTIONS)
    return () if isinstance(examined, Accepted) else examined


@pytest.mark.parametrize(
    "arguments",
    [
        ("org/name",),
        ("/a folder/m",),
        ("m", "--max-model-len", "8192", "--enforce-eager"),
        ("m", "--max-model-len=-1"),
        ("m", "-tp", "2", "-q=awq"),
        ("m", "--served-model-name", "a", "b", "--no-enable-prefix-caching"),
        ("m", "--served-model-name=a", "--hf-token"),
        ("m", "--hf-token", "secret", "--trust-remote-code"),
        ("m", "--hf-token="),
        ("m", "--chat-template=-x"),
        ("m", "--speculative-config", '{"method": "mtp", "model": "a/b.c"}'),
        ("m", "--speculative-config", "None"),
        ("m", "--kernel-config", '{"a": 80g, "b": "5k"}'),
        ("m", "--hf-overrides", "text", "--hf-overrides.a.b=1"),
        ("m", "-cc.mode=3", "--limit-mm-per-prompt.image+=a,b"),
        ("m", "-cc.backend=eager", "-sc.model=a/b.c"),
        ("m", "--distributed-executor-backend", "ray"),
        ("m", "--uvicorn-log-level", "warning", "--enable-log-requests"),
        ("m", "--spec-model", "a/b", "--spec-method", "eagle"),
        ("m", "--allowed-origins", '["*"]', "--disable-fastapi-docs", "-ep"),
    ],
)
def test_what_is_plain_stays_as_it_is(arguments):
    """Arguments that can only be read in one way are accepted, word for word."""
    assert examine_arguments(arguments, OPTIONS) == Accepted(arguments[0], arguments)


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        (("--enforce-eager", "m"), ("m", "--enforce-eager")),
        (("--enforce-eager", "--model", "m"), ("m", "--enforce-eager")),
        (("--model=m", "-tp", "2"), ("m", "-tp", "2")),
        (("m", "--moe_backend", "triton"), ("m", "--moe-backend", "triton")),
        (("m", "--max_model-len=1_0"), ("m", "--max-model-len=1_0")),
        (("m", "--max-model-len", "-1"), ("m", "--max-model-len=-1")),
        (("m", "-O3"), ("m", "--optimization-level", "3")),
        (("m", "-O=0"), ("m", "--optimization-level", "0")),
        (("m", "-O", "1"), ("m", "--optimization-level", "1")),
        (("m", "--hf_overrides.a_b", "1"), ("m", "--hf-overrides.a_b=1")),
        (("m", "-cc.x", "-1"), ("m", "-cc.x=-1")),
        (
            ("--hf-token", "--served-model-name", "a", "--model", "m"),
            ("m", "--hf-token", "--served-model-name", "a"),
        ),
    ],
)
def test_what_could_be_misread_is_rewritten(arguments, accepted):
    """The model comes first, names have dashes, and no value looks like a name."""
    assert examine_arguments(arguments, OPTIONS) == Accepted("m", accepted)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), NO_MODEL),
        (("",), NO_MODEL),
        (("--enforce-eager",), NO_MODEL),
        (("--model=",), NO_MODEL),
        (("--model=-x",), NO_MODEL),
        (("--hf-token", "m"), NO_MODEL),
        (("--model",), f"--model {MISSING} --model=VALUE"),
        (("m", "n"), "names two models, m and n; name one"),
        (("m", "--model", "n"), "names two models, m and n; name one"),
        (
            ("m", "--enforce-eager", "true"),
            "what follows --enforce-eager belongs to no option; leave it out",
        ),
        (
            ("m", "-O3", "x"),
            "what follows -O belongs to no option; leave it out",
        ),
        (("m", "--enforce-eager=1"), "--enforce-eager takes no value; leave it out"),
        (("m", "-ep=n2"), "-ep takes no value; leave it out"),
        (("m", "--max-model-len"), f"--max-model-len {MISSING} --max-model-len=VALUE"),
        (("m", "--seed", "-0.5"), f"--seed {MISSING} --seed=VALUE"),
        (("m", "--tokenizer", "-1"), f"--tokenizer {MISSING} --tokenizer=VALUE"),
        (
            ("m", "--served-model-name"),
            f"--served-model-name {MISSING} --served-model-name=VALUE",
        ),
        (
            ("m", "--hf-overrides.x"),
            f"--hf-overrides.x {MISSING} --hf-overrides.x=VALUE",
        ),
        (("m", "--"), "-- is not possible here; leave it out"),
        (("m", "-"), "- is not possible here; leave it out"),
        (("m", "---"), "--- is not possible here; leave it out"),
        (
            ("m", "--max-model"),
            "--max-model is not an option of this vLLM; did you mean --max-model-len?",
        ),
        (
            ("m", "--max-modle-len=8"),
            f"--max-modle-len {UNKNOWN}; did you mean --max-model-len?",
        ),
        (
            ("m", "--zzzzzz", "secret"),
            "--zzzzzz is not an option of this vLLM; leave it out",
        ),
        (("m", "-O"), "-O is not an option of this vLLM; leave it out"),
        (("m", "-O4"), "-O4 is not an option of this vLLM; leave it out"),
        (("m", "-tp2"), "-tp2 is not an option of this vLLM; did you mean -tp?"),
        (
            ("m", "--SEED", "1"),
            "--SEED is not an option of this vLLM; leave it out",
        ),
        (
            ("m", "--hf-token secret"),
            "--hf-token stands in one argument with more; separate them",
        ),
        (
            ("m", "--max-model-len.x=1"),
            f"--max-model-len.x: --max-model-len {NO_OBJECT}",
        ),
        (("m", "--hf-overrides.=1"), f"--hf-overrides.: {NO_KEY}"),
        (
            ("m", "--hf-overrides.a..b", "1"),
            f"--hf-overrides.a..b: {NO_KEY}",
        ),
        (("m", "--port=80"), f"--port {FIXED}"),
        (("m", "--port 80"), f"--port {FIXED}"),
        (("m", "--por", "80"), f"--por (which is --port) {FIXED}"),
        (("m", "--host.x=1"), f"--host.x {FIXED}"),
        (
            ("m", "-asc", "0"),
            f"-asc (which is --api-server-count) {HTTP}",
        ),
        (
            ("m", "--speculative-config", "{'a': 1}"),
            f"--speculative-config: its value is no JSON: {NO_JSON}",
        ),
        (
            ("m", "--kernel-config", "[" * 30_000),
            "--kernel-config: its value is no JSON: it is nested too deeply",
        ),
        (("m\0",), "has a character that no argument can have"),
        (("m\ud800",), "has a character that no argument can have"),
    ],
)
def test_what_is_refused_and_why(arguments, expected):
    """Each is refused with one sentence that says what to do."""
    assert problems(*arguments) == (expected,)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("--distributed-executor-backend", "a.B"),
            "--distributed-executor-backend: only mp, ray, uni can be chosen",
        ),
        (
            ("--uvicorn-log-level", "debug"),
            "--uvicorn-log-level: only critical, error, warning, info can be chosen",
        ),
        (
            ("--uvicorn_log_level=trace",),
            "--uvicorn_log_level: only critical, error, warning, info can be chosen",
        ),
        (
            ("--spec-method", "custom_class"),
            f"--spec-method: custom_class is reserved: {CODE}",
        ),
        (("--spec-model=a.B",), f"--spec-model: model names a module: {CODE}"),
        (
            ("-sc", '{"method": "custom_class", "method": "ngram"}'),
            f"-sc: custom_class is reserved: {CODE}",
        ),
        (("-sc.model", "a.B"), f"-sc.model: model names a module: {CODE}"),
        (("-cc.backend=a.b",), f"-cc.backend: backend names a module: {CODE}"),
        (("-cc.backend+=a.b",), f"-cc.backend+: backend names a module: {CODE}"),
        (
            ("-cc", '{"inductor_passes": {"a": "b.c"}}'),
            f"-cc: inductor_passes is reserved: {CODE}",
        ),
        (
            ("-cc.inductor_passes.x", "b.c"),
            f"-cc.inductor_passes.x: inductor_passes is reserved: {CODE}",
        ),
        (
            ("--structured-outputs-config", '{"reasoning_parser_plugin": "/p.py"}'),
            "--structured-outputs-config: reasoning_parser_plugin is reserved: " + CODE,
        ),
        (
            ("--hf-overrides", '{"a": [{"inductor_compile_config": {}}]}'),
            f"--hf-overrides: inductor_compile_config is reserved: {CODE}",
        ),
    ],
)
def test_values_that_load_code_are_refused(arguments, expected):
    """A name of code is refused wherever it may stand: value, JSON, dotted name."""
    assert problems("m", *arguments) == (expected,)


@pytest.mark.parametrize("name", sorted(RESERVED_OPTIONS))
def test_every_reserved_option_is_refused_in_every_spelling(name):
    """Name, underscores, value after =, dotted, and all aliases are refused."""
    names = OPTIONS[name].names if name in OPTIONS else (name,)
    for known in names:
        spellings = {known, f"{known}=1", f"{known}.x", f"{known}.x=1"}
        if known.startswith("--"):
            spellings.add("--" + known[2:].replace("-", "_"))
        for spelling in spellings:
            for arguments in (("m", spelling), (spelling, "m"), (spelling, "1", "m")):
                (problem, *_) = problems(*arguments)
                assert " is reserved: " in problem


@pytest.mark.parametrize(
    "name", [name for name in sorted(RESERVED_OPTIONS) if name != "--port"]
)
def test_no_abbreviation_of_a_reserved_option_is_accepted(name):
    """Each shorter form is refused, unless it is another option's whole name."""
    for length in range(3, len(name)):
        short = name[:length]
        if short not in OPTIONS:
            assert len(problems("m", f"{short}=1")) == 1


def test_every_problem_is_reported_once_and_no_value_is_repeated():
    """All refused arguments are named at once; what may be a secret is not shown."""
    with pytest.raises(InvalidArgument) as caught:
        accept_arguments(
            ("--host", "s3cret", "m", "--api-key", "s3cret", "x", "--uds=s3cret"),
            OPTIONS,
        )
    fields = caught.value.fields
    assert {field.path for field in fields} == {PATH}
    names = [field.message.split()[0] for field in fields]
    assert names == ["--host", "--api-key", "--uds"]
    assert "s3cret" not in str(caught.value)
    assert caught.value.message.startswith("config.value.args: --host is reserved: ")


def test_a_wrong_option_does_not_hide_the_model():
    """What a refused option would take is not mistaken for something else."""
    assert problems("--port", "80", "m") == (f"--port {FIXED}",)
    assert problems("--headless", "m", "--host=x")[1:] == (f"--host {FIXED}",)
    assert problems("--port", "--enforce-eager") == (f"--port {FIXED}",)
    assert problems("--port") == (f"--port {FIXED}",)
    assert problems("m", "--uds", "a", "b", "--enforce-eager", "c")[1:] == ()
    assert len(problems("--host=x", "m", "--host=x")) == 1


def test_accepted_arguments_are_returned():
    """What is accepted comes back with its model."""
    assert accept_arguments(("--model", "m"), OPTIONS) == Accepted("m", ("m",))
    assert accept_stored(("m",), ("HF_TOKEN",), OPTIONS) == Accepted("m", ("m",))


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        (("m", "--uds", "x"), (), "serveArgs: --uds is reserved: "),
        (("m",), ("PYTHONPATH",), "serveEnv: PYTHONPATH is reserved: "),
        (("m",), ("A", "B=C"), "serveEnv: expected letters, digits and _"),
        (("m", "--x"), ("LD_PRELOAD",), "serveArgs: --x is not an option"),
    ],
)
def test_stored_arguments_are_refused_for_good(arguments, variables, expected):
    """A store that another version wrote ends the start, with the name of what is."""
    with pytest.raises(EngineStartFailed) as caught:
        accept_stored(arguments, variables, OPTIONS)
    assert caught.value.exit_code == 3
    assert f"the stored arguments are refused: {expected}" in caught.value.message
    assert caught.value.hint == 'correct the arguments with the "Set Model" action'


def test_all_presets_are_accepted_as_they_are():
    """Every configuration of every preset passes, word for word."""
    places = {"{templates}": "/t", "{local}": "/l"}
    fitted = ("--max-model-len", "8192", "--tensor-parallel-size", "2")
    count = 0
    for preset in load_presets():
        for configuration in preset.tiers.values():
            arguments = [*configuration.args, *fitted, "--kv-cache-memory-bytes", "1G"]
            for mark, folder in places.items():
                arguments = [text.replace(mark, folder) for text in arguments]
            assert problems(*arguments) == ()
            accepted = accept_arguments(arguments, OPTIONS)
            assert accepted.arguments == tuple(arguments)
            names = [item.name for item in configuration.env]
            assert accept_stored(arguments, names, OPTIONS) == accepted
            count += 1
    assert count == 54


def stored_arguments(document):
    """Return every list of arguments in a JSON document, typed ones split."""
    if isinstance(document, list):
        return [found for item in document for found in stored_arguments(item)]
    if not isinstance(document, dict):
        return []
    found = [found for item in document.values() for found in stored_arguments(item)]
    if isinstance(document.get("serveArgs"), list):
        found.append(document["serveArgs"])
    if isinstance(document.get("customArgs"), str):
        found.append(split_arguments(document["customArgs"]))
    return [
        arguments
        for arguments in found
        if arguments and all(isinstance(item, str) for item in arguments)
    ]


def test_published_data_is_accepted():
    """What stores in the test data hold is accepted."""
    documents = [json.loads(path.read_bytes()) for path in DATA.rglob("*.json")]
    # The published package's own examples (presets.ts, README) and a typed one.
    documents.append(
        {
            "serveArgs": [
                *("RedHatAI/Qwen3.6-35B-A3B-NVFP4", "--reasoning-parser", "qwen3"),
                *("--moe_backend", "flashinfer_cutlass", "--max-model-len", "65536"),
                *("--enable-auto-tool-choice", "--tool-call-parser", "qwen3_coder"),
            ],
            "modelSelection": {
                "customArgs": "org/name --kv-cache-dtype fp8 --max_num_seqs 2"
            },
        }
    )
    lists = stored_arguments(documents)
    assert len(lists) >= 2
    assert [problems(*arguments) for arguments in lists] == [()] * len(lists)
