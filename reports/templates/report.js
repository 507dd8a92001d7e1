"use strict";
// Texts of strangers become text nodes and nothing else: no innerHTML anywhere.

const find = selector => document.querySelector(selector);
const data = JSON.parse(find("#data")?.textContent ?? '{"lines": [], "methods": [], "short": [], "metrics": []}');

function make(tag, set = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), set);
  made.append(...inside);
  return made;
}

function clipped(text, length) {
  return text.length > length ? text.slice(0, length - 1) + "…" : text;
}

/** The name of a method as there is room for it. */
function shortly(label) {
  return data.short[data.methods.indexOf(label)] ?? label;
}

/** Whether a text holds all words that are looked for, in any order. */
function matcher(wanted) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return text => words.every(word => text.toLowerCase().includes(word));
}

/** The number of a text as the report writes it; NaN where there is none. */
function number(text) {
  const plain = (text ?? "").replaceAll(",", "").replace("∞", "Infinity");
  return plain === "" ? NaN : Number(plain);
}

/** For sorting: what has no number comes last either way. */
function byNumber(up) {
  return (one, other) => (isNaN(one) ? 1 : 0) - (isNaN(other) ? 1 : 0) || (up ? one - other : other - one) || 0;
}

// One picture enlarged, another laid over it.

const box = find("dialog"), frame = box.querySelector(".frame"), view = frame.querySelector("img");
const over = view.cloneNode(), edge = make("div", { className: "edge" });
const names = [make("span", { className: "tag left" }), make("span", { className: "tag right" })];
const other = box.querySelector("select"), slide = box.querySelector("input"), differ = find("#differ");
let shots = [], at = 0, wanted = "", differing = false, cutAt = 50, gainAt = 40;
over.className = "over";
view.draggable = over.draggable = false;

function load(image, shot) {
  const small = shot.querySelector("img");
  image.src = small.src;
  image.alt = small.alt;
  image.shot = shot;
  if (!shot.dataset.full) return;
  // The page may have been moved away from its pictures: the small copy stays until the whole one is there.
  const whole = new Image();
  whole.onload = () => { if (image.shot === shot) image.src = whole.src; };
  whole.src = shot.dataset.full;
}

function show(index) {
  at = (index + shots.length) % shots.length;
  const shot = shots[at], line = shot.closest(".line");
  const told = [...shot.parentElement.querySelectorAll("dl div")].map(pair => pair.textContent.trim().replace(/\s+/g, " "));
  load(view, shot);
  box.querySelector(".about").textContent = clipped(line.querySelector(".title").textContent.trim().replace(/\s+/g, " "), 400);
  box.querySelector(".told").replaceChildren(shot.dataset.label, make("span", { textContent: told.join(" · ") }));
  const choices = shots.filter(one => one !== shot).map(one => one.dataset.label);
  other.replaceChildren(make("option", { value: "", textContent: "–" }), ...choices.map(name =>
    make("option", { value: name, textContent: clipped(shortly(name), 60), selected: name === wanted })));
  compare();
  addressed(line, shot);
}

/** An open picture has an address of its own, to be sent to others. */
function addressed(line, shot) {
  const picture = line.querySelector(".title .count")?.textContent ?? line.querySelector(".title").textContent.trim();
  const hash = shot ? `#${new URLSearchParams({ picture, of: shot.dataset.label })}` : location.pathname + location.search;
  try { history.replaceState(null, "", hash); } catch { /* a page in a frame may have no address */ }
}

function compare() {
  const shot = shots.find((one, place) => place !== at && one.dataset.label === wanted);
  slide.hidden = differ.hidden = !shot;
  frame.classList.toggle("compared", Boolean(shot));
  frame.classList.toggle("differing", Boolean(shot) && differing);
  differ.ariaPressed = String(differing);
  if (!shot) return frame.replaceChildren(view);
  load(over, shot);
  names[0].textContent = shortly(shots[at].dataset.label);
  names[1].textContent = shortly(shot.dataset.label);
  frame.replaceChildren(view, over, edge, ...names);
  slide.ariaLabel = differing ? "How much the difference is brightened" : "Where one picture ends and the other begins";
  move(differing ? gainAt : cutAt);
}

/** The slider: where one picture ends and the other begins, or how much their difference is brightened. */
function move(share) {
  slide.value = share;
  if (differing) gainAt = slide.value;
  else cutAt = slide.value;
  frame.style.setProperty("--cut", `${cutAt}%`);
  frame.style.setProperty("--gain", 2 ** (gainAt / 20));
}

function subtract(wish) {
  differing = wish;
  compare();
}

