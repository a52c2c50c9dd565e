import { defineConfig } from "vitest/config";

// Tests import the packages' sources, not their builds, so that a test run never meets a stale build.
const conditions = ["@etcd-ts/source", "module", "node", "import", "default"];
/** Tests that need what npm does not bring: Go programs, a C compiler. CI runs them; `npm test` does not. */
const foreign = [
  "tests/interop/**/*.test.ts",
  "tests/contract/{codec-go,grpc-oracle,http-oracle}.test.ts",
  "tests/robustness/{power-loss,member}.test.ts",
];
/**
 * Contracts that our member meets in `npm test` and Go etcd in the foreign tests: they hold what we think of etcd to
 * it.
 */
const contracts = ["tests/contract/{client,client-services}.test.ts"];
const resolve = { conditions };
const ssr = { resolve: { conditions, externalConditions: conditions } };

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts"],
          exclude: ["**/*.slow.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        resolve,
        ssr,
        test: { name: "slow", include: ["packages/*/src/**/*.slow.test.ts"], testTimeout: 300_000 },
      },
      {
        resolve,
        ssr,
        test: {
          name: "system",
          include: ["tests/**/*.test.ts"],
          exclude: foreign,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "foreign",
          include: [...foreign, ...contracts],
          env: { CONTRACT_SUBJECT: "go" },
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
