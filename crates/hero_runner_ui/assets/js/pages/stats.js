// Charts over time. The tables that the server renders hold the same numbers, for whoever cannot see a chart.

import uPlot from '../../vendor/uplot.js';
import { h } from '../dom.js';
import { rpc } from '../rpc.js';
import { clock, grouped, size, span } from '../time.js';

const EVERY_MS = 1000;
const HEIGHT_PX = 160;
/** What can be shown, in seconds. */
const RANGES = { '5 min': 300, '15 min': 900, '6 h': 21_600 };

const perSecond = (field) => (sample, step) => (sample[field] * 1000) / step;
const count = (value) => (value >= 100 ? grouped(value) : String(Math.round(value * 10) / 10));

/**
 * What each chart draws. `value` is given a sample and the milliseconds that it counts.
 * @type {Record<string, {words: (value: number) => string, series: {name: string, value: (sample: any, step: number) => number|undefined}[]}>}
 */
const CHARTS = {
  sessions: {
    words: (value) => `${count(value)}/s`,
    series: [
      { name: 'started', value: perSecond('started') },
      { name: 'failed', value: perSecond('failed') },
    ],
  },
  latency: {
    words: (value) => span(value / 1000),
    series: [
      { name: 'p50', value: (sample) => sample.start_us_p50 },
      { name: 'p99', value: (sample) => sample.start_us_p99 },
    ],
  },
  pool: {
    words: count,
    series: [
      { name: 'parked', value: (sample) => sample.parked },
      { name: 'running', value: (sample) => sample.running },
      { name: 'queued', value: (sample) => sample.queued },
    ],
  },
  memory: {
    words: (value) => size(value * 1024),
    series: [
      { name: 'all', value: (sample) => sample.memory_kb },
      { name: 'server', value: (sample) => sample.server_rss_kb },
    ],
  },
  cpu: {
    words: (value) => `${count(value)} %`,
    series: [{ name: 'of one core', value: (sample, step) => (sample.cpu_ms * 100) / step }],
  },
  logs: {
    words: (value) => `${count(value)}/s`,
    series: [
      { name: 'lines', value: perSecond('log_lines') },
      { name: 'dropped', value: perSecond('log_dropped') },
    ],
  },
};

/** @type {any[]} samples in order of time, each with the milliseconds that it counts */
let samples = [];
let stepMs = 1000;
let seconds = RANGES['15 min'];
/** @type {Map<HTMLElement, Chart>} */
const charts = new Map();
let begun = false;

class Chart {
  /** @param {HTMLElement} figure */
  constructor(figure) {
    this.figure = figure;
    this.what = CHARTS[figure.dataset.chart];
    this.now = h('span', { class: 'chart-now', 'data-own': '' });
    this.area = figure.querySelector('.plot') ?? figure.appendChild(h('div', { class: 'plot', 'data-keep': '' }));
    this.area.setAttribute('aria-hidden', 'true');
    const caption = figure.querySelector('figcaption') ?? figure.insertBefore(h('figcaption'), figure.firstChild);
    caption.append(this.now);
    this.resized = new ResizeObserver(() => this.plot?.setSize({ width: this.area.clientWidth, height: HEIGHT_PX }));
    this.resized.observe(this.area);
    this.build();
  }

