// The page draws what the rehearsal says and sends back what was tapped; it keeps nothing of its own.
import { Phone } from "./chat.js";

const find = (selector) => document.querySelector(selector);
const READING_MILLISECONDS = 2600;
const phones = [];
let state = null;
let playing = 0;
let shown = 0;

export async function ask(path, content) {
  const answer = await fetch(`/rehearsal/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content ?? {}),
  });
  return answer.json();
}

function live() {
  const source = new EventSource("/rehearsal/live");
  source.onopen = () => { find(".lost").hidden = true; };
  source.onerror = () => { find(".lost").hidden = false; };
  source.onmessage = (event) => show(JSON.parse(event.data));
}

function show(now) {
  state = now;
  showClock();
  showLinks();
  while (phones.length < state.phones.length) addPhone(phones.length);
  phones.forEach((phone, index) => phone.show(state.phones[index], state));
  showSwitch();
}

function addPhone(number) {
  const phone = new Phone(number, {
    act: (content) => { pause(); return ask(`phones/${number}`, content); },
    visible: () => phones[number].element.offsetParent !== null && document.visibilityState === "visible",
    changed: showSwitch,
  });
  phones.push(phone);
  find(".phones").append(phone.element);
}

function format(moment, options) {
  return new Intl.DateTimeFormat("en-GB", { timeZone: state.zone, ...options }).format(new Date(moment));
}

function dayOf(moment) {
  return format(moment, { year: "numeric", month: "2-digit", day: "2-digit" });
}

function showClock() {
  const hour = find(".hour");
  hour.textContent = format(state.now, { hour: "2-digit", minute: "2-digit" });
  hour.dateTime = state.now;
  find(".day").textContent = format(state.now, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  find(".zone").textContent = `${state.zone.split("/").at(-1).replaceAll("_", " ")} time`;
  if (!state.moving) find(".next").textContent = nextWords();
  find(".controls").hidden = !state.controls;
  for (const button of document.querySelectorAll("[data-to]")) button.disabled = state.moving;
}

function nextWords() {
  if (!state.next) return "nothing planned";
  const time = format(state.next, { hour: "2-digit", minute: "2-digit" });
  const days = Math.round((dayNumber(state.next) - dayNumber(state.now)) / 864e5);
  if (days <= 0) return `today ${time}`;
  if (days === 1) return `tomorrow ${time}`;
  return format(state.next, days < 7 ? { weekday: "long", hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

function dayNumber(moment) {
  const [day, month, year] = dayOf(moment).split("/").map(Number);
  return Date.UTC(year, month - 1, day);
}

function showLinks() {
  const nav = find(".more");
  const wanted = JSON.stringify([state.another, state.links]);
  if (nav.dataset.drawn === wanted) return;
  nav.dataset.drawn = wanted;
  nav.replaceChildren();
  if (state.another) {
    const button = document.createElement("button");
    button.textContent = "Another patient";
    button.onclick = async () => {
      button.disabled = true;
      await ask("patients").finally(() => { button.disabled = false; });
      choose(0);
    };
    nav.append(button);
  }
  for (const link of state.links) {
    const anchor = document.createElement("a");
    Object.assign(anchor, { href: link.url, target: "_blank", rel: "noopener", textContent: `${link.title} ↗` });
    nav.append(anchor);
  }
}

function showSwitch() {
  const row = find(".switch");
  while (row.children.length < phones.length) {
    const number = row.children.length;
    const button = document.createElement("button");
    button.append(document.createElement("span"), document.createElement("b"));
    button.onclick = () => choose(number);
    row.append(button);
  }
  phones.forEach((phone, index) => {
    const [title, badge] = row.children[index].children;
    row.children[index].setAttribute("aria-pressed", String(index === shown));
    title.textContent = state.phones[index].title;
    badge.textContent = phone.unread || "";
    badge.hidden = !phone.unread || index === shown;
    badge.setAttribute("aria-label", `${phone.unread} new`);
    phone.element.classList.toggle("shown", index === shown);
  });
}

function choose(number) {
  shown = number;
  showSwitch();
  phones[number].arrive();
}

async function move(to) {
  // Disabled buttons lose the focus; whoever moves by keyboard gets it back.
  const button = document.activeElement;
  const answer = await ask("time", { to });
  if (button?.dataset?.to) requestAnimationFrame(() => { button.disabled = false; button.focus(); });
  return answer;
}

async function play() {
  const turn = ++playing;
  showPlay(true);
  while (playing === turn) {
    const answer = await move("next").catch(() => ({ now: null }));
    if (!answer.now) break;
    await new Promise((done) => setTimeout(done, READING_MILLISECONDS));
  }
  if (playing === turn) pause();
}

function pause() {
  if (find(".play").getAttribute("aria-pressed") === "false") return;
  playing += 1;
  showPlay(false);
}

function showPlay(on) {
  const button = find(".play");
  button.setAttribute("aria-pressed", String(on));
  button.querySelector("span").textContent = on ? "Pause" : "Play";
}

function hint() {
  const box = find(".hint");
  box.hidden = localStorage.getItem("daybook-hint") === "seen";
  box.querySelector(".dismiss").onclick = () => {
    box.hidden = true;
    localStorage.setItem("daybook-hint", "seen");
  };
}

for (const button of document.querySelectorAll("[data-to]")) {
  button.onclick = () => { pause(); move(button.dataset.to); };
}
find(".play").onclick = () => (find(".play").getAttribute("aria-pressed") === "true" ? pause() : play());
document.addEventListener("visibilitychange", () => phones.forEach((phone) => phone.arrive()));
hint();
live();
