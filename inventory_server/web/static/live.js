// Live figures: a changed figure is replaced in its place and tinted; rows never move. When the stream dies, the page
// says so and since when. One stream serves all tabs of a browser (feed-worker.js), where shared workers exist.
import { FeedStream } from "/static/feed-stream.js";

const MINUS = "\u2212";
const SILENT_MS = 45_000; // the feed says at least every 30 seconds how far it has come

function formatted(quantity, language) {
  const [whole, fraction = ""] = String(quantity).replace("-", "").split(".");
  const [thousands, point] = language === "de" ? [".", ","] : [",", "."];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, thousands);
  const sign = String(quantity).startsWith("-") ? MINUS : "";
  return sign + grouped + (fraction && point + fraction.padEnd(3, "0"));
}

function scaled(quantity) { // exact: in units of 10⁻⁵
  const [whole, fraction = ""] = String(quantity).replace("-", "").split(".");
  const units = BigInt(whole + fraction.padEnd(5, "0"));
  return String(quantity).startsWith("-") ? -units : units;
}

function unscaled(units) {
  const digits = String(units < 0n ? -units : units).padStart(6, "0");
  const fraction = digits.slice(-5).replace(/0+$/, "");
  return (units < 0n ? "-" : "") + digits.slice(0, -5) + (fraction && "." + fraction);
}

function replace(cell, quantity, language) {
  const figure = cell?.querySelector(".figure");
  const text = formatted(quantity, language);
  if (!figure || figure.textContent === text) return false;
  figure.textContent = text;
  const places = Math.min(3, (String(quantity).split(".")[1] || "").length && 3);
  cell.classList.remove("p0", "p1", "p2", "p3", "changed", "zero", "below");
  cell.classList.add(`p${places}`);
  if (/^-?0*(\.0*)?$/.test(String(quantity))) cell.classList.add("zero");
  else if (String(quantity).startsWith("-")) cell.classList.add("below");
  void cell.offsetWidth; // starts the animation once more
  cell.classList.add("changed");
  return true;
}

class LivePage {
  constructor(position, language) {
    this.position = position;
    this.language = language;
    this.heardAt = Date.now();
    this.changed = 0;
    this.rows = new Map();
    for (const row of document.querySelectorAll("tr[data-sku]")) {
      this.rows.set(row.dataset.location + "\u0000" + row.dataset.sku, row);
    }
    setInterval(() => this.check(), 1_000);
  }

  hear(message) {
    this.heardAt = Date.now();
    this.live(true);
    if (message.position === undefined || message.position <= this.position) return;
    this.position = message.position;
    for (const item of message.items) this.apply(item);
  }

  apply(item) {
    const row = this.rows.get(item.location + "\u0000" + item.sku);
    if (!row) return;
    const figures = {
      available: unscaled(scaled(item.on_hand) - scaled(item.reserved)),
      on_hand: item.on_hand, reserved: item.reserved, in_transit: item.in_transit,
    };
    for (const [name, quantity] of Object.entries(figures)) {
      this.changed += replace(row.querySelector(`[data-figure=${name}]`), quantity, this.language) ? 1 : 0;
    }
  }

  check() {
    if (Date.now() - this.heardAt > SILENT_MS) this.live(false);
    if (!this.changed) return;
    this.changed = 0;
    const summary = document.getElementById("summary");
    if (summary) summary.textContent = summary.dataset.text;
  }

  live(isLive) {
    if (document.body.classList.contains("stale") !== isLive) return;
    document.body.classList.toggle("stale", !isLive);
    const sign = document.getElementById("live");
    sign.classList.toggle("dead", !isLive);
    const word = sign.querySelector("b");
    word.textContent = isLive ? word.dataset.live : word.dataset.dead;
    const message = document.getElementById("stale");
    message.hidden = isLive;
    const told = message.querySelector("b");
    const at = new Date(this.heardAt).toLocaleTimeString("en-GB"); // 24 hours, in every language
    told.textContent = told.dataset.text.replace("{at}", at);
  }
}

export function follow(position, language) {
  const page = new LivePage(position, language);
  const take = (message) => (message.dead ? page.live(false) : page.hear(message));
  if (typeof SharedWorker !== "function") {
    new FeedStream(position, take);
    return;
  }
  const worker = new SharedWorker("/static/feed-worker.js", { type: "module" });
  worker.port.addEventListener("message", ({ data }) => take(data));
  worker.port.start();
  worker.port.postMessage({ from: position });
  window.addEventListener("pagehide", () => worker.port.postMessage({ gone: true }));
  window.addEventListener("pageshow", (event) => event.persisted && worker.port.postMessage({ from: page.position }));
}
