/** What the tests of other packages share with this one's. Not built and not published: tests import sources. */

export { type BackendUnderTest, backendContract } from "./backend-contract.js";
export { StoreFixture, type StoreFixtureOptions } from "./store-fixture.js";
