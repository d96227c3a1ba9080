import { defineConfig } from '@playwright/test';
import { findBrowser, flags } from './lib/browser.js';

// One worker and no second try: a call that works every other time is broken,
// and two calls at once would measure the machine instead of the door.
export default defineConfig({
  testDir: 'tests',
  workers: 1,
  fullyParallel: false,
  retries: 0,
  forbidOnly: true,
  timeout: 45_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  outputDir: 'test-results',
  use: {
    browserName: 'chromium',
    launchOptions: { executablePath: findBrowser(), args: flags },
    viewport: { width: 1280, height: 800 },
    // What a failed test leaves to look at. Video would cost more than the call itself.
    screenshot: 'only-on-failure',
    trace: 'off',
  },
});
