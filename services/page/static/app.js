// The live page. In: sections of the state, pushed by the server. Out: the page, changed in place.

import { drawCurves, drawMix } from "./charts.js";
import { $, put, say } from "./dom.js";
import { showAlerts, showFeed } from "./feed.js";
import { largeVnd, moment, number, percent, vnd } from "./format.js";
import * as markets from "./markets.js";
import { Orders } from "./orders.js";
import { showBalance, showPipeline } from "./pipeline.js";
import { Stream } from "./stream.js";
import { choose, loadTexts, otherLanguage, putTexts, t } from "./texts.js";
import { Tiles } from "./tiles.js";

const CHART_MS = 1000;
const SILENT_SECONDS = 10;

let state = {};
let chosen = null; // a commune's id
let commune = null; // what is known of it
let connection = ["connecting", ""];
let drawnAt = 0;

const orders = new Orders(() => state);
const tiles = new Tiles((id) => chooseCommune(id));
const stream = new Stream(take, (how, why = "") => {
  connection = [how, why];
  showConnection();
});

function take(news) {
  const before = state.run?.run;
  state = { ...state, ...news };
  if (news.run === null) state = { run: null, health: state.health, runs: state.runs };
  if (state.run?.run !== before) chooseCommune(null);
  show(news);
}

function show(news) {
  showNotice();
  if (news.runs) showRuns();
  if (news.health || news.faults || news.today) showPipeline(state.health, state.faults, state.today);
  if (!state.run) return;
  const { communes = [], markets: rows = [] } = state;
  if (news.run || news.today) showToday();
  if (news.balance) showBalance(state.balance);
  if (news.communes) tiles.show(communes, chosen);
  if (news.markets || news.communes) markets.show(rows, communes, chosen);
  if (news.feed) showFeed(state.feed);
  if (news.alerts) showAlerts(state.alerts);
  if (news.orders) orders.show(state.orders, communes, rows);
  if (news.pace) orders.showPace(state.pace);
  orders.places(communes, rows, chosen);
  if (news.today || news.curve || news.mix || news.communes) showCharts();
}

function showAll() {
  putTexts();
  say($("language"), t("otherLanguage"));
  put($("language"), "lang", otherLanguage());
  say($("theme"), t(isDark() ? "light" : "dark"));
  showConnection();
  drawnAt = 0;
  show(state);
}

function showToday() {
  const { run, today } = state;
  say($("province"), run.province_name ?? run.province);
  say($("clock"), today.hour_at ? moment(today.hour_at) : "");
  say($("share-count"), percent(today.share_count));
  say($("share-value"), percent(today.share_value));
  say($("payments-today"), number(today.payments));
  say($("value-today"), largeVnd(today.amount_vnd));
  put($("value-today"), "title", vnd(today.amount_vnd));
}

async function showCharts() {
  // A chart a second is as fast as one can read, and leaves the processor to others.
  if (Date.now() - drawnAt < CHART_MS) return;
  drawnAt = Date.now();
  const province = state.run.province_name ?? state.run.province;
  const name = commune?.name ?? province;
  say($("curves-title"), t("curves", { place: name }));
  say($("markets-title"), t("markets", { place: name }));
  const whole = { curve: state.curve ?? [], today: state.today };
  if (commune) {
    say($("selected"), t("selectedLine", {
      count: percent(commune.today.share_count), value: percent(commune.today.share_value),
      payments: number(commune.today.payments),
    }));
    drawCurves(commune.curve, { ...commune.today, day_at: commune.day_at }, name, whole);
    drawMix(commune.mix, name);
    await loadCommune(); // for the next time
  } else {
    say($("selected"), "");
    drawCurves(whole.curve, whole.today, name, null);
    drawMix(state.mix ?? {}, name);
  }
}

async function chooseCommune(id) {
  chosen = id;
  commune = null;
  $("clear").hidden = id === null;
  if (id !== null) await loadCommune();
  if (chosen !== id || !state.run) return;
  drawnAt = 0;
  show({ communes: true, markets: true });
}

async function loadCommune() {
  const id = chosen;
  try {
    const answer = await fetch(`/api/communes/${encodeURIComponent(id)}?run=${encodeURIComponent(state.run.run)}`);
    const found = answer.ok ? await answer.json() : null;
    if (chosen === id && found) commune = found;
  } catch {
    // The stream says that the server is away; what is known stays.
  }
}

function showRuns() {
  const select = $("run");
  const names = state.runs.map((one) => one.run);
  if (select.dataset.key !== names.join()) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
    select.dataset.key = names.join();
  }
  if (state.run) select.value = state.run.run;
  select.parentElement.hidden = names.length < 2;
}

function showConnection() {
  const [how, why] = connection;
  put($("connection"), "data-state", how);
  say($("connection"), t(how));
  put(document.body, "data-connection", how);
  showNotice(how === "error" ? t("refusedStream", { why }) : "");
}

function showNotice(error = "") {
  const { health, run } = state;
  let text = error || (connection[0] === "error" ? $("notice").textContent : "");
  if (!text && health) {
    if (health.silent_seconds > SILENT_SECONDS) text = t("silent", { seconds: number(health.silent_seconds) });
    else if (!health.ready) text = t("reading");
    else if (!run || !state.today?.run_payments) text = t("noData");
  }
  say($("notice"), text);
  $("notice").hidden = !text;
  put(document.body, "data-empty", !run);
}

const isDark = () => {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

function listen() {
  $("language").addEventListener("click", () => {
    choose(otherLanguage());
    showAll();
  });
  $("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    showAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
  $("clear").addEventListener("click", () => {
    chooseCommune(null);
    $("tiles").querySelector("[tabindex='0']")?.focus();
  });
  $("run").addEventListener("change", (event) => stream.open(event.target.value));
  markets.listen(() => show({ markets: true }));
}

try {
  await loadTexts();
  listen();
  showAll();
  stream.open(null);
} catch (error) {
  const notice = $("notice");
  notice.hidden = false;
  notice.textContent = `Quetma: ${error.message}`;
}
