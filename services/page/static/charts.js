// In: curves and the mix of payments. Out: Plotly's charts in the page's colours, changed in place.

import { $, put } from "./dom.js";
import { chartDay, percent, number } from "./format.js";
import { language, t } from "./texts.js";

export const METHODS = ["cash", "vietqr", "e_wallet", "card", "bank_transfer"];
const DAY_MS = 86_400_000;
const SECTORS = [
  "market_stall", "ecommerce", "electricity", "water", "tuition", "hospital", "public_service", "income",
];

export function drawCurves(curve, today, name, province) {
  const points = withToday(curve, today);
  const lines = [line(curve, 1, t("byCount"), "--accent"), line(curve, 2, t("byValue"), "--second")];
  if (province) lines.push({ ...line(province.curve, 1, t("provinceByCount"), "--ink-soft"), line: dotted() });
  // The day that goes on is a point of its own: its first hours are not like a day.
  const now = points.slice(curve.length);
  lines.push(point(now, 1, t("byCount"), "--accent"), point(now, 2, t("byValue"), "--second"));
  draw("curves", lines, {
    yaxis: { tickformat: ".0%", rangemode: "tozero", ...axis() },
    xaxis: { type: "date", tickformat: language === "vi" ? "%d/%m/%y" : "%d %b %y", nticks: 6,
      ...(points.length < 7 ? { dtick: DAY_MS } : {}), ...axis() },
  });
  const last = points.at(-1) ?? [0, null, null];
  put($("curves"), "aria-label", t("curvesLabel", {
    place: name, days: number(points.length), first: percent(points[0]?.[1]), last: percent(last[1]),
    value: percent(last[2]),
  }));
}

export function drawMix(mix, name) {
  const sectors = SECTORS.filter((sector) => mix[sector]).reverse();
  const bars = METHODS.map((method, index) => ({
    type: "bar", orientation: "h", name: t(method),
    y: sectors.map((sector) => t(sector)),
    x: sectors.map((sector) => mix[sector][method]?.[0] ?? 0),
    marker: { color: colour(`--method-${index}`) },
    hovertemplate: "%{y}: %{x:,}<extra>%{fullData.name}</extra>",
  }));
  draw("mix", bars, {
    barmode: "stack",
    xaxis: { tickformat: "~s", nticks: 5, ...axis() },
    yaxis: { ...axis(), automargin: true, ticksuffix: "  " },
  });
  put($("mix"), "aria-label", t("mixLabel", { place: name, words: mixWords(mix) }));
}

function mixWords(mix) {
  const sums = Object.fromEntries(METHODS.map((method) => [method, 0]));
  for (const byMethod of Object.values(mix)) for (const method in byMethod) sums[method] += byMethod[method][0];
  return METHODS.map((method) => `${t(method)} ${number(sums[method])}`).join(", ");
}

function withToday(curve, today) {
  return today?.payments ? [...curve, [today.day_at, today.share_count, today.share_value, today.payments]] : curve;
}

function line(points, column, name, variable) {
  return {
    type: "scatter", mode: points.length < 40 ? "lines+markers" : "lines", name,
    x: points.map((point) => chartDay(point[0])), y: points.map((point) => point[column]),
    line: { color: colour(variable), width: 2.5 }, marker: { size: 5, color: colour(variable) },
    hovertemplate: "%{x|%d/%m/%Y}: %{y:.1%}<extra>%{fullData.name}</extra>",
  };
}

function point(points, column, name, variable) {
  return {
    ...line(points, column, `${name}, ${t("soFar")}`, variable), mode: "markers", showlegend: false,
    marker: { size: 9, symbol: "circle-open", color: colour(variable), line: { width: 2 } },
  };
}

const dotted = () => ({ color: colour("--ink-soft"), width: 1.5, dash: "dot" });
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const axis = () => ({ gridcolor: colour("--line"), zeroline: false, fixedrange: true, linecolor: colour("--line") });

function draw(id, traces, layout) {
  if (!window.Plotly) return;
  const narrow = $(id).clientWidth < 420; // the legend takes more lines
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink-soft") };
  window.Plotly.react(id, traces, {
    font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 44, r: 12, t: 8, b: narrow ? 124 : 64 }, autosize: true, separators: language === "vi" ? ",." : ".,",
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, traceorder: "normal", font }, hoverlabel: { font: { family: font.family } },
    showlegend: true, dragmode: false, ...layout,
  }, { displayModeBar: false, responsive: true });
}
