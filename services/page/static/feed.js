// In: the newest payments and alerts. Out: lists; the code of a payment opens in full.

import { $, element, keyed, put, say } from "./dom.js";
import { clockTime, moment, number, shortName, vnd } from "./format.js";
import { t } from "./texts.js";

const STATUS = { settled: "settled", failed: "failedStatus", reversed: "reversed" };

export function showFeed(payments) {
  keyed($("feed"), payments, (one) => one.payment_id + one.status, make, fill);
}

function make() {
  const item = element("li");
  const code = element("button", "code");
  code.type = "button";
  code.append(element("img"));
  const words = element("div", "words");
  words.append(element("b", "numbers"), element("span", "place"), element("span", "aside numbers"));
  item.append(code, element("span", "code none"), words, element("span", "pill"));
  return item;
}

function fill(item, one) {
  const [code, none, words, status] = item.children;
  const amount = vnd(one.amount_vnd);
  const place = shortName(one.place);
  code.hidden = !one.symbol;
  none.hidden = Boolean(one.symbol);
  say(none, t(one.method));
  if (one.symbol) {
    const label = t("showCode", { place, amount });
    put(code.firstChild, "src", source(one.symbol));
    put(code.firstChild, "alt", "");
    put(code, "aria-label", label);
    code.onclick = () => open(one, label);
  }
  say(words.children[0], amount);
  say(words.children[1], place);
  say(words.children[2], `${clockTime(one.occurred_at)} · ${t(one.sector)}`);
  say(status, t(STATUS[one.status]));
  put(status, "data-state", one.status);
}

function open(one, label) {
  $("code-image").src = source(one.symbol);
  $("code-image").alt = label;
  say($("code-payload"), one.payload);
  $("code-dialog").showModal();
}

const source = (svg) => `data:image/svg+xml,${encodeURIComponent(svg)}`;

export function showAlerts(alerts) {
  say($("alert-count"), number(alerts.count));
  $("no-alerts").hidden = alerts.count > 0;
  keyed($("alerts"), alerts.newest, (one) => one.payment_id, makeAlert, fillAlert);
}

function makeAlert() {
  const item = element("li");
  const words = element("div", "words");
  words.append(element("b"), element("span"), element("span", "aside numbers"));
  item.append(element("span", "pill"), words);
  return item;
}

function fillAlert(item, one) {
  const [kind, words] = item.children;
  say(kind, t(one.kind));
  put(kind, "data-state", "differs");
  say(words.children[0], `${shortName(one.place)} · ${vnd(one.amount_vnd)}`);
  say(words.children[1], t(one.registered ? "alertWords" : "alertNobody", {
    beneficiary: one.beneficiary, registered: one.registered,
  }));
  say(words.children[2], `${moment(one.occurred_at)} · ${one.source}`);
}
