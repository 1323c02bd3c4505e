// Renders interactive elements. In a form (context.named) values are kept and read on submit; elsewhere they are sent at once.
import { h } from "./dom.js";
import { plain } from "./mrkdwn.js";

const optionsOf = (item) => (item.option_groups ?? [item]).flatMap((group) => group.options ?? []);

function common(item, block, context) {
  const { named } = context;
  return {
    id: named?.id,
    "data-block": block.block_id,
    "data-action": item.action_id,
    "data-type": item.type,
    "aria-label": named ? undefined : item.accessibility_label ?? item.placeholder?.text ?? item.action_id,
    "aria-describedby": named?.describedBy,
    "aria-invalid": named?.invalid ? "true" : undefined,
    "aria-required": named?.required ? "true" : undefined,
  };
}

const saved = (item, block, context) => context.state?.[block.block_id]?.[item.action_id] ?? {};

function button(item, block, context) {
  return h(
    "button",
    {
      ...common(item, block, { ...context, named: undefined }),
      type: "button",
      class: `button ${item.style ?? ""}`,
      "aria-label": item.accessibility_label,
      onclick: () => {
        if (item.url) window.open(item.url, "_blank", "noopener,noreferrer");
        context.use(item, item.value ?? null, block);
      },
    },
    plain(item.text.text),
  );
}

function select(item, block, context, choices, chosen) {
  const change = (event) => !context.named && context.use(item, event.target.value, block);
  return h(
    "select",
    { ...common(item, block, context), onchange: change },
    h("option", { value: "", selected: !chosen }, item.placeholder?.text ?? "Choose…"),
    choices.map(([value, label]) => h("option", { value, selected: value === chosen }, label)),
  );
}

function many(item, block, context, chosen) {
  const change = (event) => !context.named && context.use(item, selectedOf(event.target), block);
  const choices = optionsOf(item);
  const label = ({ text, description }) => [text, description].filter(Boolean).map((part) => plain(part.text)).join(" · ");
  return h(
    "select",
    { ...common(item, block, context), multiple: true, size: Math.min(choices.length, 6), onchange: change },
    choices.map((option) => h("option", { value: option.value, selected: chosen.includes(option.value) }, label(option))),
  );
}

const selectedOf = (node) => [...node.selectedOptions].map((option) => option.value);

function ticks(item, block, context, type, chosen) {
  const name = `${context.key}-${block.block_id}-${item.action_id}`;
  const send = () => {
    const values = [...document.getElementsByName(name)].filter((box) => box.checked).map((box) => box.value);
    if (!context.named) context.use(item, type === "radio" ? values[0] : values, block);
  };
  const rows = optionsOf(item).map((option) =>
    h(
      "label",
      { class: "tick" },
      h("input", { type, name, value: option.value, checked: chosen.includes(option.value), onchange: send }),
      h("span", {}, plain(option.text.text)),
      option.description && h("span", { class: "quiet" }, plain(option.description.text)),
    ),
  );
  return h("div", { "data-block": block.block_id, "data-action": item.action_id, "data-type": item.type }, rows);
}

function typed(item, block, context) {
  const value = saved(item, block, context).value ?? item.initial_value ?? "";
  const attributes = { ...common(item, block, context), placeholder: item.placeholder?.text, maxlength: item.max_length };
  if (item.multiline) return h("textarea", { ...attributes, rows: 4, value: undefined }, value);
  const types = { number_input: "number", email_text_input: "email", url_text_input: "url" };
  return h("input", { ...attributes, type: types[item.type] ?? "text", value });
}

function picker(item, block, context, type, field) {
  const value = saved(item, block, context)[`selected_${field}`] ?? item[`initial_${field}`] ?? "";
  const change = (event) => !context.named && context.use(item, event.target.value, block);
  return h("input", { ...common(item, block, context), type, value, onchange: change });
}

const BUILD = {
  button,
  static_select: (item, block, context) => {
    const chosen = saved(item, block, context).selected_option ?? item.initial_option;
    const choices = optionsOf(item).map((option) => [option.value, plain(option.text.text)]);
    return select(item, block, context, choices, chosen?.value);
  },
  multi_static_select: (item, block, context) => {
    const chosen = saved(item, block, context).selected_options ?? item.initial_options ?? [];
    return many(item, block, context, chosen.map((option) => option.value));
  },
  overflow: (item, block, context) => {
    const choices = optionsOf(item).map((option) => [option.value, plain(option.text.text)]);
    return select({ ...item, placeholder: { text: "More…" } }, block, context, choices, undefined);
  },
  users_select: (item, block, context) => {
    const people = context.world.people.map((user) => [user.id, user.real_name]);
    return select(item, block, context, people, saved(item, block, context).selected_user ?? item.initial_user);
  },
  conversations_select: (item, block, context) =>
    select(item, block, context, context.world.places, saved(item, block, context).selected_conversation),
  channels_select: (item, block, context) =>
    select(item, block, context, context.world.places, saved(item, block, context).selected_channel),
  datepicker: (item, block, context) => picker(item, block, context, "date", "date"),
  timepicker: (item, block, context) => picker(item, block, context, "time", "time"),
  radio_buttons: (item, block, context) => {
    const chosen = saved(item, block, context).selected_option ?? item.initial_option;
    return ticks(item, block, context, "radio", chosen ? [chosen.value] : []);
  },
  checkboxes: (item, block, context) => {
    const chosen = saved(item, block, context).selected_options ?? item.initial_options ?? [];
    return ticks(item, block, context, "checkbox", chosen.map((option) => option.value));
  },
  plain_text_input: typed,
  email_text_input: typed,
  url_text_input: typed,
  number_input: typed,
  image: (item) => h("img", { class: "thumb", src: item.image_url, alt: item.alt_text }),
};

export function element(item, block, context) {
  const build = BUILD[item.type];
  return build ? build(item, block, context) : h("span", { class: "quiet" }, `[${item.type} is not shown here]`);
}

// Reads a form as {block_id: {action_id: value}}; empty means null.
export function valuesOf(form) {
  const values = {};
  for (const node of form.querySelectorAll("[data-action]")) {
    const { block, action, type } = node.dataset;
    if (type === "button" || type === "overflow") continue;
    values[block] ??= {};
    values[block][action] = valueOf(node, type);
  }
  return values;
}

function valueOf(node, type) {
  if (type === "checkboxes") return [...node.querySelectorAll(":checked")].map((box) => box.value);
  if (type === "multi_static_select") return selectedOf(node);
  if (type === "radio_buttons") return node.querySelector(":checked")?.value ?? null;
  return node.value === "" ? null : node.value;
}
