// The page: keeps what is chosen, redraws what changed, sends what the user does.
import * as api from "./api.js";
import { ask, showModal } from "./dialogs.js";
import { blocks } from "./blocks.js";
import { h, keyed } from "./dom.js";
import { message } from "./messages.js";
import { World, flagsOf } from "./world.js";

const $ = (id) => document.getElementById(id);
const permalink = location.pathname.match(/^\/archives\/([^/]+)\/p(\d+)(\d{6})$/);
const chosen = {
  user: sessionStorage.getItem("user") ?? "",
  place: permalink?.[1] ?? location.hash.slice(1),
  thread: null,
};
const seen = new Map();
let world = null;
let busy = false;
let again = false;

// drawing

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    do {
      again = false;
      await load();
    } while (again);
  } finally {
    busy = false;
  }
}

async function load() {
  const user = chosen.user;
  const state = await api.state(user);
  if (user !== chosen.user) {
    again = true;
    return;
  }
  world = new World(state);
  if (chosen.place !== "home" && !world.channels.has(chosen.place)) chosen.place = state.channels[0]?.id ?? "home";
  draw();
}

function draw() {
  const { state } = world;
  $("team").textContent = state.team.name;
  document.title = `${state.team.name} · ${state.app.name}`;
  drawActor();
  drawPlaces();
  drawPlace();
  drawThread();
  drawNotices();
  $("commands").replaceChildren(
    ...state.commands.map((command) => h("option", { value: `${command.command} ` }, command.description)),
  );
  showModal(state.modals, world, viewActions);
  // Says whose view is drawn: after a switch the old one stands for a moment.
  document.body.dataset.user = world.me;
}

function drawActor() {
  const list = world.state.users.filter((user) => !user.is_bot);
  if ($("actor").options.length !== list.length) {
    $("actor").replaceChildren(...list.map((user) => h("option", { value: user.id }, user.real_name)));
  }
  $("actor").value = chosen.user;
  const me = world.users.get(chosen.user);
  const flags = [me.email, flagsOf(me, world.state.groups, world.state.team.id), me.tz];
  $("actor-flags").textContent = flags.filter(Boolean).join(" · ");
}

const lastOf = (channel) => world.state.messages[channel].at(-1)?.ts ?? "0";
const unread = (channel) => {
  const since = seen.get(`${chosen.user} ${channel}`) ?? "0";
  return world.state.messages[channel].filter((item) => item.ts > since && item.user !== chosen.user).length;
};

function drawPlaces() {
  const { channels, app, home_enabled: home } = world.state;
  const section = (title, items) =>
    items.length ? [h("h2", {}, title), h("ul", {}, items.map((item) => h("li", {}, item)))] : [];
  const open = channels.filter((channel) => !channel.is_im).map((channel) => placeButton(channel.id, `# ${channel.name}`));
  const direct = channels.filter((channel) => channel.is_im).map((channel) => placeButton(channel.id, `✦ ${app.name}`));
  if (home) direct.push(placeButton("home", "⌂ App Home"));
  const focused = document.activeElement?.dataset?.place;
  $("places").replaceChildren(...section("Channels", open), ...section("App", direct));
  if (focused) $("places").querySelector(`[data-place="${focused}"]`)?.focus();
}

function placeButton(id, label) {
  const current = id === chosen.place;
  if (current && id !== "home") seen.set(`${chosen.user} ${id}`, lastOf(id));
  const count = id === "home" ? 0 : unread(id);
  return h(
    "button",
    { type: "button", "data-place": id, "aria-current": current ? "page" : undefined, onclick: () => go(id) },
    h("span", {}, label),
    count > 0 && h("span", { class: "badge" }, String(count), h("span", { class: "hidden" }, " new")),
  );
}

function drawPlace() {
  const atHome = chosen.place === "home";
  const channel = world.channels.get(chosen.place);
  $("place").textContent = atHome ? "App Home" : world.title(channel);
  $("place-detail").textContent = atHome ? `What ${world.state.app.name} shows you` : detail(channel);
  $("log").hidden = atHome;
  $("home").hidden = !atHome;
  $("composer").hidden = atHome;
  const label = atHome ? "" : `Message ${world.title(channel)}`;
  $("composer-label").textContent = label;
  $("composer-text").placeholder = `${label} or type a /command`;
  return atHome ? drawHome() : drawLog(channel);
}

function detail(channel) {
  if (channel.is_im) return "Direct messages with the app";
  return [`${channel.members.length} members`, channel.topic].filter(Boolean).join(" · ");
}

function drawHome() {
  const view = world.state.home;
  const print = JSON.stringify([view, world.me]);
  if ($("home").dataset.print === print) return;
  $("home").dataset.print = print;
  const context = { world, key: "home", state: view?.state.values, use: (item, value) => use(view, item, value) };
  const content = view ? blocks(view.blocks, context) : [h("p", { class: "empty" }, "The app has not shown anything here yet.")];
  $("home").replaceChildren(...content);
}

