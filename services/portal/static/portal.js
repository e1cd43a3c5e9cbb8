// What the pages share: the key, copying, asking before what cannot be taken back, and news without a reload.
"use strict";

const KEY = "stack-key";

// Behind the gateway, which adds the key itself, the browser has sent its login.
function authorization(key = localStorage.getItem(KEY)) {
  return key && location.protocol === "http:" ? { Authorization: `Basic ${btoa(key)}` } : {};
}

// Keeps a key in this browser, if it is that of the stack: a link from elsewhere may hold another one.
async function signIn(key) {
  const answer = await fetch("/sign-in", { method: "POST", headers: authorization(key) });
  if (answer.ok) localStorage.setItem(KEY, key);
  return answer.ok;
}

// The link that `make up` prints has the key behind #, which is not sent to the server.
if (location.hash.startsWith("#key=")) {
  const key = location.hash.slice(5);
  history.replaceState(null, "", location.pathname + location.search);
  signIn(decodeURIComponent(key));
}

document.addEventListener("htmx:configRequest", (event) => {
  Object.assign(event.detail.headers, authorization());
});

document.addEventListener("submit", async (event) => {
  if (event.target.id !== "sign-in") return;
  event.preventDefault();
  if (await signIn(new FormData(event.target).get("key").trim())) return location.replace("/");
  document.getElementById("signed").textContent = "This is not the key of this stack.";
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copies);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "copied";
  } catch {
    // Without HTTPS, and not on localhost, a browser gives no clipboard: select it instead.
    getSelection().selectAllChildren(source);
    button.textContent = "press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
});

// The parts of a page that are marked as live are updated, but not while they have the focus or a selection.
const AGAIN = 5000;
const live = (root = document) => [...root.querySelectorAll("[data-live]")];
const shown = new Map(live().map((part) => [part.id, content(part)]));
let source, latest;

// Parts within a part are compared, and replaced, on their own.
function content(part) {
  const copy = part.cloneNode(true);
  for (const inner of live(copy)) inner.replaceChildren();
  return copy.innerHTML;
}

function inUse(part) {
  const selection = getSelection();
  return part.contains(document.activeElement) || (!selection.isCollapsed && part.contains(selection.anchorNode));
}

function show() {
  let changed = false;
  for (const part of latest ? live() : []) {
    const news = latest.get(part.id);
    if (!news || !part.isConnected || inUse(part)) continue;
    if (news.content !== shown.get(part.id)) {
      part.innerHTML = news.html;
      for (const inner of live(part)) shown.set(inner.id, content(inner));
      shown.set(part.id, news.content);
      htmx.process(part);
      changed = true;
    }
    if (!news.live) delete part.dataset.live;
  }
  if (changed) document.dispatchEvent(new Event("portal:news"));
  if (source && !live().length) follow();
}

function received({ data }) {
  const page = new DOMParser().parseFromString(JSON.parse(data), "text/html");
  latest = new Map(live().map(({ id }) => page.getElementById(id)).filter(Boolean).map(
    (part) => [part.id, { html: part.innerHTML, content: content(part), live: "live" in part.dataset }],
  ));
  document.body.classList.remove("stale");
  show();
}

function follow() {
  source?.close();
  source = undefined;
  if (document.hidden || !live().length) return;
  source = new EventSource(`/events?page=${encodeURIComponent(location.pathname + location.search)}`);
  source.onmessage = received;
  source.onerror = () => {
    document.body.classList.add("stale");
    // The browser itself tries again where no connection is made, but not where a gateway answers for the portal.
    if (source?.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN);
  };
}

document.addEventListener("focusout", () => setTimeout(show));
document.addEventListener("selectionchange", show);
document.addEventListener("visibilitychange", follow);
addEventListener("pagehide", () => source?.close());
document.addEventListener("DOMContentLoaded", follow);
