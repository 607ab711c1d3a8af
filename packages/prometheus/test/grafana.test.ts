import { readFileSync } from "node:fs";
import { REGION_INSTRUMENTS } from "@tidemark/region";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { prometheusName } from "../src/index.ts";

const exported = new Map(
  REGION_INSTRUMENTS.map((instrument) => [prometheusName(instrument), ["region", ...instrument.labels]]),
);

function read(name: string): string {
  return readFileSync(new URL(`../../../docs/grafana/${name}`, import.meta.url), "utf8");
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Names of metrics, and those of labels that an expression selects by or a text names. */
function namesIn(text: string): { metrics: string[]; labels: string[] } {
  const metrics = [...text.matchAll(/\btidemark_[a-z_]+/g)].map(([name]) => name);
  const selected = [...text.matchAll(/\b(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!);
  const named = [...text.matchAll(/\$labels\.(\w+)|\{\{(\w+)\}\}/g)].map(([, a, b]) => (a ?? b)!);
  return { metrics, labels: [...selected, ...named] };
}

function expectExported(place: string, expression: string, texts: readonly string[]): void {
  const { metrics, labels } = namesIn(expression);
  expect(metrics.length, `${place} asks for nothing of ours`).toBeGreaterThan(0);
  for (const metric of metrics) {
    expect([...exported.keys()], place).toContain(metric);
    const known = exported.get(metric)!;
    for (const label of [...labels, ...texts.flatMap((text) => namesIn(text).labels)])
      expect(known, `${place}: ${metric} has no label ${label}`).toContain(label);
  }
}

const { groups } = parse(read("alerts.yaml")) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

test.each(rules.map((rule) => [rule.alert, rule] as const))(
  "RGN-2 the alert %s asks for metrics and labels that are exported",
  (alert, { expr, annotations }) => expectExported(alert, expr, Object.values(annotations)),
);

test("RGN-2 lag above two seconds for a minute, gaps, fenced writes and skew raise an alert", () => {
  const expressions = rules.map(({ expr, for: lasting = "0" }) => `${expr} for ${lasting}`);
  expect(expressions).toContain("tidemark_replication_lag_seconds > 2 for 1m");
  for (const metric of [
    "tidemark_log_gap_records",
    "tidemark_writes_fenced_total",
    "tidemark_peer_skew_seconds",
  ])
    expect(expressions.some((expression) => expression.includes(metric))).toBe(true);
});

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}
const dashboard = JSON.parse(read("tidemark.json")) as {
  panels: Panel[];
  templating: { list: { query: unknown }[] };
};

test.each(dashboard.panels.map((panel) => [panel.title, panel] as const))(
  "RGN-2 the panel %s asks for metrics and labels that are exported",
  (title, { targets }) => {
    for (const { expr, legendFormat } of targets) expectExported(title, expr, [legendFormat]);
  },
);

test("RGN-2 the dashboard's variables ask for what is exported", () => {
  const queries = dashboard.templating.list.map(({ query }) => JSON.stringify(query)).join();
  for (const metric of namesIn(queries).metrics) expect([...exported.keys()]).toContain(metric);
});
