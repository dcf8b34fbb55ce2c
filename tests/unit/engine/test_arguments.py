"""Typed arguments: splitting, reserved options and variables, the models they name."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.arguments import (
    RESERVED_ENVIRONMENT,
    RESERVED_OPTIONS,
    models_named,
    refuse_reserved,
    reserved_environment_problem,
    reserved_option_problem,
    split_arguments,
)
from vllm_pkg.errors import FieldProblem, InvalidArgument

PATH = ("config", "value", "args")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("org/name", ("org/name",)),
        ("a/b  --x\t1\n--y\r\n2 ", ("a/b", "--x", "1", "--y", "2")),
        ("""a/b --c '{"d": "e f"}'""", ("a/b", "--c", '{"d": "e f"}')),
        (r'a/b "{\"d\": 1}"', ("a/b", '{"d": 1}')),
        (r"a/b c\ d", ("a/b", "c d")),
        ("a/b --x=''", ("a/b", "--x=")),
        ("a/b $HOME `id` $(id) ~ *", ("a/b", "$HOME", "`id`", "$(id)", "~", "*")),
        ("a/b #c", ("a/b", "#c")),
        ("a/b 'two\nlines'", ("a/b", "two\nlines")),
        ("a/b --x é-–", ("a/b", "--x", "é-–")),  # noqa: RUF001  # a dash in a value
    ],
)
def test_splitting(text, arguments):
    """Text is split as a shell does, quotes survive, and nothing is expanded."""
    assert split_arguments(text) == arguments


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must not be empty; begin with the model, as org/name"),
        (" \n", "must not be empty; begin with the model, as org/name"),
        (
            'a/b --c \'{"d": 1} and so on and on',
            'the quote at line 1, column 9 is never closed: \'{"d": 1} and so on and ',
        ),
        (
            'a/b\n--c "d\\" e\nf',
            'the quote at line 2, column 5 is never closed: "d\\" e',
        ),
        (
            "a/b 'x' \"y\" it's",
            "the quote at line 1, column 15 is never closed: 's",
        ),
        (
            r"a/b '\' 'x",
            "the quote at line 1, column 9 is never closed: 'x",
        ),
        ("a/b \\", "ends with a backslash that escapes nothing; remove it"),
        ("a/b\0", "control character 0x00 must not stand in it"),
        ("a/b \x1b[0m", "control character 0x1b must not stand in it"),
        ("a/b\rc", "control character 0x0d must not stand in it"),
        (
            "a/b –port",  # noqa: RUF001  # the character that is refused
            "has the character U+2013, which only looks like - or a space",
        ),
        (
            "a/b\u00a0--x",
            "has the character U+00A0, which only looks like - or a space",
        ),
    ],
)
def test_text_that_cannot_be_split(text, problem):
    """What is no command line is refused with the place and what to do."""
    with pytest.raises(InvalidArgument) as caught:
        split_arguments(text)
    assert caught.value.fields == (FieldProblem(PATH, problem),)
    assert caught.value.message == f"config.value.args: {problem}"


SPELLINGS = [
    *("--host", "--host=1.2.3.4", "--host.x", "--host.x=1", "--ho", "--hos=1"),
    *("--port", "--port=1", "--por", "--port.x+"),
    *("--api-key", "--api_key", "--api_key=x", "--api-k.x", "--api-", "--api_k"),
    *("--download-dir", "--download_dir", "--down"),
    *("--uds", "--ud=/x", "--uds.x"),
    *("--root-path", "--root_path=/", "--root", "--root-p.x"),
    *("--headless", "--headl"),
    *("--api-server-count", "--api_server_count=0", "-asc", "-asc=0", "-as", "-asc.x"),
    *("--grpc", "--grp", "--grpc-port", "--grpc_p"),
    *("--ssl-keyfile", "--ssl_keyfile=x", "--ssl-certfile", "--ssl-ca-certs"),
    *("--ssl-cert-reqs", "--ssl-ciphers", "--ssl"),
    *("--middleware", "--middleware=a.b", "--mid"),
    *("--config", "--config=f.yaml", "--confi", "--config.x"),
    *("--logging-config", "--logging-config.pylogging_config_file", "--logging"),
    *("--log-config-file", "--log_config_file=x", "--log-c"),
    *("--omni", "--omn"),
    *("--data-parallel-multi-port-external-lb", "--data-parallel-m", "-dpm"),
    *("--help", "--help=x", "--he", "-h", "-hx", "-hq"),
    *("--", "--host 1.2.3.4"),
]


@pytest.mark.parametrize("argument", SPELLINGS)
def test_reserved_spellings_are_refused(argument):
    """Every spelling that vLLM's parser takes for a reserved option is refused."""
    problem = reserved_option_problem(argument)
    assert problem is not None
    assert "leave it out" in problem or "must stand here themselves" in problem
    with pytest.raises(InvalidArgument) as caught:
        refuse_reserved(("a/b", argument, "x"))
    assert caught.value.fields == (FieldProblem(PATH, problem),)


