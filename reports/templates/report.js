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
const other = box.querySelector("select"), slide = box.querySelector("input");
let shots = [], at = 0, wanted = "";
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
    make("option", { value: name, textContent: clipped(name, 60), selected: name === wanted })));
  compare();
}

function compare() {
  const shot = shots.find((one, place) => place !== at && one.dataset.label === wanted);
  slide.hidden = !shot;
  frame.classList.toggle("compared", Boolean(shot));
  if (!shot) return frame.replaceChildren(view);
  load(over, shot);
  names[0].textContent = shots[at].dataset.label;
  names[1].textContent = shot.dataset.label;
  frame.replaceChildren(view, over, edge, ...names);
}

function cut(share) {
  slide.value = share;
  frame.style.setProperty("--cut", `${slide.value}%`);
}

function enlarge(shot) {
  shots = [...shot.closest(".line").querySelectorAll(".shot")];
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
  if (step) show(at + Number(step));
  else if (line) along(Number(line));
  else if (close !== undefined || event.target.matches("dialog, .stage") || (event.target === view && slide.hidden)) box.close();
});
box.addEventListener("keydown", event => {
  if (event.target === slide || event.target === other) return;
  const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key], down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (across) show(at + across);
  if (down) along(down);
  if (across || down) event.preventDefault();
});
view.addEventListener("load", () => {
  frame.style.setProperty("--ratio", view.naturalWidth / view.naturalHeight);
  frame.classList.toggle("tiny", Math.max(view.naturalWidth, view.naturalHeight) <= 128);
});
other.addEventListener("change", () => { wanted = other.value; compare(); });
slide.addEventListener("input", () => cut(slide.value));
function drag(event) {
  if (slide.hidden || !(event.buttons & 1)) return;
  const { left, width } = frame.getBoundingClientRect();
  cut(100 * (event.clientX - left) / width);
}
frame.addEventListener("pointermove", drag);
frame.addEventListener("pointerdown", event => { if (!slide.hidden) { frame.setPointerCapture(event.pointerId); drag(event); } });
cut(50);
for (const part of document.querySelectorAll(".scripted")) part.classList.add("ready");
