// What the pages share: the key, copying, asking before what cannot be taken back, and news without a reload.
"use strict";

const KEY = "stack-key";

// The link that `make up` prints has the key behind #, which is not sent to the server. It stays in this browser.
if (location.hash.startsWith("#key=")) {
  localStorage.setItem(KEY, decodeURIComponent(location.hash.slice(5)));
  history.replaceState(null, "", location.pathname + location.search);
}

// Behind the gateway, which adds the key itself, the browser has sent its login.
function authorization() {
  const key = localStorage.getItem(KEY);
  return key && location.protocol === "http:" ? { Authorization: `Basic ${btoa(key)}` } : {};
}

document.addEventListener("htmx:configRequest", (event) => {
  Object.assign(event.detail.headers, authorization());
});

document.addEventListener("submit", async (event) => {
  if (event.target.id !== "sign-in") return;
  event.preventDefault();
  localStorage.setItem(KEY, new FormData(event.target).get("key").trim());
  const answer = await fetch("/sign-in", { method: "POST", headers: authorization() });
  if (answer.ok) return location.replace("/");
  localStorage.removeItem(KEY);
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

// A page marked as live is fetched again every some seconds, while nobody reads with the mouse or keyboard in it.
let timer;

async function refresh() {
  const main = document.getElementById("main");
  if (document.hidden || !getSelection().isCollapsed || main.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const news = page.getElementById("main");
    if (news.innerHTML !== main.dataset.shown) {
      main.dataset.shown = news.innerHTML;
      main.replaceChildren(...news.childNodes);
      htmx.process(main);
      document.dispatchEvent(new Event("portal:news"));
    }
    if (!("live" in news.dataset)) clearInterval(timer);
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const main = document.getElementById("main");
  if (!("live" in main.dataset)) return;
  main.dataset.shown = main.innerHTML;
  timer = setInterval(refresh, 10000);
  // The first page shows what was known at once; services that were still being asked have answered soon after.
  if (document.querySelector(".tool.unknown, [data-asking]")) setTimeout(refresh, 1500);
});
