// Renders messages.
import { h } from "./dom.js";
import { blocks } from "./blocks.js";
import { mrkdwn } from "./mrkdwn.js";

const HUES = ["#0b6e66", "#8a4b08", "#5b3f8c", "#9b2c4e", "#2d5fa0", "#4d6b1f", "#7a3b2e", "#3f5661"];

export function avatar(user, bot) {
  const name = user?.real_name ?? "?";
  const initials = name.split(" ").map((word) => word[0]).slice(0, 2).join("").toUpperCase();
  const hue = [...(user?.id ?? "?")].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) >>> 0;
  const node = h("span", { class: bot ? "avatar bot" : "avatar", "aria-hidden": "true" }, bot ? "✦" : initials);
  if (!bot) node.style.setProperty("--hue", HUES[hue % HUES.length]);
  return node;
}

export function clock(ts, zone, style = { hour: "2-digit", minute: "2-digit" }) {
  return new Intl.DateTimeFormat("en-GB", { ...style, timeZone: zone }).format(new Date(Number(ts) * 1000));
}

export function message(item, world, actions) {
  const user = world.users.get(item.user);
  const name = item.bot_id ? world.state.app.name : (user?.real_name ?? item.user);
  const context = { world, key: item.ts, use: (element, value) => actions.click(item, element, value) };
  const body = item.blocks?.length
    ? h("div", { class: item.blocks.length > 1 ? "card" : "" }, blocks(item.blocks, context))
    : h("div", { class: "b-text" }, mrkdwn(item.text, world));
  const full = clock(item.ts, world.zone, { dateStyle: "full", timeStyle: "medium" });
  return h(
    "article",
    { class: item.only_you ? "message private" : "message", id: `m-${item.ts}`, "aria-label": `${name}: ${item.text}` },
    avatar(user, item.bot_id),
    h(
      "div",
      { class: "message-body" },
      item.only_you && h("p", { class: "only-you" }, "Only visible to you"),
      h(
        "p",
        { class: "byline" },
        h("strong", {}, name),
        item.bot_id && h("span", { class: "tag" }, "app"),
        h("time", { datetime: new Date(Number(item.ts) * 1000).toISOString(), title: full }, clock(item.ts, world.zone)),
        item.edited && !item.only_you && h("span", { class: "quiet" }, "(edited)"),
      ),
      body,
      foot(item, world, actions),
    ),
  );
}

function foot(item, world, actions) {
  const pings = item.pings.map((target) => world.pingName(target)).join(", ");
  const threaded = actions.thread && !item.only_you;
  if (!pings && !threaded) return null;
  return h(
    "div",
    { class: "foot" },
    pings && h("span", { class: "quiet" }, `Notifies ${pings}`),
    threaded &&
      h(
        "button",
        { type: "button", class: item.replies ? "link" : "link reply", onclick: () => actions.thread(item) },
        item.replies ? `${item.replies} ${item.replies === 1 ? "reply" : "replies"}` : "Reply in thread",
      ),
  );
}
