// The values of every picture as a table that sorts and filters; its rows are built a hundred at a time.

const sheet = find(".values"), sift = find("#sift"), further = find("#further");
const STEP = 100;
let entries = null, listed = [], long = STEP, by = null, falling = false;

/** Every picture of a method: the place of its row, its method, its values. */
function pictures() {
  return entries ??= data.lines.flatMap((line, index) => line[2].flatMap(([, shots]) => shots
    .filter(one => one && typeof one[0] === "number").map(one => ({ index, method: one[0], values: one[4] }))));
}

function list() {
  const { text, of } = sift.elements, holds = matcher(text.value);
  listed = pictures().filter(({ index, method }) =>
    (of.value === "" || method === Number(of.value)) && holds(`${data.lines[index][0]} ${data.lines[index][1]}`));
  if (by !== null && by in data.metrics) {
    const compared = byNumber(!falling), keys = new Map(listed.map(entry => [entry, number(entry.values[by])]));
    listed.sort((one, another) => compared(keys.get(one), keys.get(another)));
  } else if (by !== null) {
    const word = { method: entry => data.short[entry.method], picture: entry => named(entry), prompt: entry => data.lines[entry.index][0] }[by];
    const words = new Intl.Collator(undefined, { numeric: true });
    listed.sort((one, another) => words.compare(word(one), word(another)) * (falling ? -1 : 1));
  }
  long = STEP;
  write();
}

function named({ index }) {
  const [title, name] = data.lines[index];
  return name || title;
}

function write() {
  const body = sheet.tBodies[0], prompted = Boolean(sheet.querySelector('[data-by="prompt"]'));
  const start = long === STEP ? 0 : body.rows.length;
  if (!start) body.replaceChildren();
  body.append(...listed.slice(start, long).map(entry => {
    const open = make("button", { type: "button", className: "link code", textContent: clipped(named(entry), 60) });
    open.onclick = () => openPicture(entry);
    const cells = [make("td", { className: "code", title: data.methods[entry.method], textContent: data.short[entry.method] }), make("td", {}, open)];
    if (prompted) cells.push(make("td", { className: "prompt", dir: "auto", textContent: clipped(data.lines[entry.index][0], 140) }));
    return make("tr", {}, ...cells, ...data.metrics.map((_, place) => make("td", { className: "number", textContent: entry.values[place] || "–" })));
  }));
  find("#counted").textContent = `${Math.min(long, listed.length)} of ${listed.length} pictures`;
  further.hidden = long >= listed.length;
  further.textContent = `Show ${Math.min(STEP, listed.length - long)} more of ${listed.length}`;
}

function openPicture({ index, method }) {
  const found = [...row(index).querySelectorAll(".shot")].find(one => one.dataset.label === data.methods[method]);
  if (found) enlarge(found);
}

/** What is listed, in that order, as a file. */
function save() {
  // A spreadsheet takes a text that begins so for a formula.
  const quoted = text => `"${(/^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;
  const heads = ["method", "picture", "prompt", ...data.metrics.map(metric => metric.name)].map(quoted);
  const rows = listed.map(entry => [
    ...[data.methods[entry.method], named(entry), data.lines[entry.index][0]].map(quoted),
    ...data.metrics.map((_, place) => isNaN(number(entry.values[place])) ? "" : number(entry.values[place])),
  ]);
  const href = URL.createObjectURL(new Blob([[heads, ...rows].map(row => row.join(",")).join("\r\n")], { type: "text/csv" }));
  make("a", { href, download: "values.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

if (sheet) {
  find("#save").addEventListener("click", () => { if (!entries) list(); save(); });
  sheet.tHead.addEventListener("click", event => {
    const head = event.target.closest("button");
    if (!head) return;
    // The worst first, then the best: that is what a column of numbers is sorted for.
    const worst = head.dataset.by in data.metrics && !data.metrics[head.dataset.by].higher;
    falling = by === head.dataset.by ? !falling : worst;
    by = head.dataset.by;
    for (const cell of sheet.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.parentElement.ariaSort = falling ? "descending" : "ascending";
    list();
  });
  let waiting;
  sift.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(list, 120); });
  sift.addEventListener("submit", event => { event.preventDefault(); list(); });
  further.addEventListener("click", () => { long += STEP; write(); });
  new IntersectionObserver((seen, watch) => {
    if (seen.some(one => one.isIntersecting)) { watch.disconnect(); list(); }
  }, { rootMargin: "400px" }).observe(sheet);
}
