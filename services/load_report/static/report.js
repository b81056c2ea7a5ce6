"use strict";
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const one = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const line = (x, y, name, colour, more = {}) =>
    ({ x, y, name, type: "scatter", mode: x.length > 1 ? "lines" : "markers", line: { color: one(colour), width: 2 },
       marker: { color: one(colour), size: 8 }, ...more });

  const axis = (title, more = {}) => ({ title: { text: title, standoff: 8 }, gridcolor: one("line"),
    zerolinecolor: one("line"), linecolor: one("line"), automargin: true, ...more });

  const layout = (x, y, more = {}) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: 320,
    font: { color: one("ink-soft"), family: getComputedStyle(document.body).fontFamily, size: 12 },
    margin: { l: 60, r: 20, t: 10, b: 40 }, hovermode: "x unified", hoverlabel: { bgcolor: one("surface") },
    legend: { orientation: "h", y: -0.24, yanchor: "top" }, xaxis: x, yaxis: y, ...more,
  });

  const time = data.seconds.at;
  const seconds = () => axis("seconds since the load began", { rangemode: "tozero" });
  const logarithmic = { type: "log", exponentformat: "none", dtick: 1, minor: { showgrid: false } };

  const rates = () => [[
    line(time, data.seconds.asked, "asked for", "ink-soft", { line: { color: one("ink-soft"), width: 2, dash: "dot" } }),
    line(time, data.seconds.sent, "sent", "three"),
    line(time, data.seconds.answered, "answered", "one"),
    ...(data.seconds.failed.some(Boolean) ? [line(time, data.seconds.failed, "failed", "bad")] : []),
  ], layout(seconds(), axis("records a second", { rangemode: "tozero" }))];

  const latency = () => [[
    line(time, data.seconds.p50_ack_ms, "half within", "one"),
    line(time, data.seconds.p99_ack_ms, "99 % within", "two"),
  ], layout(seconds(), axis("ms", logarithmic))];

  const share = (beyond) => `${+(100 - 100 / beyond).toPrecision(8)} %`;
  const curve = (of, name, colour) => {
    const { beyond, ms } = data.percentiles[of];
    return line(beyond, ms, name, colour, { text: beyond.map(share), hovertemplate: "%{text} within %{y:,.3~f} ms",
      line: { color: one(colour), width: 2, shape: "vh" } });
  };
  const quantiles = () => {
    const ticks = [1, 2, 10, 100, 1000, 10000, 100000, 1000000];
    return [[curve("ack", "due to answer", "one"), curve("pacing", "due to sent", "three")],
      layout(axis("records within", { type: "log", tickvals: ticks, ticktext: ticks.map(share) }), axis("ms", logarithmic),
        { hovermode: "closest" })];
  };

  const pace = () => [[
    line(time, data.seconds.p99_pacing_ms, "99 % sent within, ms", "three"),
    line(time, data.seconds.loop_cpu, "CPU of the pacing thread", "two", { yaxis: "y2" }),
    line(time, data.seconds.cpu, "CPU of all threads", "one", { yaxis: "y2" }),
    line(time, data.seconds.loop_waited, "pacing thread without a core", "bad", { yaxis: "y2" }),
  ], layout(seconds(), axis("ms", { rangemode: "tozero" }), {
    yaxis2: axis("of a core", { overlaying: "y", side: "right", rangemode: "tozero", tickformat: ".0%", showgrid: false }),
    margin: { l: 60, r: 60, t: 10, b: 40 },
  })];

  const plots = { rates, latency, quantiles, pace };
  const draw = () => {
    for (const [id, of] of Object.entries(plots)) Plotly.react(id, ...of(), { responsive: true, displaylogo: false, displayModeBar: false });
    document.documentElement.dataset.drawn = dark.matches ? "dark" : "light";
  };
  draw();
  dark.addEventListener("change", draw);
}
