// Builds the server once for all test files; HOLDFAST names one that is built already.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext { holdfast: string }
}

export default function setup(project: TestProject): (() => void) | void {
  if (process.env["HOLDFAST"]) return project.provide("holdfast", process.env["HOLDFAST"]);
  const dir = mkdtempSync(join(tmpdir(), "holdfast-js-"));
  const program = join(dir, "holdfast");
  execFileSync(process.env["GO"] ?? "go", ["build", "-o", program, "./cmd/holdfast"], {
    cwd: join(import.meta.dirname, "../../.."), stdio: "inherit", env: { ...process.env, CGO_ENABLED: "0" } });
  project.provide("holdfast", program);
  return () => rmSync(dir, { recursive: true, force: true });
}
