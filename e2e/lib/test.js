// Fixtures: doors that all tests of a worker share, and people who are sent
// home at the end of each test.
import { test as base, expect } from '@playwright/test';
import { startCustomer } from './customer.js';
import { startDev, startLiveKit } from './door.js';
import { newPerson } from './people.js';
import { startStage } from './stage.js';

export { expect };

/** `stagedoor dev`, with one customer's origin allowed and a stranger's not. */
async function openWorld(environment, use) {
  let dev;
  const allow = () => ({ door: dev.url, livekit: dev.livekit });
  const customer = await startCustomer(allow);
  const stranger = await startCustomer(allow);
  try {
    dev = await startDev({ ALLOWED_ORIGINS: customer.origin, ...environment });
    await use({ ...dev, customer: customer.origin, stranger: stranger.origin });
    await dev.stop();
  } finally {
    await customer.stop();
    await stranger.stop();
  }
}

export const test = base.extend({
  /** As a reader of the README starts it: the door starts its own LiveKit server. Its end is checked too. */
  world: [async ({}, use) => openWorld({}, use), { scope: 'worker' }],

  /** A LiveKit server of the test's own, so that the operator's word can be had: what does the server itself report? */
  livekit: [
    async ({}, use) => {
      const livekit = await startLiveKit();
      await use(livekit);
      await livekit.stop();
    },
    { scope: 'worker' },
  ],

  /** The door in front of that server, as LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET name it. */
  operated: [
    async ({ livekit }, use) => openWorld({ LIVEKIT_URL: livekit.url, LIVEKIT_API_KEY: livekit.key, LIVEKIT_API_SECRET: livekit.secret }, use),
    { scope: 'worker' },
  ],

  /** `stagedoor serve` with a Stripe double and a LiveKit server of its own, which tell it what happens. */
  stage: [
    async ({}, use) => {
      const stage = await startStage();
      await stage.door.quiet();
      await use(stage);
      await stage.stop();
    },
    { scope: 'worker' },
  ],

  /** Makes people: `await person({viewport})` gives a page in a browser context of its own. */
  person: async ({ browser }, use) => {
    const people = [];
    await use(async (options) => {
      const someone = await newPerson(browser, options);
      people.push(someone);
      return someone.page;
    });
    for (const someone of people) await someone.close();
  },

  /** A room that no other test uses. */
  room: async ({}, use, testInfo) => {
    await use(`e2e-${testInfo.testId.slice(-8)}`);
  },
});
