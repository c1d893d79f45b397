// One phone: a chat with the bot as its person sees it.
import { draw, payload } from "./words.js";

const NEAR_PIXELS = 60;
const TOAST_MILLISECONDS = 3500;
const TALLEST_PICTURE = 300;

function make(tag, className, content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content !== undefined) node.textContent = content;
  return node;
}

export class Phone {
  constructor(number, { act, visible, changed }) {
    this.act = act;
    this.visible = visible;
    this.changed = changed;
    this.element = document.querySelector("#phone").content.firstElementChild.cloneNode(true);
    this.drawn = new Map();
    this.unread = 0;
    this.newest = null;
    this.firstUnread = null;
    this.person = null;
    this.editing = null;
    this.element.id = `phone-${number}`;
    this.wire();
  }

  find(selector) { return this.element.querySelector(selector); }

  show(phone, page) {
    const log = this.find(".log");
    const first = this.person !== phone.person.id;
    if (first) this.forget(phone);
    const near = first || log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PIXELS;
    this.phone = phone;
    this.page = page;
    this.showHead();
    const fresh = this.showMessages(first);
    this.showFoot();
    this.showToast(first);
    if (fresh) this.count(fresh, first);
    if (near || fresh.some((message) => message.mine)) this.toEnd();
    else if (fresh.length) this.offerDown(fresh.length);
  }

  forget(phone) {
    this.person = phone.person.id;
    this.drawn.clear();
    this.find(".log").replaceChildren();
    this.find(".down").hidden = true;
    this.stopEditing();
    Object.assign(this, { unread: 0, newest: null, firstUnread: null, toasts: phone.toasts });
  }

  showHead() {
    const { phone } = this;
    this.find(".caption span").textContent = phone.title;
    this.element.setAttribute("aria-label", `${phone.title}: chat with ${phone.bot.name}`);
    this.find(".log").lang = phone.person.language ?? "";
    this.find(".name").textContent = phone.bot.name;
    this.find(".face").textContent = [...phone.bot.name][0] ?? "";
    this.find(".status").textContent = phone.blocked ? "blocked" : "bot";
    const select = this.find("select");
    select.hidden = phone.titles.length < 2;
    this.find(".caption span").hidden = !select.hidden;
    if (select.childElementCount !== phone.titles.length) {
      select.replaceChildren(...phone.titles.map((title, index) => new Option(title, index)));
    }
    select.value = phone.shown;
  }

  showMessages(first) {
    const { phone } = this;
    const log = this.find(".log");
    const alive = new Set(phone.messages.map((message) => message.id));
    for (const [id, { node }] of this.drawn) {
      if (!alive.has(id)) { node.remove(); this.drawn.delete(id); }
    }
    const fresh = [];
    for (const message of phone.messages) {
      const waiting = phone.waiting.filter(([id]) => id === message.id).map(([, data]) => data);
      const form = JSON.stringify([message, waiting, this.page.zone]);
      const known = this.drawn.get(message.id);
      if (known?.form === form) continue;
      const node = this.drawMessage(message, waiting);
      if (known) this.replace(known, node, message);
      else { log.append(node); if (!first) fresh.push(message); }
      this.drawn.set(message.id, { node, form, text: message.text });
    }
    this.showDates();
    this.find(".about").hidden = phone.messages.length > 0;
    this.find(".about .words").textContent = phone.bot.about || `Tap Start to talk to ${phone.bot.name}.`;
    return fresh;
  }

  replace(known, node, message) {
    // Whoever moves by keyboard stays in the message whose buttons change.
    const held = known.node.contains(document.activeElement);
    node.style.animation = "none";
    if (known.text !== message.text) node.classList.add("changed");
    known.node.replaceWith(node);
    if (held) (node.querySelector("button, a") ?? this.find(".write input")).focus({ preventScroll: true });
  }

  showDates() {
    const log = this.find(".log");
    for (const old of log.querySelectorAll(".date, .new")) old.remove();
    let last = "";
    for (const message of this.phone.messages) {
      const { node } = this.drawn.get(message.id);
      const day = this.format(message.at, { weekday: "short", day: "numeric", month: "long" });
      if (day !== last) node.before(make("div", "date", day));
      if (message.id === this.firstUnread) node.before(make("div", "new", "New messages"));
      last = day;
    }
  }

  drawMessage(message, waiting) {
    const node = make("article", `message${message.mine ? " mine" : ""}`);
    const who = message.mine ? this.phone.person.name : this.phone.bot.name;
    node.setAttribute("aria-label", `${who}, ${this.time(message.at)}`);
    const bubble = make("div", "bubble");
    if (message.forwarded) bubble.append(make("div", "from", "Forwarded message"));
    if (message.photo) bubble.append(this.picture(message.photo));
    if (message.file) bubble.append(this.file(message.file));
    if (message.note) bubble.append(make("div", "note", message.note));
    bubble.append(this.words(message));
    node.append(bubble);
    if (message.buttons.length || message.photo) node.classList.add("wide");
    if (message.buttons.length) node.append(this.buttons(message, waiting));
    return node;
  }

