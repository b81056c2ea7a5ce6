// In: markets with their shares, ranked. Out: rows of the table; of one commune if one is chosen.

import { $, element, keyed, put, say } from "./dom.js";
import { largeVnd, number, percent, shortName } from "./format.js";
import { t } from "./texts.js";

const FEW = 10;
let all = false;

export function listen(redraw) {
  $("more-markets").addEventListener("click", () => {
    all = !all;
    redraw();
  });
}

export function show(markets, communes, chosen) {
  const names = new Map(communes.map((one) => [one.id, one.name]));
  const here = chosen ? markets.filter((one) => one.commune === chosen) : markets;
  const shown = all ? here : here.slice(0, FEW);
  keyed($("markets"), shown, (one) => one.id, make, (row, one, index) => fill(row, one, index, names));
  $("no-markets").hidden = here.length > 0;
  const more = $("more-markets");
  more.hidden = here.length <= FEW;
  put(more, "aria-expanded", all);
  say(more, all ? t("fewerMarkets") : t("allMarkets", { count: number(here.length) }));
}

function make() {
  const row = element("tr");
  const name = element("th");
  name.scope = "row";
  const share = element("td", "share");
  share.append(element("i"), element("span", "numbers"));
  row.append(
    element("td", "number numbers"), name, element("td", "wide"), share,
    element("td", "number numbers"), element("td", "number numbers wide"),
  );
  return row;
}

function fill(row, one, index, names) {
  const [rank, name, commune, share, payments, value] = row.children;
  say(rank, String(index + 1));
  say(name, shortName(one.name));
  say(commune, shortName(names.get(one.commune) ?? one.commune));
  share.firstChild.style.setProperty("--share", one.share_count ?? 0);
  say(share.lastChild, percent(one.share_count));
  say(payments, number(one.payments));
  say(value, largeVnd(one.amount_vnd));
}
