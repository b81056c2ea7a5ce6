// In: buttons pressed, and what producers made of orders. Out: requests with the token; a list of orders.

import { $, element, keyed, put, say } from "./dom.js";
import { clockTime, isoDay, number, shortName } from "./format.js";
import { t } from "./texts.js";

const FACTOR = 2;
const SPEED_AT_FIRST = 600;

export class Orders {
  constructor(state) {
    this.state = state; // a function: what is known now
    for (const button of document.querySelectorAll("[data-pace]")) {
      button.addEventListener("click", () => this.pace(button.dataset.pace));
    }
    for (const button of document.querySelectorAll("[data-kind]")) {
      button.addEventListener("click", () => this.intervene(button.dataset.kind));
    }
    $("cancel-token").addEventListener("click", () => $("token-dialog").close(""));
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given) {
      sessionStorage.setItem("token", given);
      history.replaceState(null, "", location.pathname + location.search);
    }
  }

  // The places that can be chosen; the commune that is chosen in the grid is chosen here too.
  places(communes, markets, chosen) {
    const select = $("where");
    const key = `${document.documentElement.lang} ${communes.length} ${markets.length} ${chosen}`;
    if (select.dataset.key === key) return;
    const before = select.dataset.chosen === String(chosen) ? select.value : chosen ?? "";
    select.replaceChildren(
      new Option(t("theProvince"), ""),
      group("groupCommunes", communes),
      group("groupMarkets", [...markets].sort((a, b) => (a.id < b.id ? -1 : 1))),
    );
    select.value = before;
    select.dataset.key = key;
    select.dataset.chosen = String(chosen);
  }

  intervene(kind) {
    const { communes = [], markets = [] } = this.state();
    const place = $("where").value;
    if (kind === "digital_team" && !communes.some((one) => one.id === place)) return this.answer(t("needsCommune"));
    if (kind === "stall_stands" && !markets.some((one) => one.id === place)) return this.answer(t("needsMarket"));
    return this.send("/api/interventions", { intervention: { kind, place: place ? [place] : [] } }, t(kind));
  }

  pace(what) {
    if (what === "pause" || what === "resume") return this.send("/api/pace", { paused: what === "pause" }, t(what));
    const known = this.state().pace?.speed;
    const speed = (typeof known === "number" ? known : SPEED_AT_FIRST) * (what === "faster" ? FACTOR : 1 / FACTOR);
    return this.send("/api/pace", { speed: Math.max(1, Math.round(speed)) }, t("speedIs", { speed: number(speed) }));
  }

  async send(path, body, what) {
    const token = sessionStorage.getItem("token") ?? (await askForToken());
    if (!token) return;
    this.answer(t("sending"));
    const run = this.state().run?.run;
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
        body: JSON.stringify(run ? { run, ...body } : body),
      });
      if (answer.ok) {
        sessionStorage.setItem("token", token);
        this.answer(t("sent", { what }));
        return;
      }
      if (answer.status === 401) sessionStorage.removeItem("token");
      this.answer(t("failed", { why: (await answer.json()).detail }), true);
    } catch {
      this.answer(t("failed", { why: t("offline") }), true);
    }
  }

  answer(text, wrong = false) {
    say($("answer"), text);
    put($("answer"), "data-state", wrong ? "differs" : "");
  }

  showPace({ speed, paused }) {
    const text = paused ? t("paused") : speed == null ? "" : t("speedIs", { speed: speedWords(speed) });
    say($("pace"), text && `· ${text}`);
  }

  show(orders, communes, markets) {
    const names = new Map([...communes, ...markets].map((one) => [one.id, shortName(one.name)]));
    keyed($("orders"), orders, (one) => one.id, make, (item, one) => fill(item, one, names));
  }
}

function group(title, places) {
  const made = element("optgroup");
  made.label = t(title);
  made.append(...places.map((one) => new Option(shortName(one.name), one.id)));
  return made;
}

function make() {
  const item = element("li");
  item.append(element("b"), element("span"), element("span", "pill"));
  return item;
}

function fill(item, one, names) {
  const [what, where, became] = item.children;
  if (one.kind === "pace") {
    say(what, one.paused == null ? t("speedIs", { speed: speedWords(one.speed) }) : t(one.paused ? "pause" : "resume"));
    say(where, clockTime(one.ordered_at));
    return pill(became, t("obeyed"), "settling");
  }
  say(what, t(one.kind));
  say(where, one.place.map((id) => names.get(id) ?? id).join(", ") || t("nowhere"));
  if (one.refused.length) return pill(became, t("refused", { why: one.refused.join("; ") }), "differs");
  if (one.from_days.length) return pill(became, t("from", { day: one.from_days.map(isoDay).join(", ") }), "exact");
  return pill(became, t("waiting"), "settling");
}

const speedWords = (speed) => (typeof speed === "number" ? number(speed) : speed);

function pill(box, text, state) {
  say(box, text);
  put(box, "data-state", state);
}

function askForToken() {
  const dialog = $("token-dialog");
  $("token").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? $("token").value.trim() : ""), {
      once: true,
    });
  });
}