  words(message) {
    const words = make("div", "words");
    words.dir = "auto";
    words.append(draw(message.text, message.entities, {
      command: (text) => this.act({ act: "type", text }),
      invite: (text) => this.act({ act: "start", text }),
    }), this.stamp(message));
    return words;
  }

  stamp(message) {
    const stamp = make("span", "stamp", `${message.edited ? "edited " : ""}${this.time(message.at)}`);
    if (message.mine) stamp.append(" ✓✓");
    return stamp;
  }

  picture(photo) {
    const button = make("button", "picture");
    const image = make("img");
    Object.assign(image, { src: photo.url, alt: "Picture; tap to enlarge", loading: "eager" });
    if (photo.width > 0) Object.assign(image, { width: photo.width, height: Math.min(photo.height, TALLEST_PICTURE * 4) });
    image.onload = () => { if (this.atEnd) this.toEnd(); };
    button.append(image);
    button.onclick = () => {
      const large = document.querySelector(".large");
      large.querySelector("img").src = photo.url;
      large.showModal();
    };
    return button;
  }

  file(file) {
    const link = make("a", "file");
    Object.assign(link, { href: file.url, download: file.name });
    const size = file.bytes < 1024 ? `${file.bytes} bytes` : `${(file.bytes / 1024).toFixed(1)} kB`;
    const text = make("span");
    text.append(make("strong", "", file.name), make("small", "", size));
    const sheet = make("span", "sheet", "↓");
    sheet.ariaHidden = "true";
    link.append(sheet, text);
    return link;
  }

  buttons(message, waiting) {
    const rows = make("div", "buttons");
    message.buttons.forEach((row, r) => {
      const line = make("div", "keyrow");
      row.forEach((button, c) => line.append(this.button(message, button, r, c, waiting)));
      rows.append(line);
    });
    return rows;
  }

  button(message, button, row, column, waiting) {
    const start = button.url && payload(button.url);
    const node = make(button.url && !start ? "a" : "button", "", button.text);
    node.dir = "auto";
    if (start) node.onclick = () => this.act({ act: "start", text: start });
    else if (button.url) Object.assign(node, { href: button.url, target: "_blank", rel: "noopener" });
    else node.onclick = () => this.act({ act: "tap", message: message.id, row, column });
    if (button.data && waiting.includes(button.data)) { node.classList.add("waits"); node.ariaBusy = "true"; }
    return node;
  }

  showFoot() {
    const { phone } = this;
    const closed = !phone.started || phone.blocked;
    const start = this.find(".start");
    start.hidden = !closed;
    start.textContent = phone.blocked ? "Unblock" : "Start";
    this.element.classList.toggle("waiting", !phone.started);
    this.find(".write").hidden = closed;
    this.find(".menu").hidden = closed;
    this.find(".slash").hidden = !phone.commands.length;
    const keys = this.find(".keys");
    keys.hidden = closed || !phone.keyboard.length;
    const form = JSON.stringify(phone.keyboard);
    if (keys.dataset.form === form) return;
    keys.dataset.form = form;
    keys.replaceChildren(...phone.keyboard.map((row) => {
      const line = make("div", "keyrow");
      line.append(...row.map((text) => {
        const key = make("button", "", text);
        key.dir = "auto";
        key.onclick = () => this.act({ act: "press", text });
        return key;
      }));
      return line;
    }));
  }

  showToast(first) {
    const { phone } = this;
    // Fewer than before: another rehearsal has begun, which has told nobody anything yet.
    const fresh = !first && phone.toasts > this.toasts;
    this.toasts = phone.toasts;
    if (!fresh) return;
    if (phone.toast.alert) {
      const alert = document.querySelector(".alert");
      alert.querySelector("p").textContent = phone.toast.text;
      if (!alert.open) alert.showModal();
      return;
    }
    const toast = this.find(".toast");
    toast.textContent = phone.toast.text;
    toast.hidden = false;
    clearTimeout(this.fading);
    this.fading = setTimeout(() => { toast.hidden = true; }, TOAST_MILLISECONDS);
  }

  // What is new is marked until the person has been here.
  count(fresh, first) {
    const theirs = fresh.filter((message) => !message.mine);
    if (first || !theirs.length) return;
    if (this.visible()) { this.firstUnread = null; return; }
    this.unread += theirs.length;
    this.firstUnread ??= theirs[0].id;
    this.showDates();
    this.changed();
  }

  arrive() {
    if (!this.visible()) return;
    this.unread = 0;
    this.changed();
    this.toEnd();
  }

