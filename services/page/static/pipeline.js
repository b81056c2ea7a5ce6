// In: the pipeline's figures and the balance of the books. Out: words and numbers, with what is wrong standing out.

import { $, element, keyed, put, say } from "./dom.js";
import { number, signed } from "./format.js";
import { t } from "./texts.js";

const OBJECTIVE_MS = 500;
const SILENT_SECONDS = 5;

export function showPipeline(health, faults, today) {
  const letters = Object.entries(health.dead_letters);
  const { p50, p95, p99 } = health.latency_ms;
  const rows = [
    ["runPayments", number(today?.run_payments)],
    ["lag", number(health.lag)],
    ["latency", p50 == null ? t("notYet") : `p50 ${number(p50)} · p95 ${number(p95)} · p99 ${number(p99)} ms`,
      p99 > OBJECTIVE_MS],
    ["duplicates", number(faults?.duplicates)],
    ["late", number(faults?.late)],
    ["deadLetters", letters.length ? letters.map(([name, count]) => `${number(count)} ${name}`).join(", ") : "0"],
    ["lastRead", t("secondsAgo", { seconds: number(health.silent_seconds) }), health.silent_seconds > SILENT_SECONDS],
  ];
  keyed($("pipeline"), rows, (row) => row[0], make, (box, [name, value, wrong]) => {
    say(box.children[0], t(name));
    say(box.children[1], value);
    put(box, "data-state", wrong ? "differs" : "");
  });
}

function make() {
  const box = element("div");
  box.append(element("dt"), element("dd"));
  return box;
}

export function showBalance(balance) {
  const { payments, amount_vnd: amount, state } = balance;
  put($("balance"), "data-state", state);
  put($("balance-state"), "data-state", state);
  say($("balance-state"), t(state));
  say($("balance-words"), t(`${state}Words`, {
    places: number(balance.places), differing: number(balance.differing),
  }));
  say($("ledger-payments"), number(payments.ledger));
  say($("aggregate-payments"), number(payments.aggregates));
  say($("difference-payments"), signed(payments.aggregates - payments.ledger));
  say($("ledger-vnd"), number(amount.ledger));
  say($("aggregate-vnd"), number(amount.aggregates));
  say($("difference-vnd"), signed(amount.aggregates - amount.ledger));
  say($("balance-days"), balance.days === 0 ? "" : t("balanceDays", {
    exact: number(balance.exact_days), days: number(balance.days), outside: number(balance.outside),
  }));
}
