// The pictures: rows beyond those that the page opens with are built when they are asked for.

const gallery = find("#gallery"), tools = find("#find"), more = find("#more");
const PAGE = 24;
const rows = gallery ? [...gallery.children] : [];
const opened = rows.length;
let order = [], shown = PAGE;

function figure([label, caption, full, src, values]) {
  const name = typeof label === "number" ? data.methods[label] : label;
  const text = caption ?? (typeof label === "number" ? data.short[label] : label);
  const told = [];
  for (const [place, metric] of data.metrics.entries()) {
    if (!values[place]) continue;
    const value = make("dd", { textContent: values[place] });
    if (!metric.change) told.push(make("div", {}, make("dt", { textContent: metric.name }), " ", value));
    else if (/^[+-]/.test(values[place])) told.at(-1).append(" ", Object.assign(value, { className: `change ${tone(metric, values[place])}` }));
  }
  const below = make("figcaption", {}, make("span", { className: "code", title: name, textContent: text }));
  if (told.length) below.append(make("dl", {}, ...told));
  return make("figure", {}, src || full ? shot(name, full, src, data.against?.[label]) : nothing("no picture"), below);
}

/** Whether a change is for the better. */
function tone({ higher }, value) {
  return value.startsWith("+") === higher ? "better" : "worse";
}

function nothing(text) {
  return make("div", { className: "lost", textContent: text });
}

function shot(label, full, src, against) {
  const image = make("img", { loading: "lazy" }), made = make("button", { type: "button", className: "shot" }, image);
  image.onerror = () => made.replaceWith(nothing("not beside this page"));
  made.dataset.label = label;
  if (full) made.dataset.full = full;
  if (against !== undefined) made.dataset.against = data.methods[against];
  image.src = src || full;
  return made;
}

function row(index) {
  return rows[index] ??= build(data.lines[index]);
}

function build([title, name, strips]) {
  const head = make("p", { className: "title", dir: "auto", textContent: title });
  if (title.length > 300) head.tabIndex = 0;
  if (name) head.append(" ", make("span", { className: "count code", dir: "auto", textContent: name }));
  const line = make("div", { className: "line" }, head);
  for (const [method, shots] of strips) {
    if (method) line.append(make("p", { className: "swept code", textContent: method }));
    line.append(make("div", { className: "strip" }, ...shots.map(one => one ? figure(one) : make("figure", { ariaHidden: "true" }))));
  }
  for (const image of line.querySelectorAll("img")) image.alt = clipped(`${image.parentElement.dataset.label}: ${title}`, 160);
  differences(line);
  return line;
}

/** The value of a method in a row; of any method the one that comes first. */
function valueOf(index, metric, method, first) {
  const shots = data.lines[index][2].flatMap(([, shots]) => shots).filter(one => one && typeof one[0] === "number");
  const found = shots.filter(one => method === "" || one[0] === Number(method)).map(one => number(one[4][metric]));
  return found.filter(value => !isNaN(value)).sort(first)[0] ?? NaN;
}

function arrange() {
  const asked = tools.elements, holds = matcher(asked.text.value);
  order = data.lines.map((_, index) => index).filter(index => index < opened || data.lines[index].there)
    .filter(index => holds(`${data.lines[index][0]} ${data.lines[index][1]}`));
  const metric = asked.metric?.value ?? "";
  for (const name of ["first", "of", "less"]) if (asked[name]) asked[name].disabled = metric === "";
  if (metric !== "") {
    const rising = data.metrics[metric].higher === (asked.first.value === "worst"), first = byNumber(rising);
    const key = index => valueOf(index, metric, asked.of.value, first)
      - (asked.less.value === "" ? 0 : valueOf(index, metric, asked.less.value, first));
    const keys = new Map(order.map(index => [index, key(index)]));
    order.sort((one, another) => first(keys.get(one), keys.get(another)) || one - another);
  }
  shown = PAGE;
  draw();
}

function draw() {
  const visible = order.slice(0, shown);
  gallery.replaceChildren(...visible.map(row));
  if (!visible.length) gallery.append(make("p", { className: "line", textContent: "Nothing here has all these words." }));
  const { noun, total } = tools.dataset, all = tools.elements.text.value.trim() ? `${order.length} found` : total;
  find("#count").textContent = `${visible.length} of ${all} ${noun} shown`;
  more.hidden = shown >= order.length;
  more.textContent = `Show ${Math.min(PAGE, order.length - shown)} more of ${order.length}`;
}

if (gallery) {
  // Whether there is anything to see of a row that the page does not open with.
  for (const line of data.lines) line.there = line[2].some(([, shots]) => shots.some(one => one && (one[2] || one[3])));
  order = data.lines.map((_, index) => index).filter(index => index < opened || data.lines[index].there);
  shown = opened;
  more.hidden = shown >= order.length;
  more.textContent = `Show ${Math.min(PAGE, order.length - shown)} more of ${order.length}`;
  more.addEventListener("click", () => { shown += PAGE; draw(); });
  let waiting;
  tools.addEventListener("input", ({ target }) => {
    if (target.name === "size") return gallery.style.setProperty("--size", `${target.value}px`);
    clearTimeout(waiting);
    waiting = setTimeout(arrange, 120);
  });
  tools.addEventListener("submit", event => { event.preventDefault(); arrange(); });
  // Columns stay in line: what moves one row sideways moves all of them.
  gallery.addEventListener("scroll", ({ target }) => {
    if (!target.matches(".strip")) return;
    for (const strip of gallery.querySelectorAll(".strip"))
      if (strip !== target && strip.scrollLeft !== target.scrollLeft) strip.scrollLeft = target.scrollLeft;
  }, { capture: true, passive: true });
}

/** Open the picture that the address of the page names. */
function openAddressed() {
  const asked = new URLSearchParams(location.hash.slice(1)), picture = asked.get("picture");
  const index = picture === null ? -1 : data.lines.findIndex(([title, name]) => (name || title) === picture);
  if (index < 0) return;
  const there = [...row(index).querySelectorAll(".shot")];
  const found = there.find(shot => shot.dataset.label === asked.get("of")) ?? there[0];
  if (found) enlarge(found);
}
if (gallery) openAddressed();
addEventListener("hashchange", () => { if (gallery) openAddressed(); });