  /** The canvas knows colours only as they were when it was made. */
  build() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    };
    this.plot = new uPlot(
      {
        width: this.area.clientWidth || 360,
        height: HEIGHT_PX,
        padding: [10, 8, 0, 0],
        cursor: { y: false, points: { size: 6 } },
        legend: { show: false },
        scales: { x: { time: true }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 4] } },
        axes: [
          {
            ...axis,
            size: 26,
            values: (_, times) =>
              times.map((time) => clock(time * 1000).slice(0, times.at(-1) - times[0] < 300 ? 8 : 5)),
          },
          { ...axis, size: 62, gap: 6, values: (_, values) => values.map((value) => this.what.words(value)) },
        ],
        series: [
          {},
          ...this.what.series.map(({ name }, index) => ({
            label: name,
            stroke: colour(`--c${index}`),
            width: 1.5,
            // Where nothing was started there is no latency: single values stand alone, as points.
            points: { show: this.figure.dataset.chart === 'latency', size: 4 },
            ...(index === 0 ? { fill: `${colour('--c0')}1c` } : {}),
          })),
        ],
        hooks: { setCursor: [() => this.caption()] },
      },
      this.data(),
      this.area,
    );
    this.caption();
  }

  data() {
    const from = Date.now() - seconds * 1000;
    const shown = samples.filter((sample) => sample.ts_ms >= from);
    const columns = this.what.series.map(({ value }) => shown.map((sample) => value(sample, sample.step) ?? null));
    return [shown.map((sample) => sample.ts_ms / 1000), ...columns];
  }

  draw() {
    const data = this.data();
    this.plot.setData(data, false);
    const now = Date.now() / 1000;
    this.plot.batch(() => {
      // A server that is younger than what was asked for fills the width, from a minute on.
      const first = Math.min(data[0][0] ?? now, now - 60);
      this.plot.setScale('x', { min: Math.max(now - seconds, first), max: now });
      const high = Math.max(
        0,
        ...data
          .slice(1)
          .flat()
          .map((value) => value ?? 0),
      );
      this.plot.setScale('y', { min: 0, max: high > 0 ? high * 1.1 : 4 });
    });
    this.caption();
  }

  /** The numbers under the pointer, or else the last ones. */
  caption() {
    if (!this.plot) return;
    const at = this.plot.cursor.idx ?? this.plot.data[0].length - 1;
    const pointed = this.plot.cursor.idx !== null && this.plot.cursor.idx !== undefined;
    const parts = this.what.series.map(({ name }, index) => {
      const value = this.plot.data[index + 1][at];
      return h(
        'span',
        {},
        h('i', { class: `chart-${index}` }),
        `${name} ${value === null || value === undefined ? '–' : this.what.words(value)}`,
      );
    });
    const time = this.plot.data[0][at];
    if (pointed && time) parts.push(h('span', {}, clock(time * 1000).slice(0, 8)));
    this.now.replaceChildren(...parts);
  }
}

/** All that there is at first, then what is new. */
async function load() {
  const last = samples[samples.length - 1]?.ts_ms;
  const page = await rpc('stats_history', last ? { after_ms: last } : {});
  stepMs = page.step_ms || stepMs;
  for (const sample of page.samples) {
    // Older ones stand further apart; what a sample counts is the time since the one before.
    const before = samples[samples.length - 1]?.ts_ms;
    sample.step = before ? Math.max(1, sample.ts_ms - before) : stepMs;
    samples.push(sample);
  }
  const oldest = Date.now() - RANGES['6 h'] * 1000;
  if (samples.length && samples[0].ts_ms < oldest) samples = samples.filter((sample) => sample.ts_ms >= oldest);
}

async function loop() {
  if (!document.hidden) {
    try {
      await load();
      for (const chart of charts.values()) chart.draw();
    } catch {
      // The badge says that the server is away; the charts go on when it is back.
    }
  }
  setTimeout(loop, EVERY_MS);
}

function ranges() {
  const first = document.querySelector('figure[data-chart]');
  const group = h('div', { class: 'range', role: 'group', 'aria-label': 'Time shown', 'data-own': '' });
  for (const [words, length] of Object.entries(RANGES)) {
    const button = h(
      'button',
      { type: 'button', class: 'btn btn-sm btn-outline-secondary', 'aria-pressed': String(length === seconds) },
      words,
    );
    button.classList.toggle('active', length === seconds);
    button.addEventListener('click', () => {
      seconds = length;
      for (const other of group.children) {
        const on = other === button;
        other.setAttribute('aria-pressed', String(on));
        other.classList.toggle('active', on);
      }
      for (const chart of charts.values()) chart.draw();
    });
    group.append(button);
  }
  const place = document.querySelector('.page-head .actions') ?? document.querySelector('.page-head');
  if (place) place.append(group);
  else first?.before(group);
}

export function mount() {
  for (const [figure, chart] of charts) {
    if (figure.isConnected) continue;
    chart.resized.disconnect();
    chart.plot.destroy();
    charts.delete(figure);
  }
  for (const figure of document.querySelectorAll('figure[data-chart]')) {
    if (!charts.has(figure) && CHARTS[figure.dataset.chart]) charts.set(figure, new Chart(figure));
  }
  if (begun || charts.size === 0) return;
  begun = true;
  ranges();
  document.addEventListener('hero:theme', () => {
    for (const chart of charts.values()) chart.build();
    for (const chart of charts.values()) chart.draw();
  });
  loop();
}
