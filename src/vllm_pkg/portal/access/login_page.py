"""The page of the login: plain HTML without a script. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from vllm_pkg.portal.access.headers import styled_policy
from vllm_pkg.portal.access.rules import LOGIN_PATH

if TYPE_CHECKING:
    from vllm_pkg.portal.texts.catalogue import Texts

TOKEN_FIELD: Final = "token"  # noqa: S105  # a name
COMMAND: Final = "vllm-pkg portal link"
_STYLE: Final = """
:root { color-scheme: light dark; --text: #1c1e21; --soft: #595f69; --back: #f6f7f8;
  --card: #fff; --line: #858b94; --accent: #1f5fbf; --on: #fff; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --soft: #a8aeb8;
  --back: #15171a; --card: #1e2125; --line: #868c96; --accent: #8ab4f8; --on: #10233f;
  --bad: #f2b8b5; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; padding: 2rem; background: var(--card);
  border-radius: .75rem; }
h1 { margin: 0 0 .5rem; font-size: 1.375rem; line-height: 1.3; }
p { margin: 0 0 1.25rem; }
code { font-family: ui-monospace, monospace; font-size: .9375em; }
label { display: block; margin-bottom: .375rem; font-weight: 600; }
input { width: 100%; min-height: 2.75rem; padding: .5rem .75rem; font: inherit;
  color: inherit; background: transparent; border: 1px solid var(--line);
  border-radius: .5rem; }
input[aria-invalid] { border-color: var(--bad); }
.note { margin: .375rem 0 1.25rem; font-size: .875rem; color: var(--soft); }
.error { color: var(--bad); }
button { width: 100%; min-height: 2.75rem; border: 0; border-radius: .5rem;
  font: inherit; font-weight: 600; color: var(--on);
  background: var(--accent); cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
"""
POLICY: Final = styled_policy(_STYLE)
_PAGE: Final = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{how}</p>
<form method="post" action="{action}">
<input name="username" autocomplete="username" value="vLLM" hidden>
<label for="token">{label}</label>
<input id="token" name="{field}" type="password" autocomplete="current-password"
 maxlength="256" spellcheck="false" autocapitalize="none" required autofocus
 aria-describedby="note"{invalid}>
<p id="note" class="note{kind}"{role}>{note}</p>
<button>{button}</button>
</form>
</main>
</body>
</html>
"""


def login_page(texts: Texts, problem: str | None = None) -> str:
    """
    Return the page. Nothing that was typed stands in it.

    Args:
        texts: Its language.
        problem: What went wrong before, as a sentence in that language.
    """
    command = f"<code>{escape(COMMAND)}</code>"
    # The place of the command is kept through the escape of the sentence around it.
    how = escape(texts("access.how", command="\0")).replace("\0", command)
    return _PAGE.format(
        language=texts.language,
        style=_STYLE,
        title=escape(texts("access.title")),
        how=how,
        action=LOGIN_PATH,
        label=escape(texts("access.label")),
        field=TOKEN_FIELD,
        invalid=' aria-invalid="true"' if problem else "",
        kind=" error" if problem else "",
        role=' role="alert"' if problem else "",
        note=escape(problem or texts("access.note")),
        button=escape(texts("access.button")),
    )
