// Renders rich_text blocks.
import { h } from "./dom.js";
import { dated, emoji, link, mention } from "./mrkdwn.js";

const LEAF = {
  text: (leaf) => leaf.text,
  link: (leaf) => link(leaf.url, leaf.text ?? leaf.url),
  user: (leaf, world) => mention(`@${world.userName(leaf.user_id)}`, leaf.user_id === world.me),
  usergroup: (leaf, world) => mention(`@${world.groupName(leaf.usergroup_id)}`, world.inGroup(leaf.usergroup_id)),
  broadcast: (leaf) => mention(`@${leaf.range}`, true),
  channel: (leaf, world) => mention(`#${world.channelName(leaf.channel_id)}`, false),
  emoji: (leaf) => emoji(`:${leaf.name}:`),
  date: (leaf, world) => dated(leaf.timestamp, leaf.format, world),
  color: (leaf) => leaf.value,
};

function leaf(item, world) {
  let node = LEAF[item.type]?.(item, world) ?? "";
  const style = item.style ?? {};
  for (const [name, tag] of [["code", "code"], ["strike", "s"], ["italic", "em"], ["bold", "strong"]]) {
    if (style[name]) node = h(tag, {}, node);
  }
  return node;
}

export function richText(block, world) {
  return block.elements.map((part) => {
    const inside = () => part.elements.map((item) => leaf(item, world));
    if (part.type === "rich_text_preformatted") return h("pre", {}, inside());
    if (part.type === "rich_text_quote") return h("blockquote", {}, inside());
    if (part.type === "rich_text_list") {
      const items = part.elements.map((item) => h("li", {}, item.elements.map((one) => leaf(one, world))));
      return h(part.style === "ordered" ? "ol" : "ul", {}, items);
    }
    return h("p", { class: "rich" }, inside());
  });
}
