"use strict";
// The readout under the pointer, or under the arrow keys. Without this script the charts stand.
for (const figure of document.querySelectorAll("[data-chart]")) {
  const plot = figure.querySelector(".plot");
  const cursor = figure.querySelector(".cursor");
  const readout = figure.querySelector(".readout");
  const data = JSON.parse(figure.querySelector("script").textContent);
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  const number = new Intl.NumberFormat("en", digits);
  const shown = (value) => {
    if (value === null) return "-";
    return data.unit === "percent" ? number.format(value * 100) + "%" : number.format(value);
  };
  let present = data.left.length - 1;

  const nearest = (percent) => {
    let low = 0;
    let high = data.left.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (data.left[middle] < percent) low = middle;
      else high = middle;
    }
    return percent - data.left[low] < data.left[high] - percent ? low : high;
  };

  const show = (index) => {
    present = Math.min(Math.max(index, 0), data.left.length - 1);
    readout.replaceChildren();
    const day = document.createElement("b");
    day.textContent = data.days[present];
    readout.append(day);
    for (const curve of data.curves) {
      const line = document.createElement("span");
      const name = data.curves.length > 1 ? curve.name + " " : "";
      line.textContent = name + shown(curve.values[present]);
      readout.append(line);
    }
    cursor.hidden = readout.hidden = false;
    const width = plot.querySelector("svg").getBoundingClientRect().width;
    const place = (data.left[present] / 100) * width;
    const room = Math.max(width - readout.offsetWidth, 0);
    cursor.style.left = place + "px";
    readout.style.left = Math.min(Math.max(place - readout.offsetWidth / 2, 0), room) + "px";
  };
  const hide = () => { cursor.hidden = readout.hidden = true; };

  plot.addEventListener("pointermove", (event) => {
    const box = plot.querySelector("svg").getBoundingClientRect();
    show(nearest(((event.clientX - box.left) / box.width) * 100));
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };
    if (event.key === "Home") show(0);
    else if (event.key === "End") show(data.left.length - 1);
    else if (event.key === "Escape") { hide(); return; }
    else if (event.key in steps) show(present + steps[event.key]);
    else return;
    event.preventDefault();
  });
}
