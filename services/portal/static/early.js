// A button that is pressed before the other scripts are ready is pressed again then: by itself its form would leave as a
// GET, with its fields in the address. Loaded without `defer`, and so before the first button is shown.
"use strict";

let pressed;

function wait(event) {
  const button = event.target.closest("button");
  if (!button) return;
  event.preventDefault();
  event.stopPropagation();
  pressed = button;
}

addEventListener("click", wait, true);
addEventListener("htmx:load", () => {
  removeEventListener("click", wait, true);
  pressed?.click();
}, { once: true });
