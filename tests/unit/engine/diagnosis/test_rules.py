"""The loader of the table: what is wrong in it is told by the name of the rule."""

from __future__ import annotations

import pytest

from vllm_pkg.engine.diagnosis import rules
from vllm_pkg.engine.diagnosis.rules import load_causes, parse_causes, template_names
from vllm_pkg.errors import PackageDataInvalid

GOOD = """
causes:
  too-much:
    title: Too much
    explanation: There is {amount} too much.
    fix: Take less.
    match:
      - contains: too much
        pattern: "(?P<amount>\\\\d+) too much"
    changes:
      - set: --max-model-len
        value: "{amount}"
"""


def test_a_rule_is_read():
    """One rule with everything by default."""
    rule = parse_causes(GOOD).causes["too-much"]

    assert rule.match[0].contains == ("too much",)
    assert rule.match[0].groups == {"amount"}
    assert (rule.where, rule.during) == ("error", "start")
    assert (rule.is_general, rule.is_final) == (False, False)
    assert rule.changes[0].names == {"amount"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("title: Too much", "titel: x", "causes.too-much.title: is missing"),
        ("title: Too much", "title: ''", "causes.too-much.title: String should have"),
        ("{amount} too", "{size} too", "causes.too-much: no group of its pattern is"),
        ("fix: Take less", "fix: Take {", "causes.too-much: expected '}' before end"),
        ("(?P<amount>", "(?P<amount", "match.0: pattern: is no regular expression"),
        ("contains: too much", "contains: []", "match.0.contains: Value should"),
        ("set: --max-model-len", "set: model len", "changes.0.set: expected text like"),
        ("set: --max-model-len", "remove: --x", "changes.0: remove takes no value"),
        ('value: "{amount}"', "remove: --x", "changes.0: expected either set or"),
        ("set: --max-model-len", "least: '1'", "changes.0: expected either set or"),
        (
            'value: "{amount}"',
            "value: '1'\n        quotient: ['1', '2']",
            "changes.0: expected either value or quotient",
        ),
        ('value: "{amount}"', "quotient: ['1']", "changes.0.quotient: Value should"),
        (
            'set: --max-model-len\n        value: "{amount}"',
            "set: NAME",
            "changes.0: a variable needs a value",
        ),
        ('value: "{amount}"', "roundDownTo: x", "changes.0.roundDownTo: expected"),
        ("fix: Take", "where: here\n    fix: Take", "where: expected 'error' or 'any'"),
        ("too-much:", "Too-Much:", "causes.Too-Much"),
        ("causes:", "{", "is not YAML"),
    ],
)
def test_what_is_wrong_names_the_rule(old, new, problem):
    """Every mistake is told with the path of its key, and is a mistake of the data."""
    assert old in GOOD
    with pytest.raises(PackageDataInvalid) as caught:
        parse_causes(GOOD.replace(old, new, 1))

    assert problem in caught.value.message
    assert caught.value.message.startswith("causes.yaml: ")


def test_a_rule_needs_something_to_go_by():
    """Neither texts nor exit statuses: it could never match."""
    text = GOOD[: GOOD.index("    match:")].replace("{amount} ", "")
    with pytest.raises(PackageDataInvalid, match="expected match, exitCodes or codes"):
        parse_causes(text)
    assert parse_causes(text + "    exitCodes: [1]\n").causes["too-much"].match == ()
    codes = parse_causes(text + "    codes: [disk-full]\n").causes["too-much"].codes
    assert codes == ("disk-full",)


def test_values_need_a_pattern():
    """An exit status alone gives no values to speak of."""
    text = GOOD[: GOOD.index("    match:")] + "    exitCodes: [1]\n"
    with pytest.raises(PackageDataInvalid, match="is called amount"):
        parse_causes(text)
    with pytest.raises(PackageDataInvalid, match="codes give no values"):
        parse_causes(GOOD + "    codes: [disk-full]\n")


def test_the_names_in_a_text():
    """Each name in braces, in their order."""
    assert template_names("{b} and {a}") == ("b", "a")
    assert template_names("no name") == ()


def test_the_table_of_the_package_is_whole():
    """It is read once, and only once."""
    assert load_causes() is load_causes()


def test_a_missing_table_is_told(monkeypatch, tmp_path):
    """A damaged installation is a mistake of the package's data."""
    monkeypatch.setattr(rules, "files", lambda _: tmp_path)
    with pytest.raises(
        PackageDataInvalid, match=r"causes\.yaml: cannot be read: No such"
    ):
        load_causes.__wrapped__()
