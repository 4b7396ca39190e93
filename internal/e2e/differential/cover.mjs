// What the scripts together must have seen of ours: every disconnect reason, every error code and every HTTP status that
// the specification has. Ours has two more reasons, which ours alone can show: coverage_test.go at the root knows them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { played, seen } from "./compare.mjs";

const reasons = {
  "S-86": "client namespace disconnect", "S-87": "server namespace disconnect", "S-88": "server shutting down", "S-89": "ping timeout",
  "S-90": "transport close", "S-91": "transport error", "S-92": "parse error", "S-93": "forced close", "S-94": "forced server close",
};

const codes = [
  "Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version",
];

/** A status stands behind the request that it answers, or where an upgrade was refused. */
const statuses = [200, 204, 304, 400, 403, 413, 426];

export function cover() {
  for (const [row, reason] of Object.entries(reasons)) {
    test(`${row} ${reason}`, () => assert.ok(seen.some((line) => line.includes("journal") && line.includes(`"${reason}"`)), "no script has seen it"));
  }
  for (const [code, message] of codes.entries()) {
    test(`S-79 code ${code}, ${message}`, () => {
      assert.ok(seen.some((line) => line.includes(`connection_error" ${code} "${message}"`)), "no script has seen it reported");
      assert.ok(seen.some((line) => line.replaceAll("\\", "").includes(`{"code":${code},"message":"`)), "no script has seen it answered");
    });
  }
  for (const status of statuses) {
    test(`status ${status}`, () => assert.ok(seen.some((line) => new RegExp(`(: |refused )${status}\\b`).test(line)), "no script has seen it"));
  }
  test("what almost 600 scripts show", () => assert.ok(played() >= 590, `${played()} scripts`)); // as docs/compatibility.md says
  test("status 101", () => assert.ok(seen.some((line) => /^w < 0\{/.test(line)), "no script has opened a WebSocket"));
}
