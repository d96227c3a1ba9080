// The demo room page as its visitors use it: by what they see and press.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from '@playwright/test';

const SHOTS = fileURLToPath(new URL('../test-results/screens/', import.meta.url));

export const PHONE = { width: 390, height: 844 };

/** Opens the lobby with a caller and a room filled in. */
export async function openLobby(page, world, caller, room) {
  const query = new URLSearchParams({ ...(caller && { caller }), ...(room && { room }) });
  await page.goto(`${world.url}/?${query}`);
  await expect(page.getByTestId('join-button')).toBeVisible();
  if (room) await expect(page.getByTestId('room-input')).toHaveValue(room);
}

/** Presses the button and waits until LiveKit has let the visitor in. */
export async function enterRoom(page) {
  await page.getByTestId('join-button').click();
  await expect(page.getByTestId('room-view')).toHaveAttribute('data-state', 'connected');
}

/** The tile in which a participant is shown. */
export function tile(page, identity) {
  return page.locator(`[data-testid=tile][data-identity="${identity}"]`);
}

/** A picture for people to look at, kept with the results of the run. */
export async function keep(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
}

/** Whether everything fits the width of the screen: nothing to scroll sideways for, no control beyond the edge. */
export async function expectNoSidewaysScroll(page) {
  const { scroll, width, beyond } = await page.evaluate(() => {
    const limit = document.documentElement.clientWidth;
    const controls = [...document.querySelectorAll('button, input, a[href], select, h1, h2, p')];
    return {
      scroll: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
      width: limit,
      beyond: controls
        .filter((each) => each.checkVisibility() && !each.closest('.sr-only, .skip-link') && each.getBoundingClientRect().right > limit + 0.5)
        .map((each) => each.outerHTML.slice(0, 80)),
    };
  });
  expect(scroll, 'width of the page').toBeLessThanOrEqual(width);
  expect(beyond, 'cut off at the right').toEqual([]);
}
