const config = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false, // nothing leaves this page
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};
const drawn = charts.map(({ data, layout }, number) => Plotly.newPlot(`chart-${number}`, data, layout, config));

Promise.all(drawn).then((plots) => {
  const timed = plots.filter((_, number) => charts[number].timed);
  const rangeOf = (plot) => plot.layout.xaxis.range.map(String);

  // Whoever zooms into one chart sees that time in all of them.
  for (const plot of timed) {
    plot.on("plotly_relayout", () => {
      const range = rangeOf(plot);
      for (const other of timed) {
        if (rangeOf(other).join() !== range.join()) Plotly.relayout(other, { "xaxis.range": [...range] });
      }
    });
  }

  // Paper is narrower than a screen, and browsers do not tell its width.
  const widen = (width) => plots.forEach((plot) => Plotly.relayout(plot, { width, autosize: width === null }));
  window.addEventListener("beforeprint", () => widen(1000));
  window.addEventListener("afterprint", () => widen(null));
  document.documentElement.dataset.drawn = plots.length;
});
