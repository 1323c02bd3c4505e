// Renders Block Kit blocks. What a user does with an element goes to the `use(element, value)` callback.
import { h } from "./dom.js";
import { mrkdwn, plain } from "./mrkdwn.js";
import { richText } from "./rich_text.js";
import { element } from "./elements.js";

export function text(object, world) {
  return object.type === "mrkdwn" ? mrkdwn(object.text, world) : plain(object.text);
}

const BUILD = {
  section: (block, context) =>
    h(
      "div",
      { class: "b-section" },
      h(
        "div",
        { class: "b-section-main" },
        block.text && h("div", { class: "b-text" }, text(block.text, context.world)),
        block.fields &&
          h("ul", { class: "b-fields" }, block.fields.map((field) => h("li", {}, text(field, context.world)))),
      ),
      block.accessory && h("div", { class: "b-accessory" }, element(block.accessory, block, context)),
    ),
  header: (block, context) => h(context.heading ?? "h2", { class: "b-header" }, plain(block.text.text)),
  divider: () => h("hr"),
  context: (block, context) =>
    h(
      "div",
      { class: "b-context" },
      block.elements.map((item) =>
        item.type === "image" ? image(item) : h("span", {}, text(item, context.world)),
      ),
    ),
  actions: (block, context) =>
    h("div", { class: "b-actions" }, block.elements.map((item) => element(item, block, context))),
  image: (block) =>
    h("figure", {}, block.title && h("figcaption", {}, plain(block.title.text)), image(block)),
  rich_text: (block, context) => h("div", { class: "b-text" }, richText(block, context.world)),
  markdown: (block) => h("div", { class: "b-text b-markdown" }, block.text),
  input: (block, context) => input(block, context),
};

const image = (item) => h("img", { src: item.image_url, alt: item.alt_text, loading: "lazy" });

function input(block, context) {
  const id = `${context.key}-${block.block_id}`;
  const error = context.errors?.[block.block_id];
  const hint = block.hint?.text;
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
  const grouped = ["checkboxes", "radio_buttons"].includes(block.element.type);
  const named = { id, describedBy: described, invalid: Boolean(error), required: !block.optional };
  const label = [plain(block.label.text), block.optional && h("span", { class: "quiet" }, " (optional)")];
  return h(
    grouped ? "fieldset" : "div",
    { class: error ? "b-input wrong" : "b-input", "aria-describedby": grouped ? described : undefined },
    grouped ? h("legend", {}, label) : h("label", { for: id }, label),
    element(block.element, block, { ...context, named }),
    hint && h("p", { class: "quiet", id: `${id}-hint` }, hint),
    error && h("p", { class: "error", id: `${id}-error` }, error),
  );
}

export function blocks(list, context) {
  return list.map((block) => {
    const build = BUILD[block.type];
    return build ? build(block, context) : h("p", { class: "quiet" }, `[${block.type} is not shown here]`);
  });
}
