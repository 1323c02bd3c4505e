// What pages do beyond reading: times in the reader's zone, ages that stay true, and lists that follow what happens.
// Every page works without it.
"use strict";

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days) return `${days} day${days === 1 ? "" : "s"}${hours % 24 ? ` ${hours % 24} h` : ""}`;
  if (hours) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function tell(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-utc])")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = long.format(moment);
    const seconds = (Date.now() - moment.getTime()) / 1000;
    const text = "age" in time.dataset ? (seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`) : ("seconds" in time.dataset ? exact : zone).format(moment);
    if (time.textContent !== text) time.textContent = text;
  }
}

function place(element) {
  return element?.id ? `#${CSS.escape(element.id)}` : element?.getAttribute?.("href") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}

let asking = false;
let again = false;

async function follow() {
  if (asking) return void (again = true);
  const regions = [...document.querySelectorAll("[data-live]")];
  if (!regions.length || document.querySelector("[data-live] details[open]") || getSelection()?.type === "Range") return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error", cache: "no-store" });
    if (answer.ok) replace(regions, new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The stream tells us again; a page that cannot be fetched now stays as it is.
  } finally {
    asking = false;
    if (again) {
      again = false;
      setTimeout(follow, 500);
    }
  }
}

function replace(regions, fresh) {
  let changed = false;
  for (const region of regions) {
    const next = fresh.querySelector(`[data-live="${region.dataset.live}"]`);
    if (!next) continue;
    tell(next);
    if (!next.dataset.every) delete region.dataset.every;
    if (next.innerHTML === region.innerHTML) continue;
    const focused = region.contains(document.activeElement) ? place(document.activeElement) : null;
    region.replaceChildren(...next.childNodes);
    if (focused) region.querySelector(focused)?.focus({ preventScroll: true });
    changed = true;
  }
  if (changed) document.getElementById("live").textContent = "The page has changed: it shows what is the case now.";
}

function keepAsking() {
  const every = Number(document.querySelector("[data-live][data-every]")?.dataset.every);
  if (every) setTimeout(() => follow().finally(keepAsking), every);
}

// A plot that is wider than the screen begins with its newest days.
for (const plot of document.querySelectorAll(".plot")) plot.scrollLeft = plot.scrollWidth;

// The button of a dry run counts what is not left out.
const spared = [...document.querySelectorAll('input[form="start"]')];
for (const box of spared) {
  box.addEventListener("change", () => {
    const button = document.querySelector("#start button");
    const left = Number(button.dataset.total) - spared.filter((each) => each.checked).length;
    button.textContent = `${button.dataset.verb} ${left === 1 ? "this one" : `these ${left.toLocaleString("en")}`}`;
    button.disabled = left === 0;
  });
}

tell(document);
setInterval(() => tell(document), 30_000);
if (document.querySelector("[data-live]")) {
  keepAsking();
  const stream = new EventSource("/live");
  stream.addEventListener("changed", follow);
  // What happened between the page's making and the stream's beginning; later the stream goes on where it stopped.
  stream.addEventListener("open", follow, { once: true });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && follow());
}
