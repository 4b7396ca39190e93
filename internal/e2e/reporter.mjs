// What node --test found out, a line of JSON per test, for the Go harness to report as its own subtests.
import { inspect } from "node:util";

export default async function* report(events) {
  const path = [];
  for await (const { type, data } of events) {
    switch (type) {
      case "test:start":
        path.length = data.nesting;
        path.push(data.name);
        break;
      case "test:pass":
      case "test:fail": {
        const failed = type === "test:fail";
        // A suite fails with its tests, which have been reported; its own hooks are its own failure.
        const error = data.details.error;
        if (data.details.type === "suite" && (!failed || error?.failureType === "subtestsFailed")) break;
        const line = { path: [...path.slice(0, data.nesting), data.name], failed };
        if (data.skip !== undefined || data.todo !== undefined) {
          line.failed = true;
          line.error = "skipped: a suite here runs whole or fails";
        } else if (failed) {
          line.error = inspect(error?.cause ?? error, { depth: 6 });
        }
        yield `${JSON.stringify(line)}\n`;
        break;
      }
    }
  }
}
