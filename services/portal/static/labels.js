// The queue of predictions without a label, by keyboard: move, answer, undo.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const queue = document.getElementById("queue");
  if (!queue) return;
  const items = [...queue.children];
  const given = [];
  let current = 0;

  function show(index) {
    items[current].classList.remove("current");
    current = Math.max(0, Math.min(items.length - 1, index));
    items[current].classList.add("current");
    (items[current].querySelector("input, select") ?? items[current]).focus();
    items[current].scrollIntoView({ block: "nearest" });
  }

  queue.addEventListener("focusin", (event) => {
    const item = event.target.closest("#queue > li");
    items[current].classList.remove("current");
    current = items.indexOf(item);
    item.classList.add("current");
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const typing = event.target.matches("input, select, textarea");
    const moves = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves && (!typing || (event.target.matches("#queue input") && event.key.startsWith("Arrow")))) {
      event.preventDefault();
      show(items.some((item) => item.contains(document.activeElement)) ? current + moves[event.key] : current);
    } else if (typing) {
      if (event.key === "Escape") event.target.closest("#queue > li")?.focus();
    } else if (event.key === "u") {
      given.at(-1)?.querySelector(".undo").click();
    } else {
      items[current].querySelector(`[data-key="${CSS.escape(event.key)}"], [data-letter="${CSS.escape(event.key)}"]`)?.click();
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const item = event.target.closest?.("#queue > li");
    if (!item || !event.detail.successful) return;
    const undone = event.target.matches(".undo");
    item.classList.toggle("labelled", !undone);
    item.querySelector(".undo").hidden = undone;
    if (given.includes(item)) given.splice(given.indexOf(item), 1);
    if (undone) return show(items.indexOf(item));
    given.push(item);
    if (items.indexOf(item) === current) show(current + 1);
  });
});
