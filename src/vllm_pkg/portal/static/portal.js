// What has to happen in the browser itself: the menu of small screens, choices that are
// kept in cookies, the way to the login page when a session has ended, and copying, which
// browsers allow only as the answer to a click.

const YEAR_S = 31536000;
const REPLY_TIMEOUT_MS = 10000;
const LOGIN_PATH = "/login";
const SESSION_CHECK_MS = 2000;

// ---- the menu of small screens

function setMenu(isOpen) {
  document.body.classList.toggle("vp-menu-open", isOpen);
  const button = document.querySelector("[data-vp-menu]");
  button?.setAttribute("aria-expanded", String(isOpen));
  return button;
}

function isMenuOpen() {
  return document.body.classList.contains("vp-menu-open");
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-vp-menu]")) {
    setMenu(!isMenuOpen());
    if (isMenuOpen()) document.querySelector(".vp-nav a")?.focus();
  } else if (isMenuOpen() && !event.target.closest(".vp-nav")) {
    setMenu(false);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isMenuOpen()) setMenu(false)?.focus();
});

document.addEventListener("focusin", (event) => {
  // The keyboard has left the menu: it would cover what has the focus.
  if (isMenuOpen() && !event.target.closest(".vp-nav, .vp-header")) setMenu(false);
});

// ---- choices

document.addEventListener("change", (event) => {
  const name = event.target.dataset?.vpCookie;
  if (!name) return;
  document.cookie =
    `${name}=${encodeURIComponent(event.target.value)}` +
    `; Path=/; Max-Age=${YEAR_S}; SameSite=Strict`;
  if (event.target.dataset.vpReload !== undefined) location.reload();
});

// ---- a session that has ended

async function hasEnded() {
  try {
    // Whoever is logged in is led on from there.
    const answer = await fetch(LOGIN_PATH, { redirect: "manual", cache: "no-store" });
    return answer.ok;
  } catch {
    // The portal itself does not answer.
    return false;
  }
}

let isChecking = false;

async function checkSession(lost) {
  if (isChecking || lost.ariaHidden === "true") return;
  isChecking = true;
  if (await hasEnded()) {
    location.assign(LOGIN_PATH);
    return;
  }
  setTimeout(() => {
    isChecking = false;
    checkSession(lost);
  }, SESSION_CHECK_MS);
}

// NiceGUI shows it while the page is not connected, as it is when nobody is let in.
const lost = document.getElementById("popup");
new MutationObserver(() => checkSession(lost)).observe(lost, {
  attributeFilter: ["aria-hidden"],
});

// ---- copying

const waiting = new Map();

function copyByHand(text) {
  // Pages of plain HTTP on another machine have no clipboard but this one.
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.style.position = "fixed";
  area.style.opacity = "0";
  // Inside an open dialog, which keeps the focus.
  const focused = document.activeElement;
  (focused?.parentElement ?? document.body).append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!isCopied) throw new Error("copying is refused");
}

function write(text) {
  if (!navigator.clipboard?.write || !globalThis.ClipboardItem) {
    return text.then(copyByHand);
  }
  const item = text.then((value) => new Blob([value], { type: "text/plain" }));
  return navigator.clipboard.write([new ClipboardItem({ "text/plain": item })]);
}

document.addEventListener("click", (event) => {
  const id = event.target.closest("[data-vp-copy]")?.dataset.vpCopy;
  if (!id) return;
  // The text comes from the server; the browser is asked now, while it is a click.
  let give;
  const text = new Promise((resolve, reject) => {
    give = resolve;
    setTimeout(() => reject(new Error("no text came")), REPLY_TIMEOUT_MS);
  });
  const written = write(text);
  written.catch(() => {});
  waiting.set(id, { give, written });
});

globalThis.vllmPortal = {
  /** Copy the text that a click on a button asked for; whether that was possible. */
  async copy(id, text) {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (!asked) return false;
    asked.give(text);
    try {
      await asked.written;
      return true;
    } catch {
      return false;
    }
  },
};
