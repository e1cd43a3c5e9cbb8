// Draws the series of a page: a chart each, with the decisions as lines on all of them, zoomed together.
"use strict";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const DAY = 86400;
const INKS = ["--link", "--amber", "--green"];

function options(chart, data, width, follow) {
  const axis = { stroke: css("--dim"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
  const format = chart.share
    ? (_, values) => values.map((value) => `${+(100 * value).toFixed(1)} %`)
    : (_, values) => values.map((value) => `${+value.toPrecision(6)}`);
  return {
    title: chart.title,
    width,
    height: 190,
    padding: [null, 36, null, null],
    scales: {
      x: { time: true, range: (plot, min, max) => around(plot.data[0], min, max) },
      y: { range: (plot, min, max) => heights(min, max, chart.share) },
    },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    axes: [{ ...axis, space: 84, values: (_, times, axisIndex, space, step) => times.map((time) => written(time, step)) }, { ...axis, size: 62, values: format }],
    cursor: { sync: { key: "time" } },
    series: [
      { label: "UTC", value: (plot, time) => (time === null ? "" : written(time, 0) + nearby(plot, data, plot.posToVal(plot.cursor.left, "x"))) },
      ...chart.lines.map((line, index) => ({
        label: line.name, stroke: css(INKS[index % INKS.length]), width: 1.5, spanGaps: !chart.gaps, points: { size: 4 },
      })),
    ],
    hooks: {
      draw: [(plot) => marks(plot, data.marks)],
      setScale: [(plot, key) => { if (key === "x") follow(plot); }],
    },
  };
}

// A single time has a day around it.
function around(times, min, max) {
  return times.length > 1 ? [min, max] : [times[0] - DAY, times[0] + DAY];
}

// Where all values are the same, the chart has a little room around them; where there are none, from 0 to 1.
function heights(min, max, share) {
  if (min === null) return [0, 1];
  if (min !== max) return uPlot.rangeNum(min, max, 0.1, true);
  const room = Math.abs(min) / 10 || (share ? 0.01 : 1);
  return [min < 0 || min > room ? min - room : 0, max + room];
}

// ISO 8601, as exact as a step of seconds asks for; 0: to the minute.
function written(time, step) {
  const text = new Date(time * 1000).toISOString();
  if (step >= DAY) return text.slice(0, 10);
  return step && time % DAY ? text.slice(11, 16) : text.slice(0, 16).replace("T", " ");
}

// The decision or alarm at a time, to one part in a hundred of what is shown.
function nearby(plot, data, time) {
  const { min, max } = plot.scales.x;
  const near = data.marks.filter((mark) => Math.abs(mark.at - time) < (max - min) / 100);
  return near.map((mark) => ` · ${mark.text}`).join("");
}

function marks(plot, decisions) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const mark of decisions) {
    const x = Math.round(plot.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    if (mark.kind === "alarm") {
      triangle(ctx, x, bbox.top, css("--amber"));
      continue;
    }
    ctx.strokeStyle = css(mark.kind === "promote" ? "--green" : mark.kind === "rollback" ? "--red" : "--grey");
    ctx.setLineDash(mark.kind === "refuse" ? [2, 4] : [6, 3]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function triangle(ctx, x, y, ink) {
  const size = 5 * devicePixelRatio;
  ctx.fillStyle = ink;
  ctx.beginPath();
  ctx.moveTo(x - size, y);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + 1.6 * size);
  ctx.fill();
}

function start() {
  for (const place of document.querySelectorAll(".charts[data-source]:empty")) drawIn(place);
}

function drawIn(place) {
  const data = JSON.parse(document.getElementById(place.dataset.source).textContent);
  const plots = [];
  let following = false;
  const follow = (source) => {
    if (following) return;
    following = true;
    const { min, max } = source.scales.x;
    for (const plot of plots) if (plot !== source) plot.setScale("x", { min, max });
    following = false;
  };
  const width = () => Math.max(240, (place.clientWidth - 24) / (place.clientWidth > 760 ? 2 : 1));
  const draw = () => {
    place.replaceChildren();
    plots.length = 0;
    for (const chart of data.charts) {
      plots.push(new uPlot(options(chart, data, width(), follow), [data.times, ...chart.lines.map((line) => line.values)], place));
    }
  };
  draw();
  addEventListener("resize", () => plots.forEach((plot) => plot.setSize({ width: width(), height: 190 })));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if (place.id !== "charts") return;
  document.getElementById("windows").addEventListener("click", (event) => {
    const days = event.target.dataset.days;
    if (days === undefined) return;
    for (const button of event.currentTarget.querySelectorAll("button")) button.ariaPressed = button === event.target;
    const last = data.times[data.times.length - 1];
    const first = Number(days) ? Math.max(data.times[0], last - days * DAY) : data.times[0];
    plots[0].setScale("x", { min: first, max: last });
  });
}

document.addEventListener("DOMContentLoaded", start);
document.addEventListener("portal:news", start);
document.addEventListener("htmx:afterSettle", start);
