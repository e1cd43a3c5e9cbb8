// The page "try it": sliders beside their numbers, what-if without a click, errors at their fields, the fan chart.
"use strict";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Moving a slider or changing a value asks again, once there is an answer; its id keeps what-if out of the log.
const lastAnswer = () => document.querySelector("#answer [data-asked]");

document.addEventListener("input", (event) => {
  const form = event.target.closest("#try");
  if (!form) return;
  if (event.target.dataset.slides) document.getElementById(event.target.dataset.slides).value = event.target.value;
  const slider = form.querySelector(`[data-slides="${event.target.id}"]`);
  if (slider) slider.value = event.target.value;
  if (lastAnswer()) htmx.trigger(form, "what-if");
});

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.triggeringEvent?.type === "what-if" && lastAnswer()) {
    event.detail.parameters.prediction_id = lastAnswer().dataset.asked;
  }
});

document.addEventListener("htmx:afterSettle", () => {
  for (const problem of document.querySelectorAll("#try .wrong")) {
    const field = document.getElementById(problem.id.replace("problem-", "field-"));
    field.setAttribute("aria-invalid", problem.textContent.trim() !== "");
  }
  drawFan();
});

function drawFan() {
  const place = document.getElementById("fan");
  if (!place || place.hasChildNodes()) return;
  const { times, unit, prediction, low, high } = JSON.parse(document.getElementById(place.dataset.source).textContent);
  const axis = { stroke: color("--dim"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const line = { stroke: color("--link"), width: 2, points: { size: 4 } };
  const end = { stroke: color("--grey"), width: 1, points: { show: false } };
  const value = (_, number) => (number === null ? "–" : `${+number.toPrecision(4)} ${unit}`);
  const size = () => ({ width: Math.max(240, place.clientWidth), height: 260 });
  const plot = new uPlot(
    {
      ...size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      axes: [axis, { ...axis, size: 62 }],
      series: [
        { label: "UTC" },
        { ...line, label: "prediction", value },
        ...(low && high ? [{ ...end, label: "low", value }, { ...end, label: "high", value }] : []),
      ],
      bands: low && high ? [{ series: [3, 2], fill: `${color("--link")}33` }] : [],
    },
    [times, prediction, ...(low && high ? [low, high] : [])],
    place,
  );
  addEventListener("resize", () => plot.setSize(size()));
}
