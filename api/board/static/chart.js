// One chart per place, in the colours of the page; resized with its place.
import { color } from "./dom.js";

const charts = new Map();
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
export const small = (place) => place.clientWidth < 520;
export const textSize = () => Math.max(11, Math.round(parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.8));

export function chart(place, option, label, click) {
  place.hidden = false;
  place.setAttribute("aria-label", label);
  let made = charts.get(place);
  if (!made) {
    made = echarts.init(place, null, { renderer: "canvas" });
    charts.set(place, made);
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (place.hidden) return;
      made.resize();
      // Margins and labels depend on the width: the card is painted again.
      if (place.clientWidth !== width) place.dispatchEvent(new CustomEvent("widened", { bubbles: true }));
      width = place.clientWidth;
    }).observe(place);
  }
  made.off("click");
  if (click) made.on("click", click);
  made.setOption({ animation: !calm(), animationDuration: 500, animationDurationUpdate: 500, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: color("ink") }, ...option }, { notMerge: true });
  return made;
}

export function without(place) {
  place.hidden = true;
  charts.get(place)?.clear();
}

/** Tooltips are drawn, not markup: the page's policy allows no inline style. */
export const tooltip = (more) => ({
  renderMode: "richText", confine: true, backgroundColor: color("card"), borderColor: color("line"),
  textStyle: { color: color("ink"), fontSize: textSize() }, ...more,
});

/** A colour with stripes: something estimated. */
export function hatched(of) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const pen = canvas.getContext("2d");
  pen.fillStyle = `${of}55`;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = of;
  pen.lineWidth = 2;
  for (const x of [-8, 0, 8]) { pen.beginPath(); pen.moveTo(x, 8); pen.lineTo(x + 8, 0); pen.stroke(); }
  return { image: canvas, repeat: "repeat" };
}