@pytest.mark.parametrize("option", sorted(RESERVED_OPTIONS))
def test_each_reserved_option_has_a_spelling(option):
    """The table of spellings leaves out no reserved option."""
    assert option in SPELLINGS


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "a/b",
            "--config-format",
            "--config_format=hf",
            "-dp",
            "-dp=2",
            "-tp",
            "-cc.x",
        ),
        *(
            "--hf-token",
            "--hf-overrides",
            "--model",
            "--max-model-len=1k",
            "-1",
            "-0.5",
        ),
        *("--data-parallel-size", "--data-parallel-backend", "--enable-ssl-refresh"),
        *("--chat-template", "--port-range", "--hosts", "--speculative-config.model"),
        *(
            '{"host": "--host"}',
            "host",
            "-",
            "-ac",
            "-O3",
            "--PORT",
            "--allowed-origins",
        ),
    ],
)
def test_other_arguments_are_allowed(argument):
    """Options that only resemble reserved ones, and values, are not refused."""
    assert reserved_option_problem(argument) is None
    refuse_reserved(("a/b", argument, "x"))


def test_the_message_says_what_an_abbreviation_means():
    """The whole option is named where only a part of it was given."""
    assert reserved_option_problem("--po") == (
        "--po (which is --port) is reserved: the service sets it itself; leave it out"
    )
    assert reserved_option_problem("--api_key=secret") == (
        "--api_key (which is --api-key) is reserved: the service has its own key; "
        "leave it out"
    )
    assert reserved_option_problem("--port=80") == (
        "--port is reserved: the service sets it itself; leave it out"
    )


def test_every_reserved_argument_is_reported():
    """All reserved arguments are named at once."""
    with pytest.raises(InvalidArgument) as caught:
        refuse_reserved(("a/b", "--host", "x", "--uds=y"))
    messages = [field.message for field in caught.value.fields]
    assert [message.split()[0] for message in messages] == ["--host", "--uds"]


@pytest.mark.parametrize("last", ["--model", "--additional-config.x", "-cc.x", "-0.5"])
def test_a_last_argument_must_not_swallow_the_fixed_ones(last):
    """A last option that lacks its value would take the first fixed option for it."""
    with pytest.raises(InvalidArgument) as caught:
        refuse_reserved(("a/b", last))
    problem = f"vLLM takes {last} for an option without its value; add =value"
    assert caught.value.fields == (FieldProblem(PATH, problem),)
    refuse_reserved(("a/b", f"{last}=1"))


def test_no_arguments_are_no_reserved_ones():
    """Nothing to refuse in nothing."""
    refuse_reserved(())


@pytest.mark.parametrize(
    "name",
    [
        *("HF_HUB_CACHE", "PYTHONUNBUFFERED", "HF_HUB_VERBOSITY", "VLLM_API_KEY"),
        *("VLLM_CACHE_ROOT", "PYTHONPATH", "LD_PRELOAD", "VLLM_SERVER_DEV_MODE"),
        *("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_PLUGINS", "VLLM_USE_RUST_FRONTEND"),
        *("VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_RUST_FRONTEND_PATH"),
        *("VLLM_MODEL_REDIRECT_PATH", "VLLM_LOGGING_CONFIG_PATH"),
        *("VLLM_USE_MODELSCOPE", "CUSTOM_FASTAPI_PING_HANDLER"),
        *("CUSTOM_FASTAPI_INVOCATION_HANDLER", "SAGEMAKER_MODEL_PATH", "HF_ENDPOINT"),
        *("VLLM_PKG_ENGINE", "VLLM_PKG_MAIN", "PATH"),
    ],
)
def test_reserved_variables_are_refused_by_name(name):
    """Variables that the package owns, or that are as strong as arguments."""
    problem = reserved_environment_problem(name)
    assert problem is not None
    assert problem.startswith(f"{name} is reserved: ")


@pytest.mark.parametrize("name", ["HF_TOKEN", "_x", "VLLM_CPU_KVCACHE_SPACE", "a1"])
def test_other_variables_are_allowed(name):
    """Any other variable with a proper name may be set."""
    assert reserved_environment_problem(name) is None
    assert name not in RESERVED_ENVIRONMENT


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "É", "A\n"])
def test_improper_variable_names_are_refused(name):
    """A name that no shell could set is refused."""
    assert reserved_environment_problem(name) == (
        "expected letters, digits and _, not beginning with a digit"
    )


@pytest.mark.parametrize(
    ("arguments", "models"),
    [
        ((), ()),
        (("a/b", "--max-model-len", "1"), ("a/b",)),
        (("--x", "--model", "a/b"), ("a/b",)),
        (("a/b", "--speculative-config", '{"model": "c/d"}'), ("a/b", "c/d")),
        (("a/b", "--speculative_config={}"), ("a/b",)),
        (("a/b", "-sc", '{"model": 1}', "--tokenizer=e/f"), ("a/b", "e/f")),
        (("a/b", "--speculative-config.model", "c/d"), ("a/b", "c/d")),
        (("a/b", "-sc", "{"), ("a/b",)),
        (("a/b", "-sc", "[]", "--tokenizer"), ("a/b",)),
        (("a/b", "--hf-config-path", "a/b"), ("a/b",)),
    ],
)
def test_models_named(arguments, models):
    """The served model, a draft model and a tokenizer count as in use."""
    assert models_named(arguments) == models