  toEnd() {
    const log = this.find(".log");
    log.scrollTop = log.scrollHeight;
    this.find(".down").hidden = true;
  }

  get atEnd() { return this.find(".down").hidden; }

  offerDown(more) {
    const down = this.find(".down");
    const before = down.hidden ? 0 : Number(down.querySelector("span").textContent);
    down.querySelector("span").textContent = before + more;
    down.hidden = false;
  }

  format(moment, options) {
    return new Intl.DateTimeFormat("en-GB", { timeZone: this.page.zone, ...options }).format(new Date(moment));
  }

  time(moment) { return this.format(moment, { hour: "2-digit", minute: "2-digit" }); }

  // What the person does.

  wire() {
    const input = this.find(".write input");
    this.find(".start").onclick = () => this.act({ act: this.phone.blocked ? "unblock" : "start" });
    this.find(".write").onsubmit = (event) => { event.preventDefault(); this.send(); };
    this.find(".slash").onclick = () => { this.find(".commands").hidden ? this.offerCommands("") : this.closeCommands(); };
    input.oninput = () => (input.value.startsWith("/") ? this.offerCommands(input.value.slice(1)) : this.closeCommands());
    input.onkeydown = (event) => this.key(event);
    this.find(".down").onclick = () => this.toEnd();
    this.find(".log").onscroll = () => {
      const log = this.find(".log");
      if (log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PIXELS) this.find(".down").hidden = true;
    };
    this.find(".editing button").onclick = () => { this.stopEditing(); input.focus(); };
    this.find("select").onchange = (event) => this.act({ act: "show", which: Number(event.target.value) });
    this.wireMenu();
  }

  wireMenu() {
    const dots = this.find(".dots");
    const list = this.find(".list");
    const open = (on) => { list.hidden = !on; dots.ariaExpanded = String(on); };
    dots.onclick = () => open(list.hidden);
    document.addEventListener("click", (event) => {
      if (!event.target.closest(`#${this.element.id} .menu`)) open(false);
      if (!event.target.closest(`#${this.element.id} .foot`)) this.closeCommands();
    });
    this.find(".menu").onkeydown = (event) => { if (event.key === "Escape") { open(false); dots.focus(); } };
    list.onclick = (event) => {
      open(false);
      const { send, act } = event.target.dataset;
      if (send) this.act({ act: "send", text: send });
      else if (act === "block") this.act({ act: "block" });
      else if (act === "edit-last") this.editLast();
    };
  }

  send() {
    const input = this.find(".write input");
    const text = input.value.trim();
    if (!text) return;
    this.act(this.editing ? { act: "edit", message: this.editing, text } : { act: "type", text });
    this.stopEditing();
    this.closeCommands();
  }

  key(event) {
    const list = this.find(".commands");
    if (event.key === "Escape") { this.closeCommands(); this.stopEditing(); }
    if (event.key === "ArrowUp" && list.hidden && !event.target.value) { event.preventDefault(); this.editLast(); }
    if (list.hidden || !["ArrowDown", "ArrowUp", "Enter", "Tab"].includes(event.key)) return;
    const choices = [...list.children];
    const at = choices.findIndex((choice) => choice.ariaSelected === "true");
    if (event.key === "Enter" && at >= 0) { event.preventDefault(); choices[at].click(); return; }
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const next = (at + (event.key === "ArrowDown" ? 1 : choices.length - (at < 0 ? 0 : 1))) % choices.length;
    choices.forEach((choice, index) => { choice.ariaSelected = String(index === next); });
    choices[next].scrollIntoView({ block: "nearest" });
  }

  offerCommands(start) {
    const list = this.find(".commands");
    const fitting = this.phone.commands.filter(({ command }) => command.startsWith(start.toLowerCase()));
    list.replaceChildren(...fitting.map(({ command, description }) => {
      const choice = make("button");
      const words = make("span", "", description);
      words.dir = "auto";
      choice.type = "button";
      choice.role = "option";
      choice.ariaSelected = "false";
      choice.append(make("b", "", `/${command}`), words);
      choice.onclick = () => {
        this.act({ act: "type", text: `/${command}` });
        this.find(".write input").value = "";
        this.closeCommands();
      };
      return choice;
    }));
    list.hidden = !fitting.length;
    this.find(".slash").ariaExpanded = String(!list.hidden);
  }

  closeCommands() {
    this.find(".commands").hidden = true;
    this.find(".slash").ariaExpanded = "false";
  }

  editLast() {
    const mine = this.phone.messages.filter((message) => message.mine && message.text && !message.forwarded).at(-1);
    if (!mine) return;
    const input = this.find(".write input");
    this.editing = mine.id;
    input.value = mine.text;
    this.find(".editing").hidden = false;
    input.focus();
  }

  stopEditing() {
    this.editing = null;
    this.find(".editing").hidden = true;
    this.find(".write input").value = "";
  }
}