function drawLog(channel) {
  const all = world.state.messages[channel.id];
  const shown = all.filter((item) => !item.thread_ts || item.thread_ts === item.ts || item.only_you);
  for (const item of shown) item.replies = all.filter((other) => other.thread_ts === item.ts && other.ts !== item.ts).length;
  const scroll = $("scroll");
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80 || $("log").dataset.place !== channel.id;
  $("log").dataset.place = channel.id;
  const rows = shown.map((item) => [`${channel.id}-${item.ts}`, JSON.stringify([item, world.me]), item]);
  keyed($("log"), rows.length ? rows : [["empty", "", null]], (item) =>
    item ? message(item, world, { click, thread: openThread }) : h("p", { class: "empty" }, "Nothing has been said here yet."),
  );
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
}

function drawThread() {
  const all = world.state.messages[chosen.place] ?? [];
  const rows = chosen.thread ? all.filter((item) => [item.ts, item.thread_ts].includes(chosen.thread) && !item.only_you) : [];
  $("thread").hidden = rows.length === 0;
  $("shell").classList.toggle("with-thread", rows.length > 0);
  keyed($("thread-log"), rows.map((item) => [item.ts, JSON.stringify([item, world.me]), item]), (item) => {
    const node = message(item, world, { click });
    node.removeAttribute("id");
    return node;
  });
}

let dismissed = 0;

function drawNotices() {
  const fresh = world.state.notices.filter((notice) => notice.at > dismissed);
  const close = (notice) => {
    dismissed = notice.at;
    drawNotices();
  };
  keyed($("notices"), fresh.map((notice) => [String(notice.at), notice.text, notice]), (notice) =>
    h(
      "p",
      { class: "notice" },
      h("span", {}, notice.text, " ", h("code", {}, notice.error)),
      h("button", { type: "button", class: "icon", "aria-label": "Dismiss", onclick: () => close(notice) }, "✕"),
    ),
  );
}

// doing

async function attempt(work, control) {
  control?.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    const notice = { at: Date.now() / 1000, text: error.message, error: "not possible" };
    world.state.notices.push(notice);
    drawNotices();
    return null;
  } finally {
    control?.removeAttribute("aria-busy");
    await refresh();
  }
}

const agreed = async (item) => !item.confirm || (await ask(item.confirm, world));

async function click(item, element, value) {
  if (!(await agreed(element))) return;
  const node = document.activeElement;
  const more = { channel: chosen.place, ts: item.ts, action_id: element.action_id, value };
  await attempt(() => api.act(chosen.user, "click", more), node);
}

async function use(view, element, value) {
  if (!(await agreed(element))) return;
  await attempt(() => api.act(chosen.user, "use", { view_id: view.id, action_id: element.action_id, value }));
}

const viewActions = {
  use,
  close: (view) => attempt(() => api.act(chosen.user, "close", { view_id: view.id })),
  submit: (view, values, form) => attempt(() => api.act(chosen.user, "submit", { view_id: view.id, values }), form),
};

async function send(text, threadTs) {
  const [command, ...rest] = text.split(" ");
  if (command.startsWith("/") && !threadTs) {
    const more = { command, text: rest.join(" ").trim(), channel: chosen.place };
    await attempt(() => api.act(chosen.user, "slash", more));
  } else {
    await attempt(() => api.act(chosen.user, "say", { channel: chosen.place, text, thread_ts: threadTs ?? null }));
  }
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

function composer(form, thread) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = form.elements.text;
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    await send(text, thread());
    field.focus();
  });
}

async function go(id) {
  chosen.place = id;
  chosen.thread = null;
  history.replaceState(null, "", `/#${id}`);
  drawer(false);
  draw();
  if (id === "home") await attempt(() => api.act(chosen.user, "open_home"));
}

function openThread(item) {
  chosen.thread = item.ts;
  drawThread();
  $("thread-text").focus();
}

function drawer(open) {
  $("shell").classList.toggle("with-side", open);
  $("menu").setAttribute("aria-expanded", String(open));
}

async function start() {
  // Any known user will do to learn who else there is; the first answer corrects a choice that is gone.
  const first = await fetch("/control/people").then((response) => response.json());
  if (!first.some((user) => user.id === chosen.user)) chosen.user = first[0].id;
  $("actor").addEventListener("change", async (event) => {
    chosen.user = event.target.value;
    chosen.thread = null;
    sessionStorage.setItem("user", chosen.user);
    await refresh();
  });
  $("menu").addEventListener("click", () => drawer(!$("shell").classList.contains("with-side")));
  $("thread-close").addEventListener("click", () => {
    chosen.thread = null;
    drawThread();
    $("composer-text").focus();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && drawer(false));
  composer($("composer"), () => null);
  composer($("thread-composer"), () => chosen.thread);
  await refresh();
  if (permalink) document.getElementById(`m-${permalink[2]}.${permalink[3]}`)?.scrollIntoView({ block: "center" });
  api.onChange(refresh);
}

start();
