const box = document.querySelector("dialog"), view = box.querySelector("img"), text = box.querySelector("p");
let row = [], at = 0;

function show(index) {
  at = (index + row.length) % row.length;
  const shot = row[at], small = shot.querySelector("img"), values = shot.parentElement.querySelectorAll("dl div");
  const numbers = document.createElement("span");
  numbers.textContent = [...values].map(pair => pair.textContent.trim().replace(/\s+/g, " ")).join(" · ");
  view.src = small.src;
  view.alt = small.alt;
  text.replaceChildren(shot.dataset.label, numbers);
  if (!shot.dataset.full) return;
  // The page may have been moved away from its pictures: the small copy stays until the whole one is there.
  const whole = new Image();
  whole.onload = () => { if (row[at] === shot) view.src = whole.src; };
  whole.src = shot.dataset.full;
}

document.addEventListener("click", event => {
  const shot = event.target.closest(".shot");
  if (!shot) return;
  row = [...shot.closest(".strip").querySelectorAll(".shot")];
  show(row.indexOf(shot));
  box.showModal();
});
box.addEventListener("click", event => {
  const step = event.target.dataset.step;
  if (step) show(at + Number(step));
  else if (event.target === box || event.target === view || event.target.dataset.close !== undefined) box.close();
});
box.addEventListener("keydown", event => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(at + step);
});
