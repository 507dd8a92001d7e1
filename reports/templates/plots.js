// The plots: plotly.js is unpacked once, when the first of them comes near.

const figures = JSON.parse(find("#figures")?.textContent ?? "[]"), drawn = new Set();
let library;

async function unpack() {
  const bytes = Uint8Array.from(atob(find("#plotly").textContent.trim()), char => char.charCodeAt(0));
  const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(make("script", { textContent: text }));
}

function height({ layout, data: traces }, width) {
  return layout.height ?? (width < 640 ? 330 + 22 * traces.length : 400);
}

function look(layout, width) {
  const style = getComputedStyle(document.documentElement), color = name => style.getPropertyValue(`--${name}`).trim();
  const axis = { gridcolor: color("line"), zerolinecolor: color("line"), linecolor: color("line"), tickcolor: color("line") };
  const narrow = width < 640, entries = layout.entries ?? 0;
  const above = { orientation: "h", x: 0, y: 1, yanchor: "bottom" };
  return {
    ...layout,
    autosize: true,
    margin: { l: 8, r: 12, t: 12, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: false,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("ink") },
    hoverlabel: { bgcolor: color("card"), bordercolor: color("line"), font: { color: color("ink"), size: 12.5 }, align: "left" },
    legend: narrow ? above : { y: 1, yanchor: "top" },
    showlegend: layout.showlegend ?? entries > 1,
    xaxis: { ...layout.xaxis, ...axis, ...(layout.xaxis?.zeroline && { zerolinecolor: color("soft") }) },
    yaxis: { ...layout.yaxis, ...axis },
  };
}

async function drawPlot(card) {
  const place = [...document.querySelectorAll(".plot")].indexOf(card), canvas = card.querySelector(".canvas");
  const chosen = figures[place][Number(card.querySelector("select")?.value ?? 0)], { data: traces, layout, notes } = chosen;
  const width = canvas.clientWidth, sized = { ...layout, height: height(chosen, width), entries: traces.length };
  card.querySelector(".note").textContent = notes.join(" ");
  try {
    await (library ??= unpack());
    await Plotly.react(canvas, traces, look(sized, width), { displayModeBar: false, responsive: true });
    drawn.add(card);
  } catch (error) {
    canvas.textContent = "This browser cannot unpack the library that draws plots; the numbers are in the table.";
    console.warn(error);
  }
}

const near = new IntersectionObserver(seen => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) { near.unobserve(target); drawPlot(target); }
}, { rootMargin: "300px" });
for (const [place, card] of document.querySelectorAll(".plot").entries()) {
  const canvas = card.querySelector(".canvas");
  canvas.style.minHeight = `${height(figures[place][0], canvas.clientWidth)}px`; // what is below must not move later
  near.observe(card);
  card.addEventListener("change", () => drawPlot(card));
}
const again = () => drawn.forEach(drawPlot);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; again(); } });
// Paper is white whatever the screen's scheme is.
addEventListener("beforeprint", () => { document.documentElement.classList.add("paper"); again(); });
addEventListener("afterprint", () => { document.documentElement.classList.remove("paper"); again(); });
