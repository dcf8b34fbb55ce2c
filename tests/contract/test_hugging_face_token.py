"""The Hugging Face token: tested against a server that speaks the Hub's protocol."""

from __future__ import annotations

import pytest

from support.hub_faults import API, Fault, Trouble
from support.hub_server import HubServer
from support.settings_factory import make_settings
from vllm_pkg.actions import registry
from vllm_pkg.actions.protocol import ActionContext
from vllm_pkg.errors import InvalidArgument, StateCorrupt
from vllm_pkg.models import hub_account
from vllm_pkg.models.hub_account import Access, HubAnswer, TokenState, ask_hub
from vllm_pkg.state.secrets import load_secrets

TOKEN = "hf_goodGOODgood"  # noqa: S105
OTHER = "hf_otherOTHERother"
GATED = "org/gated"
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(name="hub", scope="module")
def hub_fixture(tmp_path_factory):
    """A Hub with a gated, a private and an open repository, and an account."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "config.json").write_text("{}")
    with HubServer() as server:
        server.add(GATED, folder, is_gated=True)
        server.add("org/closed", folder, is_gated=True)
        server.add("org/private", folder, is_private=True)
        server.add("org/open", folder)
        server.add("org/stalled", folder)
        server.add("org/failing", folder)
        server.add_token(TOKEN, "alice", may_read=[GATED])
        yield server


@pytest.fixture(name="context")
def context_fixture(tmp_path, monkeypatch, hub):
    """A stopped service that asks the test's Hub."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return ActionContext(settings=make_settings(tmp_path), is_running=False)


def run(context, token=None, repository=None, *, test_only=False):
    """Run the action; return its result."""
    value = {"token": token, "repository": repository, "testOnly": test_only}
    return registry.run_action(context, "hugging-face-token", value)


def stored(context):
    """Return the token that is stored."""
    return load_secrets(context.settings).hugging_face_token


def shown(outcome):
    """Return what the result shows, by name."""
    content = outcome.result.content
    return {item.name: item.content.value for item in content.members}


def test_the_form_masks_and_shows_nothing(context):
    """The token is typed into a masked field that never holds the stored one."""
    run(context, TOKEN)
    form = registry.action_input(context, "hugging-face-token")
    assert list(form.spec) == ["token", "repository", "testOnly"]
    assert form.spec["token"]["masked"] is True
    assert form.spec["token"]["description"].startswith("A token is stored.")
    assert TOKEN not in str(form.as_json())
    run(context, None)
    form = registry.action_input(context, "hugging-face-token")
    assert form.spec["token"]["description"].startswith("Left empty, none is set")


def test_a_valid_token_is_saved_with_its_account(context):
    """The result names the account; the service need not be restarted for it."""
    outcome = run(context, TOKEN)
    assert stored(context) == TOKEN
    assert outcome.needs_restart is False
    assert outcome.result.as_json() == {
        "version": "1",
        "title": "Hugging Face Token Saved",
        "message": (
            "The token is valid and saved. It is used from the next start or download "
            "on."
        ),
        "result": {
            "type": "group",
            "value": [
                {
                    "name": "Token",
                    "description": None,
                    "type": "single",
                    "value": "valid",
                    "copyable": False,
                    "qr": False,
                    "masked": False,
                },
                {
                    "name": "Account",
                    "description": None,
                    "type": "single",
                    "value": "alice",
                    "copyable": False,
                    "qr": False,
                    "masked": False,
                },
            ],
        },
    }
    assert TOKEN not in str(outcome)
    assert context.settings.secrets_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        (GATED, "accepted, or none needed"),
        ("org/open", "accepted, or none needed"),
        ("org/closed", "not accepted: accept it on the repository's page"),
        ("org/private", "no such repository, or a private one"),
        ("org/missing", "no such repository, or a private one"),
        ("org/failing", "not checked"),
    ],
)
def test_the_licence_of_a_repository(context, hub, repository, words):
    """Whether this account may read that repository is told as far as the Hub does."""
    hub.fail("org/failing", API, Fault(Trouble.STATUS, status=500, times=9))
    found = shown(run(context, TOKEN, repository, test_only=True))
    assert found["Account"] == "alice"
    assert found[f"Licence of {repository}"].startswith(words)


