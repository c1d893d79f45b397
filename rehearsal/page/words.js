// Draws a text with Telegram's entities; their offsets count UTF-16 units, as JavaScript's do.

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

export function draw(text, entities, { command, invite }) {
  const part = document.createDocumentFragment();
  fill(part, text, 0, text.length, [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length));
  return part;

  function fill(target, all, from, to, inside) {
    let place = from;
    for (let index = 0; index < inside.length; index += 1) {
      const entity = inside[index];
      if (entity.offset < place) continue;
      const end = Math.min(entity.offset + entity.length, to);
      target.append(all.slice(place, entity.offset));
      const node = element(entity, all.slice(entity.offset, end));
      fill(node, all, entity.offset, end, inside.slice(index + 1).filter((each) => each.offset < end));
      target.append(node);
      place = end;
    }
    target.append(all.slice(place, to));
  }

  function element(entity, words) {
    if (entity.type === "bot_command") return button(words, () => command(words));
    if (entity.type === "url" || entity.type === "text_link") return link(entity.url ?? words);
    const node = document.createElement(TAGS[entity.type] ?? "span");
    if (entity.type === "spoiler") Object.assign(node, { className: "spoiler", tabIndex: 0 });
    return node;
  }

  function button(words, act) {
    const node = document.createElement("button");
    Object.assign(node, { type: "button", className: "cmd", onclick: act });
    return node;
  }

  function link(address) {
    const url = /^[a-z]+:/i.test(address) ? address : `https://${address}`;
    const node = document.createElement("a");
    const start = payload(url);
    if (/^https?:/i.test(url)) Object.assign(node, { href: url, target: "_blank", rel: "noopener" });
    if (start) node.onclick = (event) => { event.preventDefault(); invite(start); };
    return node;
  }
}

// An invite link is followed on this phone, as Telegram does, not on the web.
export function payload(address) {
  try {
    const url = new URL(address);
    return url.hostname === "t.me" ? url.searchParams.get("start") : null;
  } catch {
    return null;
  }
}
