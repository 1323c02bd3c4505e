// Modals and confirmation dialogs. The browser's own <dialog> keeps the focus inside and gives it back.
import { h } from "./dom.js";
import { blocks, text } from "./blocks.js";
import { valuesOf } from "./elements.js";
import { plain } from "./mrkdwn.js";

const modal = document.getElementById("modal");
const confirmBox = document.getElementById("confirm");

export function ask(confirm, world) {
  return new Promise((resolve) => {
    const done = (answer) => {
      confirmBox.close();
      resolve(answer);
    };
    confirmBox.oncancel = (event) => {
      event.preventDefault();
      done(false);
    };
    confirmBox.replaceChildren(
      h("h2", { id: "confirm-title" }, plain(confirm.title.text)),
      h("div", { class: "b-text" }, text(confirm.text, world)),
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", class: "button", onclick: () => done(false) }, confirm.deny?.text ?? "Cancel"),
        h(
          "button",
          { type: "button", class: `button ${confirm.style ?? "primary"}`, onclick: () => done(true), autofocus: true },
          confirm.confirm?.text ?? "Yes",
        ),
      ),
    );
    confirmBox.showModal();
  });
}

export function showModal(stack, world, actions) {
  const view = stack.at(-1);
  if (!view) {
    if (modal.open) modal.close();
    modal.dataset.print = "";
    return;
  }
  const print = JSON.stringify([view.id, view.hash, view.errors]);
  if (modal.dataset.print === print) return;
  modal.dataset.print = print;
  fill(view, world, actions);
  if (!modal.open) modal.showModal();
  modal.querySelector("[aria-invalid=true], .b-input input, .b-input textarea, .b-input select")?.focus();
}

function fill(view, world, actions) {
  const context = {
    world,
    key: view.id,
    heading: "h3",
    errors: view.errors,
    state: view.state.values,
    use: (item, value) => actions.use(view, item, value),
  };
  const close = () => actions.close(view);
  modal.oncancel = (event) => {
    event.preventDefault();
    close();
  };
  const form = h(
    "form",
    {
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        actions.submit(view, valuesOf(form), form);
      },
    },
    h("header", {}, h("h2", { id: "modal-title" }, plain(view.title.text))),
    h("div", { class: "modal-body", tabindex: "0", role: "group", "aria-label": "Form" }, blocks(view.blocks, context)),
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "button", class: "button", onclick: close }, plain(view.close?.text ?? "Cancel")),
      view.submit && h("button", { type: "submit", class: "button primary" }, plain(view.submit.text)),
    ),
  );
  modal.replaceChildren(form);
}
