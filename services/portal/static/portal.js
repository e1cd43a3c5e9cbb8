// Copies a command, and looks for news every ten seconds while nobody reads with the mouse or keyboard in the page.
"use strict";

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

async function refresh() {
  const main = document.getElementById("main");
  if (document.hidden || !getSelection().isCollapsed || main.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const news = page.getElementById("main");
    if (news.innerHTML !== main.innerHTML) main.replaceChildren(...news.childNodes);
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

setInterval(refresh, 10000);
// The first page shows what was known at once; services that were still being asked have answered soon after.
if (document.querySelector(".tool.unknown, .project > p.dim")) setTimeout(refresh, 1500);