def test_a_token_that_the_hub_does_not_know_is_not_saved(context):
    """The earlier token stays in force, and the error does not repeat the new one."""
    run(context, TOKEN)
    with pytest.raises(InvalidArgument, match="the Hub does not know it") as caught:
        run(context, OTHER)
    assert caught.value.fields[0].path == ("token",)
    assert OTHER not in str(caught.value.as_json())
    assert stored(context) == TOKEN


def test_a_test_saves_nothing(context):
    """Only tested, a token is judged and left where it was typed."""
    outcome = run(context, TOKEN, GATED, test_only=True)
    assert outcome.result.message == "The token is valid. Nothing was saved."
    assert stored(context) == ""
    outcome = run(context, OTHER, GATED, test_only=True)
    assert outcome.result.message == (
        "The Hub does not know this token. Nothing was saved."
    )
    assert shown(outcome) == {
        "Token": "not valid",
        f"Licence of {GATED}": "not checked",
    }


def test_the_stored_token_can_be_tested(context):
    """With an empty field the test is that of what is stored."""
    with pytest.raises(InvalidArgument, match="there is none to test"):
        run(context, None, test_only=True)
    run(context, TOKEN)
    assert shown(run(context, None, test_only=True))["Account"] == "alice"
    assert stored(context) == TOKEN


def test_an_empty_field_removes_the_token(context):
    """Removing says whether there was one; the key of the document goes, too."""
    assert run(context, "").result.title == "No Hugging Face Token"
    run(context, TOKEN)
    assert run(context, None).result.title == "Hugging Face Token Removed"
    assert stored(context) == ""
    assert "huggingFaceToken" not in context.settings.secrets_file.read_text()


def test_a_hub_that_does_not_answer(context, monkeypatch):
    """Without the Hub the token is saved, and said to be unchecked."""
    monkeypatch.setenv("HF_ENDPOINT", CLOSED)
    outcome = run(context, OTHER, GATED)
    assert outcome.result.message == (
        "The Hub did not answer: the token is saved, and was not checked. It is used "
        "from the next start or download on."
    )
    assert shown(outcome) == {
        "Token": "not checked: the Hub did not answer",
        f"Licence of {GATED}": "not checked",
    }
    assert stored(context) == OTHER
    outcome = run(context, TOKEN, test_only=True)
    assert outcome.result.message == (
        "The Hub did not answer: the token was not checked. Nothing was saved."
    )


def test_a_hub_that_hangs_is_given_up(hub):
    """Whoever waits for the action waits for seconds; what was said before stays."""
    hub.fail("org/stalled", API, Fault(Trouble.STALL, times=9))
    answer = ask_hub(TOKEN, "org/stalled", hub.url, deadline_s=0.5)
    assert answer == HubAnswer(TokenState.VALID, "alice", Access.UNKNOWN)


def test_an_account_without_a_name(hub, monkeypatch):
    """What the Hub does not say is not known."""
    monkeypatch.setattr("huggingface_hub.HfApi.whoami", lambda _: {"type": "user"})
    assert ask_hub(TOKEN, None, hub.url) == HubAnswer(TokenState.VALID, None)
    assert hub_account.DEADLINE_S <= 10


@pytest.mark.parametrize(
    "token", ["hf_with space", "hf_\u00e4", "hf_a\n", "x" * 501, 7, ["hf_list"]]
)
def test_what_cannot_be_a_token_is_not_repeated(context, token):
    """The error says what was expected, and not what was typed: it may be a secret."""
    with pytest.raises(InvalidArgument) as caught:
        run(context, token)
    text = str(caught.value.as_json())
    assert "hf_" not in text
    assert "xxx" not in text
    assert caught.value.fields[0].path == ("token",)


def test_damaged_secrets_are_told(context):
    """A damaged file is neither overwritten nor read as no token."""
    context.settings.main.mkdir(parents=True)
    context.settings.secrets_file.write_text('{"huggingFaceToken": 7}')
    with pytest.raises(StateCorrupt, match="huggingFaceToken is not a token"):
        registry.action_input(context, "hugging-face-token")