/** A picture of a comparison is first laid over the one of the other run. */
function enlarge(shot, difference = false) {
  shots = [...shot.closest(".line").querySelectorAll(".shot")];
  if (shot.dataset.against) wanted = shot.dataset.against;
  differing = difference;
  show(shots.indexOf(shot));
  if (!box.open) box.showModal();
}

/** The same column of the row above or below, among the rows that are on the page. */
function along(step) {
  const line = shots[at].closest(".line"), label = shots[at].dataset.label;
  const lines = [...(line.parentElement?.querySelectorAll(":scope > .line") ?? [])].filter(one => one.querySelector(".shot"));
  if (lines.length < 2) return;
  const next = [...lines[(lines.indexOf(line) + step + lines.length) % lines.length].querySelectorAll(".shot")];
  enlarge(next.find(shot => shot.dataset.label === label) ?? next[0]);
}

document.addEventListener("click", event => {
  const shot = event.target.closest(".shot");
  if (shot) enlarge(shot);
});
box.addEventListener("click", event => {
  const { step, line, close } = event.target.dataset;
  if (event.target === differ) subtract(!differing);
  else if (step) show(at + Number(step));
  else if (line) along(Number(line));
  else if (close !== undefined || event.target.matches("dialog, .stage") || (event.target === view && slide.hidden) || (differing && frame.contains(event.target))) box.close();
});
box.addEventListener("close", () => addressed(shots[at].closest(".line"), null));
box.addEventListener("keydown", event => {
  if (event.target === slide || event.target === other) return;
  const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key], down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.key === "d" && !differ.hidden) subtract(!differing);
  if (across) show(at + across);
  if (down) along(down);
  if (across || down) event.preventDefault();
});
view.addEventListener("load", () => {
  frame.style.setProperty("--ratio", view.naturalWidth / view.naturalHeight);
  frame.classList.toggle("tiny", Math.max(view.naturalWidth, view.naturalHeight) <= 128);
});
other.addEventListener("change", () => { wanted = other.value; compare(); });
slide.addEventListener("input", () => move(slide.value));
function drag(event) {
  if (slide.hidden || differing || !(event.buttons & 1)) return;
  const { left, width } = frame.getBoundingClientRect();
  move(100 * (event.clientX - left) / width);
}
frame.addEventListener("pointermove", drag);
frame.addEventListener("pointerdown", event => { if (!slide.hidden && !differing) { frame.setPointerCapture(event.pointerId); drag(event); } });
move(cutAt);

// What differs between the pictures of two runs stands beside them, made by the browser: it takes no room in the file.

function differences(line) {
  for (const shot of line.querySelectorAll(".shot[data-against]")) {
    const strip = shot.closest(".strip"), first = [...strip.querySelectorAll(".shot")].find(one => one.dataset.label === shot.dataset.against);
    // The base stands first: it is against a head as the heads are against it, and the pair is to be seen once.
    if (!first || !(first.compareDocumentPosition(shot) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
    const pair = [first, shot].map(one => Object.assign(one.querySelector("img").cloneNode(), { alt: "" }));
    const equal = pair[0].src === pair[1].src;
    const made = make("button", { type: "button", className: "differ" }, make("span", { className: "blend" }, ...pair));
    made.ariaLabel = `What differs: ${shot.dataset.label}`;
    made.addEventListener("click", () => enlarge(shot, true));
    const below = make("figcaption", {}, make("span", { className: "code", textContent: equal ? "equal" : "difference × 4" }));
    shot.closest("figure").after(make("figure", {}, made, below));
  }
}
for (const line of document.querySelectorAll(".line")) differences(line);

// Tables of results sort by a click on a heading; what is published stays below what is measured.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const by = (head, place) => {
    const up = head.ariaSort !== "ascending", words = new Intl.Collator(undefined, { numeric: true });
    const first = byNumber(up), value = row => row.cells[place].dataset.value;
    const told = [...body.rows].some(row => value(row) !== undefined);
    const kind = row => row.classList.contains("published") ? 1 : 0;
    const rows = [...body.rows].sort((one, another) => kind(one) - kind(another) || (told
      ? first(Number(value(one) ?? NaN), Number(value(another) ?? NaN))
      : words.compare(one.cells[place].textContent, another.cells[place].textContent) * (up ? 1 : -1)));
    body.replaceChildren(...rows);
    for (const one of heads) one.removeAttribute("aria-sort");
    head.ariaSort = up ? "ascending" : "descending";
  };
  heads.forEach((head, place) => {
    head.tabIndex = 0;
    head.addEventListener("click", event => { if (!event.target.closest("a")) by(head, place); });
    head.addEventListener("keydown", event => { if (event.target === head && event.key === "Enter") by(head, place); });
  });
}
for (const table of document.querySelectorAll(".sorts")) sortable(table);
for (const part of document.querySelectorAll(".scripted")) part.classList.add("ready");
