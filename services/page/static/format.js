// In: numbers, times and names. Out: words in the chosen language; times are local to the province.

import { language, t } from "./texts.js";

const ZONE = "Asia/Ho_Chi_Minh";
const made = new Map();

function cached(kind, options) {
  const key = `${language} ${kind.name} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new kind(language === "vi" ? "vi-VN" : "en-GB", options));
  return made.get(key);
}

export const number = (value) => (value == null ? t("notYet") : cached(Intl.NumberFormat, {}).format(value));

export const vnd = (value) => (value == null ? t("notYet") : `${number(value)} ₫`);

export function largeVnd(value) {
  if (value == null) return t("notYet");
  const units = language === "vi" ? [[1e9, "tỷ ₫"], [1e6, "triệu ₫"]] : [[1e9, "bn ₫"], [1e6, "m ₫"]];
  for (const [size, unit] of units) {
    if (value >= size) {
      return `${cached(Intl.NumberFormat, { maximumFractionDigits: 1 }).format(value / size)} ${unit}`;
    }
  }
  return vnd(value);
}

export const percent = (share, digits = 1) =>
  share == null
    ? t("notYet")
    : cached(Intl.NumberFormat, {
      style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits,
    }).format(share);

export const signed = (value) => (value === 0 ? "0" : cached(Intl.NumberFormat, { signDisplay: "always" }).format(value));

export const moment = (at) =>
  cached(Intl.DateTimeFormat, {
    timeZone: ZONE, weekday: "short", day: "2-digit", month: "2-digit", year: "numeric",
    hour: "2-digit", minute: "2-digit",
  }).format(at);

export const clockTime = (at) =>
  cached(Intl.DateTimeFormat, { timeZone: ZONE, hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at);

export const dayOf = (at) =>
  cached(Intl.DateTimeFormat, { timeZone: ZONE, day: "2-digit", month: "2-digit", year: "numeric" }).format(at);

export const isoDay = (day) => dayOf(Date.parse(`${day}T05:00:00Z`));

// Charts take local days as plain dates.
export const chartDay = (at) => new Date(at + 7 * 3_600_000).toISOString().slice(0, 10);

// Places that nobody has a name for are numbered by the scenario: "An Giang · xã 5 (giả định)".
export function shortName(name) {
  const bare = name.replace(/\s*\(giả định\)$/, "").replace(/^.*·\s*/, "");
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}
