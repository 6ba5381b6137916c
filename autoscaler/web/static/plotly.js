// The charts' library, loaded once and only when a chart is seen; and how all charts look.

let loading = null;

/** The library. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/plotly.min.js";
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => {
      loading = null;
      reject(new Error("the charts' library did not come"));
    };
    document.head.append(script);
  });
  return loading;
}

export const CONFIG = { responsive: true, displayModeBar: false, scrollZoom: false, doubleClick: "reset" };

/** A colour of the present theme, by the name of its custom property. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** What all charts have in common. The right margin holds no axis: the newest moment is at the edge. */
export function layout(height, more = {}) {
  const [ink, quiet, line, surface] = ["ink", "quiet", "line", "surface"].map(colour);
  const font = { family: "system-ui, sans-serif", size: 12, color: quiet };
  return {
    height,
    font,
    autosize: true,
    paper_bgcolor: surface,
    plot_bgcolor: surface,
    margin: { l: 46, r: 12, t: 6, b: 24 },
    showlegend: false,
    dragmode: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: surface, bordercolor: line, align: "left", font: { ...font, color: ink } },
    xaxis: { ...axis(line), type: "date", tickformat: "%H:%M", fixedrange: true },
    yaxis: { ...axis(line), rangemode: "tozero", fixedrange: true, nticks: 5 },
    ...more,
  };
}

function axis(line) {
  return { gridcolor: line, linecolor: line, zeroline: false };
}

/** A moment as the library wants it: it writes milliseconds as UTC. */
export const ms = (epoch) => epoch * 1000;

/** A text from outside as charts may show it: they read a little markup, and none of it means anything here. */
export const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
