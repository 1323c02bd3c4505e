// Renders Slack's mrkdwn as DOM nodes the way Slack would: control sequences become mentions, links and dates.
import { h } from "./dom.js";

// Text symbols rather than colour emoji: fonts without emoji show these too.
const EMOJI = {
  white_check_mark: "✔", heavy_check_mark: "✔", ballot_box_with_check: "☑", x: "✖", heavy_multiplication_x: "✖",
  warning: "⚠", no_entry: "⊘", no_entry_sign: "⊘", hourglass: "◔", hourglass_flowing_sand: "◔", alarm_clock: "◷",
  clock1: "◷", star: "★", pencil: "✎", memo: "✎", lock: "⚿", information_source: "ℹ", arrow_right: "→", bell: "♪",
  large_green_circle: "●", red_circle: "●", large_yellow_circle: "●", white_circle: "○", point_right: "☞",
};

const decode = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
export const emoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);

export function plain(text) {
  return emoji(text ?? "");
}

export function mrkdwn(text, world) {
  const out = [];
  for (const piece of text.split(/(```[\s\S]+?```)/)) {
    const fence = piece.match(/^```([\s\S]+?)```$/);
    if (fence) out.push(h("pre", {}, decode(fence[1].replace(/^\n/, ""))));
    else if (piece) out.push(...lines(piece, world));
  }
  return out;
}

function lines(text, world) {
  const out = [];
  let quote = null;
  text.split("\n").forEach((line, index) => {
    const quoted = line.match(/^(?:&gt;|>) ?(.*)$/);
    if (quoted) {
      if (!quote) out.push((quote = h("blockquote")));
      else quote.append(h("br"));
      quote.append(...inline(quoted[1], world));
      return;
    }
    if (index > 0 && !quote) out.push(h("br"));
    quote = null;
    out.push(...inline(line, world));
  });
  return out;
}

const INLINE = /(`[^`\n]+`)|(<[^<>\n]+>)|(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])|(?<!\w)_(\S(?:[^_\n]*\S)?)_(?!\w)|(?<![\w~])~(\S(?:[^~\n]*\S)?)~(?![\w~])/g;

function inline(text, world) {
  const out = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    out.push(emoji(decode(text.slice(last, match.index))));
    const [all, code, control, bold, italic, strike] = match;
    if (code) out.push(h("code", {}, decode(code.slice(1, -1))));
    else if (control) out.push(controlled(control.slice(1, -1), world));
    else if (bold) out.push(h("strong", {}, inline(bold, world)));
    else if (italic) out.push(h("em", {}, inline(italic, world)));
    else out.push(h("s", {}, inline(strike, world)));
    last = match.index + all.length;
  }
  out.push(emoji(decode(text.slice(last))));
  return out;
}

function controlled(inside, world) {
  const [target, label] = inside.split(/\|(.*)/s);
  if (/^@[UW]/.test(target)) return mention(`@${world.userName(target.slice(1))}`, target.slice(1) === world.me);
  if (target.startsWith("!subteam^")) return mention(`@${world.groupName(target.slice(9))}`, world.inGroup(target.slice(9)));
  if (target.startsWith("!date^")) return when(target, label, world);
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`, true);
  if (target.startsWith("#")) return mention(`#${world.channelName(target.slice(1))}`, false);
  return link(target, label);
}

export function link(target, label) {
  const address = decode(target);
  if (!/^(https?|mailto):/i.test(address)) return `<${decode(target)}>`;
  return h("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, decode(label || address));
}

export const mention = (text, mine) => h("span", { class: mine ? "mention mine" : "mention" }, text);

function when(target, fallback, world) {
  const [, seconds, format] = target.match(/^!date\^(\d+)\^([^^]*)/) ?? [];
  return seconds ? dated(Number(seconds), format, world) : fallback ?? "";
}

const STYLES = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  time: { hour: "numeric", minute: "2-digit" },
  time_secs: { hour: "numeric", minute: "2-digit", second: "2-digit" },
};

export function dated(seconds, format, world) {
  const moment = new Date(seconds * 1000);
  const text = format.replace(/\{(\w+?)(_pretty)?\}/g, (all, name) => {
    if (name === "ago") return ago(moment);
    return STYLES[name] ? new Intl.DateTimeFormat("en-US", { ...STYLES[name], timeZone: world.zone }).format(moment) : all;
  });
  return h("time", { datetime: moment.toISOString(), title: `${moment.toISOString()} · shown in ${world.zone}` }, text);
}

function ago(moment) {
  const minutes = Math.round((moment - Date.now()) / 60000);
  const [unit, size] = Math.abs(minutes) < 60 ? ["minute", 1] : Math.abs(minutes) < 1440 ? ["hour", 60] : ["day", 1440];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(minutes / size), unit);
}
