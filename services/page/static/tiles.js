// In: communes with their shares. Out: tiles coloured by share, with the number on each; one can be chosen.

import { $, element, keyed, put, say } from "./dom.js";
import { number, percent, shortName } from "./format.js";
import { t } from "./texts.js";

export class Tiles {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.box = $("tiles");
    this.box.addEventListener("click", (event) => {
      const tile = event.target.closest("[role=option]");
      if (tile) this.choose(tile.dataset.key);
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  show(communes, chosen) {
    this.chosen = chosen;
    if (!communes.some((one) => one.id === this.current)) this.current = chosen ?? communes[0]?.id;
    keyed(this.box, communes, (one) => one.id, make, (tile, one) => this.fill(tile, one));
  }

  fill(tile, one) {
    const name = shortName(one.name);
    const share = percent(one.share_count, 0);
    say(tile.children[0], name);
    say(tile.children[1], share);
    put(tile, "aria-selected", one.id === this.chosen);
    put(tile, "tabindex", one.id === this.current ? 0 : -1);
    put(tile, "title", `${one.name}: ${percent(one.share_count)}, ${number(one.payments)} ${t("payments").toLowerCase()}`);
    const [background, ink] = colours(one.share_count);
    tile.style.setProperty("--tile", background);
    tile.style.setProperty("--tile-ink", ink);
  }

  key(event) {
    const tiles = [...this.box.children];
    const at = tiles.findIndex((tile) => tile.dataset.key === this.current);
    const columns = getComputedStyle(this.box).gridTemplateColumns.split(" ").length;
    const steps = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: tiles.length - 1 - at,
    };
    if (event.key in steps) {
      const next = tiles[Math.max(0, Math.min(tiles.length - 1, at + steps[event.key]))];
      tiles[at]?.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      this.current = next.dataset.key;
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      this.choose(this.current);
    } else if (event.key === "Escape") {
      this.onChoose(null);
    } else {
      return;
    }
    event.preventDefault();
  }

  choose(id) {
    this.current = id;
    this.onChoose(id === this.chosen ? null : id);
  }
}

function make() {
  const tile = element("li");
  tile.setAttribute("role", "option");
  tile.append(element("span", "name"), element("b", "numbers"));
  return tile;
}

// The scale is fixed from 0 to 100%, so that colours of different days can be compared. Ink is black or white,
// whichever can be read better: one of both always has a contrast above 4.5.
export function colours(share) {
  if (share == null) return ["var(--empty)", "var(--ink-soft)"];
  const [low, high] = [end("--scale-low"), end("--scale-high")];
  const rgb = low.map((from, index) => Math.round(from + (high[index] - from) * share));
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return [`rgb(${rgb.join(" ")})`, light > 0.179 ? "#000" : "#fff"];
}

function end(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).match(/\d+/g).map(Number);
}
